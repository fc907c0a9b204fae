import { dirname, join, normalize } from 'node:path/posix';
import { type SourceTree, readSource } from '@hivekeeper/sdk/source-tree';
import { type CodeFile, isScriptFile } from '../code-file.ts';
import { type Module, everything, readModule } from './module.ts';

/** Which module of a tree names which, and which are started from outside. */
export interface ModuleGraph {
  readonly modules: ReadonlyMap<string, Module>;
  /** The modules that a specifier or a mentioned path can mean, seen from the module at `from`. */
  readonly resolve: (from: string, specifier: string) => readonly string[];
  /** Modules that something other than an import uses: packages, pages, build files, tools. */
  readonly entries: ReadonlySet<string>;
  readonly hasPackage: boolean;
}

const extensions = ['.ts', '.tsx', '.js', '.jsx', '.mts', '.mjs', '.cts', '.cjs'];
const entryFile = /(^|\/)((index|main|cli|app|server|worker)\.[^/]+|[^/]*\.(config|setup|stories|d)\.[mc]?[jt]sx?|\.[^/]+)$/;
const entryFolder = /(^|\/)(bin|scripts|tools|pages|routes|migrations|seeds|examples?|benchmarks?)\//;
const namesScripts =
  /(^|\/)(package\.json|[^/]*\.(html|ya?ml|sh|toml|vue|svelte|astro|mdx)|Dockerfile|Makefile|agent\.json|tsconfig[^/]*\.json)$/;
const scriptToken = /(?<![\w@.~/-])[\w@.~/-]{1,200}\.[mc]?[jt]sx?\b/g;
const fromClause = /\bfrom\s+['"]([^'"]+)['"]/g;

export function buildModuleGraph(tree: SourceTree, files: readonly CodeFile[]): ModuleGraph {
  const modules = new Map(files.filter(isScriptFile).map((file) => [file.path, readModule(file)]));
  const packages = readPackages(tree);
  const resolve = resolverOf(new Set(modules.keys()), packages);
  const entries = new Set(
    files.filter(({ path, text }) => entryFile.test(path) || entryFolder.test(path) || text.startsWith('#!')).map(({ path }) => path),
  );
  for (const path of tree.paths.filter((each) => namesScripts.test(each))) {
    const text = readSource(tree, path) ?? '';
    const named = [...text.matchAll(scriptToken)].map(([token]) => token);
    const imported = [...text.matchAll(fromClause)].map(([, specifier = '']) => specifier);
    for (const entry of [...named, ...imported].flatMap((each) => resolve(path, each))) entries.add(entry);
  }
  return { modules, resolve, entries, hasPackage: packages.size > 0 };
}

/** The folder of each package in the tree, by its name. */
function readPackages(tree: SourceTree): Map<string, string> {
  const packages = new Map<string, string>();
  for (const path of tree.paths.filter((each) => /(^|\/)package\.json$/.test(each))) {
    const name = /"name"\s*:\s*"([^"]+)"/.exec(readSource(tree, path) ?? '')?.[1];
    packages.set(name ?? path, dirname(path));
  }
  return packages;
}

/**
 * Guesses widely: a specifier that could mean a module counts as naming it, so that an export counts as dead only where
 * nothing can mean it.
 */
function resolverOf(paths: ReadonlySet<string>, packages: ReadonlyMap<string, string>): ModuleGraph['resolve'] {
  const known = new Map<string, readonly string[]>();
  return (from, specifier) => {
    const key = specifier.startsWith('.') ? normalize(join(dirname(from), specifier)) : specifier;
    const cached = known.get(`${dirname(from)} ${key}`);
    if (cached !== undefined) return cached;
    const found = specifier.startsWith('.')
      ? fileAt(key, paths)
      : [...fileAt(join(dirname(from), key), paths), ...fileAt(key, paths), ...inPackage(key, packages, paths), ...byAlias(key, paths)];
    known.set(`${dirname(from)} ${key}`, found);
    return found;
  };
}

/** The file at a path, with an extension added, `.js` read as the `.ts` it was made from, or the folder's index. */
function fileAt(path: string, paths: ReadonlySet<string>): string[] {
  const stem = path.replace(/\.([mc]?)js(x?)$/, '');
  const candidates = [
    path,
    ...extensions.flatMap((extension) => [`${stem}${extension}`, `${path}${extension}`, `${path}/index${extension}`]),
  ];
  const found = candidates.find((candidate) => paths.has(candidate));
  return found === undefined ? [] : [found];
}

/** A package's own name means its index; what follows, a file of its folder. */
function inPackage(specifier: string, packages: ReadonlyMap<string, string>, paths: ReadonlySet<string>): string[] {
  return [...packages].flatMap(([name, folder]) => {
    if (specifier !== name && !specifier.startsWith(`${name}/`)) return [];
    const rest = specifier.slice(name.length + 1);
    return ['', 'src', 'lib'].flatMap((part) => fileAt(normalize(join(folder, part, rest || 'index')), paths));
  });
}

/** `@/orders/total` and `~/orders/total`, whatever folder the alias stands for. */
function byAlias(specifier: string, paths: ReadonlySet<string>): string[] {
  const rest = /^[@~#]\/(.+)$/.exec(specifier)?.[1];
  return rest === undefined
    ? []
    : [...paths].filter((path) =>
        path
          .replace(/\.[^.]+$/, '')
          .replace(/\/index$/, '')
          .endsWith(`/${rest.replace(/\.[^./]+$/, '')}`),
      );
}

/** The modules that a module names, in whatever way. */
const namedBy = ({ resolve }: ModuleGraph, { path, references, mentions }: Module): string[] =>
  [...references.map(({ specifier }) => specifier), ...mentions].flatMap((specifier) => resolve(path, specifier));

/** Every module that can be reached from some. */
export function reachableFrom(graph: ModuleGraph, starts: Iterable<string>): ReadonlySet<string> {
  const reached = new Set(starts);
  for (const path of reached) {
    const module = graph.modules.get(path);
    if (module !== undefined) for (const next of namedBy(graph, module)) reached.add(next);
  }
  return reached;
}

/** `path name` for every export that some other module, or the outside, takes. */
export function takenExports(graph: ModuleGraph): ReadonlySet<string> {
  const taken = new Set<string>();
  const take = (path: string, name: string): void => {
    if (taken.has(`${path} ${name}`)) return;
    taken.add(`${path} ${name}`);
    for (const { specifier, names, offeredAs } of graph.modules.get(path)?.references ?? []) {
      const passed = (offeredAs ?? []).flatMap((offered, index) =>
        offered === everything ? [name] : name === offered || name === everything ? [names[index] ?? ''] : [],
      );
      for (const target of graph.resolve(path, specifier)) for (const each of passed) take(target, each);
    }
  };
  for (const entry of graph.entries) take(entry, everything);
  for (const { path, references, mentions } of graph.modules.values()) {
    for (const { specifier, names, offeredAs } of references) {
      if (offeredAs === undefined) for (const target of graph.resolve(path, specifier)) for (const name of names) take(target, name);
    }
    for (const target of mentions.flatMap((mention) => graph.resolve(path, mention))) if (target !== path) take(target, everything);
  }
  return taken;
}
