import { createHash } from 'node:crypto';
import { spawn } from 'node:child_process';
import { chmod, chown, mkdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { text } from 'node:stream/consumers';
import { HiveError } from '@hivekeeper/contract';
import { systemRandom } from '@hivekeeper/kernel';
import { type Account, accountFor, canReach, openDirectory, serverEnvironment } from './account.ts';
import { type Binaries, type Package, reachableBinaries } from './binaries.ts';
import { hostBasedAuthentication } from './settings.ts';

/** What connects: the role of the application, and the one that may do everything. */
export interface Secrets {
  readonly appPassword: string;
  readonly superuserPassword: string;
}

/** A cluster that is ready to be served. */
export interface Cluster {
  readonly path: string;
  readonly account: Account;
  readonly binaries: Binaries;
  readonly secrets: Secrets;
}

/** What {@link prepareCluster} needs to know. */
export interface ClusterOptions {
  readonly directory: string;
  readonly package: Package;
  /** Where copies and clusters go that the server's user could not reach where they belong. */
  readonly systemDirectory: string;
  /** Skips the sync at the end of initdb: for throw-away clusters. */
  readonly fast: boolean;
}

/** Finds the cluster of `directory`, or makes it. Needs the directory's lock. */
export async function prepareCluster(options: ClusterOptions): Promise<Cluster> {
  const { directory, systemDirectory } = options;
  const existing = await findCluster(directory);
  const account = await accountFor(existing?.owner);
  // Another user must pass it to the cluster; the secrets in it are 0600.
  await chmod(directory, process.getuid?.() === account.uid ? 0o700 : 0o711);
  const binaries = await reachableBinaries(options.package, account, systemDirectory);
  if (existing !== undefined) {
    await refuseOtherVersion(existing.path, binaries);
    return {
      path: existing.path,
      account,
      binaries,
      secrets: JSON.parse(await readFile(join(directory, 'secrets.json'), 'utf8')) as Secrets,
    };
  }
  const path = await placeFor(options, account);
  const secrets = { appPassword: newPassword(), superuserPassword: newPassword() };
  // Before the cluster: once that has its name, everything that belongs to it is there.
  await writeFile(join(directory, 'secrets.json'), `${JSON.stringify(secrets)}\n`, { mode: 0o600 });
  await createCluster({ path, account, binaries, secrets }, options.fast);
  return { path, account, binaries, secrets };
}

async function findCluster(directory: string): Promise<{ path: string; owner: Account } | undefined> {
  const path = await readFile(join(directory, 'cluster-path'), 'utf8').then(
    (content) => content.trim(),
    () => join(directory, 'cluster'),
  );
  return stat(path).then(
    ({ uid, gid }) => ({ path, owner: { uid, gid } }),
    () => undefined,
  );
}

async function refuseOtherVersion(path: string, { majorVersion }: Binaries): Promise<void> {
  const found = (await readFile(join(path, 'PG_VERSION'), 'utf8')).trim();
  if (found === majorVersion) return;
  throw new HiveError(
    'DATABASE_MIGRATION',
    `The cluster in ${path} is PostgreSQL ${found}, this version brings ${majorVersion}: dump it with the old version and restore it into a new directory.`,
  );
}

const newPassword = (): string => Buffer.from(systemRandom.bytes(24)).toString('base64url');

async function placeFor({ directory, systemDirectory }: ClusterOptions, account: Account): Promise<string> {
  if (await canReach(directory, account)) return join(directory, 'cluster');
  // A suffix, so that a directory that was removed and made again does not find the old cluster.
  const suffix = Buffer.from(systemRandom.bytes(4)).toString('hex');
  const path = join(systemDirectory, `data-${createHash('sha256').update(directory).digest('hex').slice(0, 16)}-${suffix}`);
  await openDirectory(systemDirectory);
  await writeFile(join(directory, 'cluster-path'), `${path}\n`);
  return path;
}

/** Makes it beside its place and moves it there when it is complete: a crash leaves a draft, which the next attempt removes. */
async function createCluster({ path, account, binaries, secrets }: Cluster, fast: boolean): Promise<void> {
  const draft = join(dirname(path), `${basename(path)}.draft`);
  await rm(draft, { recursive: true, force: true });
  await mkdir(draft, { mode: 0o700 });
  await chown(draft, account.uid, account.gid);
  const cluster = ['--pgdata', draft, '--username', 'postgres'];
  const format = ['--locale=C', '--encoding=UTF8', '--data-checksums', '--auth=reject'];
  await run(account, [binaries.initdb, ...cluster, ...format, ...(fast ? ['--no-sync'] : [])], '');
  await run(account, ['tee', join(draft, 'pg_hba.conf')], hostBasedAuthentication);
  await run(account, [binaries.postgres, '--single', '-D', draft, ...(fast ? ['-F'] : []), 'postgres'], firstStatements(secrets));
  await rename(draft, path);
}

// Single-user mode: one statement a line, nobody else can be connected, and nothing listens while there is no password yet.
const firstStatements = ({ appPassword, superuserPassword }: Secrets): string =>
  [
    `ALTER ROLE postgres PASSWORD '${superuserPassword}'`,
    `CREATE ROLE hive LOGIN NOSUPERUSER NOCREATEROLE NOCREATEDB NOBYPASSRLS PASSWORD '${appPassword}'`,
    'CREATE DATABASE hive OWNER hive',
    'REVOKE ALL ON DATABASE hive FROM PUBLIC',
    '',
  ].join('\n');

/** Runs a program as the account, with the input on its stdin; rejects with what it said on stderr. */
async function run({ uid, gid }: Account, [program = '', ...args]: readonly string[], input: string): Promise<void> {
  const identity = process.getuid?.() === uid ? {} : { uid, gid };
  const child = spawn(program, args, { ...identity, cwd: '/', env: serverEnvironment, stdio: ['pipe', 'ignore', 'pipe'] });
  const ended = new Promise<number | null>((resolve, reject) => child.once('error', reject).once('close', resolve));
  child.stdin.on('error', () => {}); // a program that ended early: its exit status tells
  child.stdin.end(input);
  const [status, said] = await Promise.all([ended, text(child.stderr)]);
  if (status !== 0 || /^(ERROR|FATAL|PANIC)/m.test(said))
    throw new HiveError('DATABASE_UNAVAILABLE', `${basename(program)} failed (${status}): ${said.trim().slice(-2_000)}`);
}
