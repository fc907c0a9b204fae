import { lstatSync, readFileSync, realpathSync } from 'node:fs';
import { dirname, join } from 'node:path';

/**
 * The directories and files besides its own that an agent's code needs to be found by Node: every `node_modules` up
 * from the agent, the package.json that decides its module type, and, where a dependency is a link out of
 * `node_modules` (a workspace package), that package and what it depends on in turn. Links that nothing declares stay
 * dangling: a monorepo's other packages are none of the agent's business. Leaves out what lies in `own`, which is visible
 * anyway.
 */
export function surroundingsOf(agentDirectory: string, own: string = agentDirectory): readonly string[] {
  const seen = new Set<string>();
  const visit = (directory: string, extra: readonly string[]) => {
    const modules = upFrom(directory)
      .map((ancestor) => join(ancestor, 'node_modules'))
      .filter(isDirectory);
    const manifest = upFrom(directory)
      .map((ancestor) => join(ancestor, 'package.json'))
      .find(isFile);
    for (const path of [...modules, ...(manifest === undefined ? [] : [manifest])]) seen.add(path);
    for (const name of [...dependenciesOf(manifest), ...extra]) {
      const target = linkTarget(name, modules);
      if (target === undefined || seen.has(target)) continue;
      seen.add(target);
      visit(target, []);
    }
  };
  // The SDK is there for every agent, also for one without a package.json.
  visit(agentDirectory, ['@hivekeeper/sdk']);
  const outermost = (path: string) => ![own, ...seen].some((other) => path.startsWith(`${other}/`));
  return [...seen].filter(outermost);
}

function upFrom(directory: string): readonly string[] {
  const parent = dirname(directory);
  return parent === directory ? [directory] : [directory, ...upFrom(parent)];
}

const isDirectory = (path: string): boolean => lstatSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
const isFile = (path: string): boolean => lstatSync(path, { throwIfNoEntry: false })?.isFile() === true;

function dependenciesOf(manifest: string | undefined): readonly string[] {
  if (manifest === undefined) return [];
  try {
    const { dependencies, optionalDependencies, peerDependencies } = JSON.parse(readFileSync(manifest, 'utf8')) as Record<
      string,
      object | undefined
    >;
    return Object.keys({ ...dependencies, ...optionalDependencies, ...peerDependencies });
  } catch {
    return [];
  }
}

/** Where a dependency really lies, if the nearest of its name is a link out of `node_modules`. */
function linkTarget(name: string, modules: readonly string[]): string | undefined {
  const entry = modules.map((directory) => join(directory, name)).find((path) => lstatSync(path, { throwIfNoEntry: false }) !== undefined);
  if (entry === undefined || !isLink(entry)) return undefined;
  try {
    return realpathSync(entry);
  } catch {
    return undefined;
  }
}

const isLink = (path: string): boolean => lstatSync(path).isSymbolicLink();
