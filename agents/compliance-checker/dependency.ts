import { type Dirent, readdirSync } from 'node:fs';
import { join, posix } from 'node:path';
import { z } from 'zod';
import { productionNames } from './production.ts';
import { type Subject, lineAt } from './violation.ts';

/** A package that somebody else wrote and this repository uses. */
export interface Dependency {
  readonly name: string;
  readonly version: string;
  /** As the package states it; absent where it does not. */
  readonly license?: string;
  /** False where only development needs it. */
  readonly isProduction: boolean;
  /** Where the package says so, relative to the target. */
  readonly file: string;
  readonly line?: number;
}

const maxLockBytes = 64 * 1024 * 1024;

const licenseSchema = z
  .union([z.string(), z.object({ type: z.string() }).transform(({ type }) => type)])
  .optional()
  .catch(undefined);
const namesSchema = z.record(z.string(), z.unknown()).catch({});

/** What is read of a package.json. */
export const manifestSchema = z.object({
  name: z.string().optional().catch(undefined),
  version: z.string().optional().catch(undefined),
  license: licenseSchema,
  /** The older plural, of which each may be chosen. */
  licenses: z.array(licenseSchema).optional().catch(undefined),
  dependencies: namesSchema,
  optionalDependencies: namesSchema,
  peerDependencies: namesSchema,
});
/** {@link manifestSchema}, parsed. */
export type Manifest = z.infer<typeof manifestSchema>;

const lockSchema = z.object({
  packages: z.record(
    z.string(),
    z.object({ version: z.string().optional(), license: licenseSchema, dev: z.boolean().default(false), link: z.boolean().default(false) }),
  ),
});
type LockEntries = z.infer<typeof lockSchema>['packages'];

/**
 * The dependencies of every npm project below the target, each name and version once: what is installed, or, where
 * nothing is, what the lock file lists.
 */
export function dependenciesOf(subject: Subject): Dependency[] {
  const projects = projectFolders(subject);
  const manifests = projects.flatMap((folder) => readManifest(subject, `${folder}package.json`) ?? []);
  const found = projects.flatMap((folder) => dependenciesOfProject(subject, folder, manifests));
  return [...Map.groupBy(found, ({ name, version }) => `${name}@${version}`).values()].map((same) => ({
    ...(same[0] as Dependency),
    isProduction: same.some(({ isProduction }) => isProduction),
  }));
}

/** Folders with a package.json, the target itself first; '' is the target. */
export const projectFolders = ({ tree }: Subject): string[] =>
  tree.paths.filter((path) => posix.basename(path) === 'package.json').map((path) => path.slice(0, -'package.json'.length));

/** Parses one package.json; nothing where it is not one. */
export function readManifest(subject: Subject, path: string): Manifest | undefined {
  return manifestSchema.safeParse(parseJson(subject.read(path) ?? '')).data;
}

function dependenciesOfProject(subject: Subject, folder: string, manifests: readonly Manifest[]): Dependency[] {
  const lockPath = `${folder}package-lock.json`;
  const lockText = subject.tree.paths.includes(lockPath) ? (subject.read(lockPath, maxLockBytes) ?? '') : '';
  const lock = lockSchema.safeParse(parseJson(lockText)).data?.packages ?? {};
  const installed = installedIn(subject, folder);
  if (installed.length === 0) return lockedIn(lock, lockText, lockPath);
  const reached = productionNames(manifests, installed);
  return installed.map(({ path, manifest, name }) => {
    const entry = lock[path.slice(folder.length)];
    const license = statedLicense(manifest);
    return {
      name,
      version: manifest.version ?? '?',
      ...(license !== undefined && { license }),
      // The lock file knows which packages only development needs; without one, the names that production reaches tell.
      isProduction: entry === undefined ? reached.has(name) : !entry.dev,
      file: `${path}/package.json`,
    };
  });
}

interface Installed {
  readonly path: string;
  readonly name: string;
  readonly manifest: Manifest;
}

const installedIn = (subject: Subject, folder: string): Installed[] =>
  [...packageFolders(subject.tree.root, `${folder}node_modules`)].flatMap((path) => {
    const manifest = readManifest(subject, `${path}/package.json`);
    return manifest === undefined ? [] : [{ path, manifest, name: manifest.name ?? nameOf(path) }];
  });

function lockedIn(lock: LockEntries, text: string, file: string): Dependency[] {
  return Object.entries(lock)
    .filter(([path, { link }]) => !link && path.includes('node_modules/'))
    .map(([path, { version, license, dev }]) => ({
      name: nameOf(path),
      version: version ?? '?',
      ...(license !== undefined && { license }),
      isProduction: !dev,
      file,
      line: lineAt(text, text.indexOf(`${JSON.stringify(path)}: {`)),
    }));
}

/** Below a node_modules folder, in the layouts of npm and pnpm. Links are not followed: they lead to the project's own code. */
function* packageFolders(root: string, folder: string): Generator<string> {
  for (const name of foldersIn(join(root, folder))) {
    const path = `${folder}/${name}`;
    if (name === '.pnpm') for (const store of foldersIn(join(root, path))) yield* packageFolders(root, `${path}/${store}/node_modules`);
    if (name.startsWith('.')) continue;
    const packages = name.startsWith('@') ? foldersIn(join(root, path)).map((scoped) => `${path}/${scoped}`) : [path];
    for (const found of packages) {
      yield found;
      yield* packageFolders(root, `${found}/node_modules`);
    }
  }
}

function foldersIn(path: string): string[] {
  try {
    return readdirSync(path, { withFileTypes: true })
      .filter((entry: Dirent) => entry.isDirectory())
      .map(({ name }) => name)
      .sort();
  } catch {
    return []; // not there, which is the usual case
  }
}

const nameOf = (path: string): string => path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length);

function statedLicense({ license, licenses }: Manifest): string | undefined {
  const listed = (licenses ?? []).filter((each) => each !== undefined);
  return license ?? (listed.length > 0 ? listed.join(' OR ') : undefined);
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
