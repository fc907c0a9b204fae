import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmod, mkdtemp, readdir, readFile, rename, rm, statfs } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { HiveError } from '@hivekeeper/contract';
import { type EmbeddedPostgres, startEmbeddedPostgres } from '@hivekeeper/embedded-postgres';
import { newLog, isProcessAlive } from '@hivekeeper/kernel';

/** The server of this process. It stops, and its files go, when the last user has given it back. */
export interface TestServer {
  readonly postgres: EmbeddedPostgres;
  giveBack(): Promise<void>;
}

const log = newLog({ level: 'warn', component: 'test-postgres' });
const prefix = 'hivekeeper-test-';
let current: { readonly started: Promise<EmbeddedPostgres>; readonly directory: Promise<string>; users: number } | undefined;

/** The process's server, started for its first user. */
export async function borrowServer(): Promise<TestServer> {
  if (current === undefined) {
    const directory = newDirectory();
    current = { directory, started: directory.then((path) => startEmbeddedPostgres({ directory: path, log, fast: true })), users: 0 };
  }
  const borrowed = current;
  borrowed.users += 1;
  const giveBack = async () => {
    borrowed.users -= 1;
    if (borrowed.users > 0) return;
    if (current === borrowed) current = undefined;
    const directory = await borrowed.directory;
    await borrowed.started.then((postgres) => postgres.stop()).finally(() => rm(directory, { recursive: true, force: true }));
  };
  try {
    return { postgres: await borrowed.started, giveBack };
  } catch (error) {
    await giveBack().catch(() => {}); // the start's own error tells more
    throw error;
  }
}

/** A directory with a copy of a fresh cluster: copying takes a tenth of what initdb does. */
async function newDirectory(): Promise<string> {
  const base = (await spaciousMemory()) ?? tmpdir();
  await removeAbandoned(base);
  const directory = await mkdtemp(join(base, `${prefix}${process.pid}-`));
  await chmod(directory, 0o711);
  await copy(await pristineCluster(), directory);
  return directory;
}

// In memory a sync costs nothing, so the settings stay the legal ones and the tests stay fast.
async function spaciousMemory(): Promise<string | undefined> {
  const space = await statfs('/dev/shm').catch(() => undefined);
  return space !== undefined && space.bavail * space.bsize > 2 ** 30 ? '/dev/shm' : undefined;
}

/** Made once per machine, user and version of the code that makes it. */
async function pristineCluster(): Promise<string> {
  const target = join(tmpdir(), `hivekeeper-pristine-${process.getuid?.()}-${await fingerprint()}`);
  if (await exists(target)) return target;
  const draft = await mkdtemp(`${target}.`);
  await (await startEmbeddedPostgres({ directory: draft, log, fast: true })).stop();
  // The cluster was put elsewhere, so copies of this directory would share it.
  if (!(await exists(join(draft, 'cluster'))))
    throw new HiveError('CONFIGURATION_INVALID', `Set TMPDIR to a directory that every user can reach; ${tmpdir()} is not.`);
  // Somebody else may have been faster: theirs is as good.
  await rename(draft, target).catch(() => rm(draft, { recursive: true, force: true }));
  return target;
}

async function fingerprint(): Promise<string> {
  const source = new URL('./', import.meta.resolve('@hivekeeper/embedded-postgres'));
  const files = (await readdir(source)).filter((file) => file.endsWith('.ts')).sort();
  const hash = createHash('sha256');
  for (const file of files) hash.update(await readFile(new URL(file, source)));
  return hash
    .update(await readFile(fileURLToPath(new URL('../package.json', source))))
    .digest('hex')
    .slice(0, 16);
}

// `cp` keeps owners, which node's own copy does not.
const copy = (from: string, to: string) => promisify(execFile)('cp', ['-a', `${from}/.`, to]);

/** Removes what processes left that were killed. */
async function removeAbandoned(base: string): Promise<void> {
  const names = (await readdir(base)).filter((name) => name.startsWith(prefix));
  const abandoned = names.filter((name) => !isProcessAlive(Number.parseInt(name.slice(prefix.length), 10)));
  await Promise.all(abandoned.map((name) => rm(join(base, name), { recursive: true, force: true }).catch(() => {})));
}

const exists = (path: string): Promise<boolean> =>
  readdir(path).then(
    () => true,
    () => false,
  );
