/** What a package asks for, by name. */
export interface Asking {
  readonly dependencies: Readonly<Record<string, unknown>>;
  readonly optionalDependencies: Readonly<Record<string, unknown>>;
  readonly peerDependencies: Readonly<Record<string, unknown>>;
}

/**
 * Names of the packages that the roots need at run time, directly or through others. Versions are not told apart, so a
 * package counts as production where any version of it does: too many rather than too few.
 */
export function productionNames(
  roots: readonly Asking[],
  installed: readonly { readonly name: string; readonly manifest: Asking }[],
): Set<string> {
  const askedBy = Map.groupBy(installed, ({ name }) => name);
  const reached = new Set(roots.flatMap(namesAskedBy));
  // A set yields what is added while it is walked.
  for (const name of reached)
    for (const { manifest } of askedBy.get(name) ?? []) for (const asked of namesAskedBy(manifest)) reached.add(asked);
  return reached;
}

const namesAskedBy = ({ dependencies, optionalDependencies, peerDependencies }: Asking): string[] =>
  [dependencies, optionalDependencies, peerDependencies].flatMap((section) => Object.keys(section));
