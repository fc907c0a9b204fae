import { closeSync, constants, fstatSync, openSync, opendirSync, readFileSync, realpathSync, statSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { HiveError } from '@hivekeeper/contract';
import ignore, { type Ignore } from 'ignore';
import { type Skipped, refusalOf, walk } from './directory-walk.ts';

export type { Skipped } from './directory-walk.ts';

/** A file of a {@link SourceTree}: its path below the root, with forward slashes. */
export type SourcePath = string;

/** What people wrote below a directory, as opposed to what tools put there. */
export interface SourceTree {
  /** Absolute, symlinks resolved. */
  readonly root: string;
  /** Sorted. */
  readonly paths: readonly SourcePath[];
  /** What lies there and could not be looked at, sorted: an answer about the tree is incomplete without it. */
  readonly skipped: readonly Skipped[];
}

/** Larger files are data or generated. */
export const maxSourceBytes = 1_000_000;

// Below the target only: a fixture may itself be the target.
const skippedFolders = new Set([
  'node_modules',
  'bower_components',
  'vendor',
  'third_party',
  'dist',
  'coverage',
  '.git',
  '.hivekeeper',
  '.hg',
  '.svn',
  '.venv',
  'venv',
  '__pycache__',
  'fixtures',
  '__fixtures__',
  'testdata',
]);

/**
 * Lists the files below `target`, or the one file `target` is. Leaves out what every `.gitignore` inside the tree leaves
 * out (not those above the target, which a sandboxed agent cannot read), dependencies, build results and test fixtures.
 * Never leaves the target: symlinked directories are not entered. What may not be read is told apart.
 *
 * @throws HiveError `NOT_FOUND` where the target cannot be read.
 */
export async function listSourceTree(target: string): Promise<SourceTree> {
  const { root, isFile } = locate(target);
  if (isFile) return { root: dirname(root), paths: [basename(root)], skipped: [] };
  const found = walk(root, skippedFolders);
  const isIgnored = gitignoreOf(root, found.paths);
  const paths = found.paths.filter((path) => !isIgnored(path)).sort();
  const refused = paths.flatMap((path) => refusalOf(root, path) ?? []);
  const skipped = [...found.skipped.filter(({ path }) => !isIgnored(path)), ...refused];
  return { root, paths, skipped: skipped.sort((a, b) => (a.path < b.path ? -1 : 1)) };
}

/**
 * The text of a file of the tree; nothing where it is a symlink, vanished, may not be read, is larger than `maxBytes`
 * or is not text.
 *
 * @defaultValue maxBytes {@link maxSourceBytes}
 */
export function readSource(tree: SourceTree, path: SourcePath, maxBytes: number = maxSourceBytes): string | undefined {
  const content = readRegularFile(join(tree.root, path), maxBytes);
  return content === undefined || content.subarray(0, 8_000).includes(0) ? undefined : content.toString('utf8');
}

const generatedName =
  /(^|\/)(package-lock\.json|npm-shrinkwrap\.json|yarn\.lock|pnpm-lock\.yaml|bun\.lock|[^/]*\.lock|go\.sum)$|[.-]min\.(js|mjs|cjs|css)$|\.(map|snap|svg)$/i;

/** True for lock files, minified scripts and the like: text that nobody wrote or reads. */
export const isGenerated = (path: SourcePath): boolean => generatedName.test(path);

const testPath =
  /(^|\/)(tests?|__tests__|spec|e2e)\/|[._-](test|spec)\.[^/]+$|(^|\/)test_[^/]+\.py$|_test\.(py|go|rb)$|Tests?\.(java|kt|cs)$/;

/** True for tests and what lies in test folders. */
export const isTest = (path: SourcePath): boolean => testPath.test(path);

function locate(target: string): { root: string; isFile: boolean } {
  try {
    const root = realpathSync(target);
    const isFile = statSync(root).isFile();
    // The search passes over what it may not enter: an unreadable target would look like an empty one, that is, a clean one.
    if (isFile) closeSync(openSync(root, constants.O_RDONLY));
    else opendirSync(`${root}/.`).closeSync();
    return { root, isFile };
  } catch (cause) {
    throw new HiveError('NOT_FOUND', `target does not exist or may not be read: ${target}`, { cause });
  }
}

/** The deepest `.gitignore` that says anything about a path decides, as in git. */
function gitignoreOf(root: string, paths: readonly string[]): (path: string) => boolean {
  const rules = paths
    .filter((path) => basename(path) === '.gitignore')
    .map((path) => ({ folder: path.slice(0, -'.gitignore'.length), matcher: matcherOf(join(root, path)) }))
    .sort((a, b) => b.folder.length - a.folder.length);
  return (path) => {
    for (const { folder, matcher } of rules) {
      if (!path.startsWith(folder)) continue;
      const { ignored, unignored } = matcher.test(path.slice(folder.length));
      if (ignored || unignored) return ignored;
    }
    return false;
  };
}

const matcherOf = (path: string): Ignore => ignore().add(readRegularFile(path, maxSourceBytes)?.toString('utf8') ?? '');

/** Opening without following links leaves no moment between the check and the read. */
function readRegularFile(path: string, maxBytes: number): Buffer | undefined {
  let descriptor: number | undefined;
  try {
    descriptor = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW);
    const status = fstatSync(descriptor);
    return status.isFile() && status.size <= maxBytes ? readFileSync(descriptor) : undefined;
  } catch {
    return undefined; // unreadable is the same as absent to an agent that looks at a tree in motion
  } finally {
    if (descriptor !== undefined) closeSync(descriptor);
  }
}

/** Of many skipped paths so many are named in an agent's answer; its summary counts all. */
const namedSkips = 100;

/** What an agent's answer says of what it could not look at: nothing where that was nothing. */
export const skippedIn = ({ skipped }: SourceTree): { readonly skipped?: readonly Skipped[] } =>
  skipped.length === 0 ? {} : { skipped: skipped.slice(0, namedSkips) };
