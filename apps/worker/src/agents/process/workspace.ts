import { dirname, sep } from 'node:path';
import type { VisiblePath } from '../../sandbox/process/index.ts';

/** Where agents may be granted paths, and what none of them may see. All are canonical directories. */
export interface Workspace {
  readonly roots: readonly string[];
  /** Such as the data directory with its keys. A root inside of one is open all the same: that is where reports go. */
  readonly protectedDirectories: readonly string[];
  /** Paths by which one agent would reach another: never granted. */
  readonly isSealed: (path: string) => boolean;
}

/** True for the directory itself and everything in it. Both are canonical. */
export const isBelow = (path: string, directory: string): boolean =>
  path === directory || path.startsWith(directory.endsWith(sep) ? directory : `${directory}${sep}`);

/** True on and in a protected directory, but for the roots inside of it. */
export function isProtected(path: string, { roots, protectedDirectories }: Pick<Workspace, 'roots' | 'protectedDirectories'>): boolean {
  const opens = (root: string, directory: string) => root !== directory && isBelow(root, directory) && isBelow(path, root);
  return protectedDirectories.some((directory) => isBelow(path, directory) && !roots.some((root) => opens(root, directory)));
}

/** The protected directories that lie inside of what an agent is to see: these must be hidden from it. */
export const hiddenIn = (visible: readonly VisiblePath[], { protectedDirectories }: Workspace): readonly string[] =>
  protectedDirectories.filter((directory) => visible.some(({ path }) => isBelow(directory, path)));

/**
 * The directories on the way from what an agent may write to, down to what is hidden in it. Made mount points of their
 * own they cannot be renamed: otherwise the hidden directory would have another name for the next agent, and be seen.
 */
export const waysTo = (hidden: readonly string[], visible: readonly VisiblePath[]): readonly VisiblePath[] =>
  hidden.flatMap((directory) =>
    visible
      .filter(({ path, access }) => access === 'write' && isBelow(directory, path))
      .flatMap(({ path: top }) => ancestorsWithin(dirname(directory), top))
      .map((path): VisiblePath => ({ path, access: 'write' })),
  );

const ancestorsWithin = (path: string, top: string): readonly string[] =>
  isBelow(path, top) && path !== top ? [path, ...ancestorsWithin(dirname(path), top)] : [];
