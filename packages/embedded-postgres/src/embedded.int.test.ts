import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, chown, mkdir, mkdtemp, readdir, readFile, readlink, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { newLog } from '@hivekeeper/kernel';
import { guardLeaks } from '@hivekeeper/testkit';
import pg from 'pg';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { canReach } from './account.ts';
import { type EmbeddedPostgres, type EmbeddedPostgresOptions, startEmbeddedPostgres } from './index.ts';
import { postmasterArguments } from './settings.ts';

guardLeaks();

const log = newLog({ level: 'silent', component: 'test' });
const holdScript = fileURLToPath(new URL('./fixtures/hold.ts', import.meta.url));
const isRoot = process.getuid?.() === 0;
const nobody = { uid: 65_534, gid: 65_534 };

let base: string;
let directory: string;
let children: ChildProcess[];

beforeEach(async () => {
  base = await mkdtemp(join(tmpdir(), 'embedded-postgres-'));
  await chmod(base, 0o755);
  directory = join(base, 'postgres');
  children = [];
});

afterEach(async () => {
  for (const child of children) await killed(child);
  await expect.poll(serverProcesses, { timeout: 5_000, interval: 20 }).toEqual([]);
  await rm(base, { recursive: true, force: true });
});

const start = (options: Partial<EmbeddedPostgresOptions> = {}): Promise<EmbeddedPostgres> =>
  startEmbeddedPostgres({ directory, log, fast: true, ...options });

async function query(url: string, text: string): Promise<Record<string, unknown>[]> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query<Record<string, unknown>>(text)).rows;
  } finally {
    await client.end();
  }
}

/** Another process that starts the server and holds it. */
async function hold(uid?: number): Promise<{ readonly child: ChildProcess; readonly pid: number; readonly url: string }> {
  const child = spawn(process.execPath, [holdScript, directory, ...(uid === undefined ? [] : [String(uid)])], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  children.push(child);
  const [line] = (await Promise.race([once(createInterface(child.stdout), 'line'), once(child, 'exit').then(() => ['{}'])])) as [string];
  return { child, ...(JSON.parse(line) as { pid: number; url: string }) };
}

async function killed(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exit = once(child, 'exit');
  child.kill('SIGKILL');
  await exit;
}

/** Every process that works in a cluster of this test. */
async function serverProcesses(): Promise<number[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name)).map(Number);
  const places = await Promise.all(pids.map((pid) => readlink(`/proc/${pid}/cwd`).catch(() => '')));
  return pids.filter((_, index) => places[index]?.startsWith(`${base}/`));
}

describe('the embedded server', () => {
  it('has a database that the application role owns, and settings that lose nothing', async () => {
    await using server = await start();
    const [role] = await query(
      server.url('app'),
      `
      SELECT current_user AS role, rolsuper, rolbypassrls, pg_get_userbyid(datdba) AS owner, current_setting('server_version_num')::integer / 10000 AS major,
        current_setting('fsync') AS fsync, current_setting('synchronous_commit') AS synchronous_commit, current_setting('full_page_writes') AS full_page_writes,
        current_setting('data_checksums') AS data_checksums, pg_encoding_to_char(encoding) AS encoding, datcollate AS collation
      FROM pg_roles, pg_database WHERE rolname = current_user AND datname = current_database()`,
    );
    expect(role).toEqual({
      role: 'hive',
      rolsuper: false,
      rolbypassrls: false,
      owner: 'hive',
      major: 18,
      fsync: 'on',
      synchronous_commit: 'on',
      full_page_writes: 'on',
      data_checksums: 'on',
      encoding: 'UTF8',
      collation: 'C',
    });
    expect(await query(server.url('superuser', 'socket'), 'SELECT inet_server_addr() AS address')).toEqual([{ address: null }]);
  });

  it('asks everybody for the password, which only its owner can read', async () => {
    await using server = await start();
    for (const url of [server.url('app'), server.url('app', 'socket'), server.url('superuser', 'socket')]) {
      const wrong = new URL(url);
      wrong.password = 'guess';
      await expect(query(wrong.href, 'SELECT 1')).rejects.toMatchObject({ code: '28P01' });
    }
    expect((await stat(join(directory, 'secrets.json'))).mode & 0o777).toBe(0o600);
  });

  it('keeps its data and its passwords from one start to the next', async () => {
    const first = await start();
    await query(first.url('app'), 'CREATE TABLE kept AS SELECT 7 AS number');
    await first.stop();
    await using second = await start({ port: first.port });
    expect(second.url('app')).toBe(first.url('app'));
    expect(await query(second.url('app'), 'SELECT number FROM kept')).toEqual([{ number: 7 }]);
  });

  it('refuses a second start of its directory, names the holder, and is not disturbed by it', async () => {
    const { child, url } = await hold();
    await expect(start()).rejects.toMatchObject({
      code: 'DATA_DIRECTORY_IN_USE',
      message: expect.stringContaining(`process ${child.pid}`),
    });
    expect(await query(url, 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
  });

  it('can be started again by the same process once it was stopped, and not before', async () => {
    const first = await start();
    await expect(start()).rejects.toMatchObject({ code: 'DATA_DIRECTORY_IN_USE' });
    await first.stop();
    await (await start()).stop();
  });

  it('makes the cluster again when its making was interrupted', async () => {
    await mkdir(join(directory, 'cluster.draft', 'base'), { recursive: true });
    await using server = await start();
    expect(await query(server.url('app'), 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
  });

  it('refuses a cluster of another major version instead of touching it', async () => {
    await (await start()).stop();
    await writeFile(join(directory, 'cluster', 'PG_VERSION'), '17\n');
    await expect(start()).rejects.toMatchObject({ code: 'DATABASE_MIGRATION', message: expect.stringContaining('PostgreSQL 17') });
  });

  it('tells the end of its log when it cannot start', async () => {
    await (await start()).stop();
    await rm(join(directory, 'cluster', 'global', 'pg_control'));
    await expect(start()).rejects.toMatchObject({ code: 'DATABASE_UNAVAILABLE', message: expect.stringContaining('pg_control') });
  });
});

describe('when something is killed', () => {
  it('the server ends within two seconds of its parent, and the next start is clean', async () => {
    const { child, url } = await hold();
    await query(url, 'CREATE TABLE kept AS SELECT 1 AS number');
    await killed(child);
    await expect.poll(serverProcesses, { timeout: 2_000, interval: 10 }).toEqual([]);
    await using server = await start();
    expect(await query(server.url('app'), 'SELECT number FROM kept')).toEqual([{ number: 1 }]);
  });

  it('a postmaster that ends unasked is started again on the same port, with what was committed', async () => {
    const exits: unknown[] = [];
    const restarted = Promise.withResolvers<void>();
    await using server = await start({ onExit: (exit) => exits.push(exit), onRestart: () => restarted.resolve() });
    const pidBefore = server.pid;
    await query(server.url('app'), 'CREATE TABLE kept AS SELECT 1 AS number');
    process.kill(server.pid, 'SIGKILL');
    await restarted.promise;
    expect(exits).toEqual([{ code: null, signal: 'SIGKILL' }]);
    expect(server.pid).not.toBe(pidBefore);
    expect(await query(server.url('app'), 'SELECT number FROM kept')).toEqual([{ number: 1 }]);
  });

  it('a killed server’s shared memory is removed by the next one', async () => {
    const segment = async () =>
      (await readFile(join(directory, 'cluster', 'postmaster.pid'), 'utf8')).split('\n')[6]?.trim().split(/\s+/)[1] ?? '';
    const segments = async () => (await readFile('/proc/sysvipc/shm', 'utf8')).split('\n').map((line) => line.trim().split(/\s+/)[1]);
    const restarted = Promise.withResolvers<void>();
    await using server = await start({ onRestart: () => restarted.resolve() });
    const killedSegment = await segment();
    expect(await segments()).toContain(killedSegment);
    process.kill(server.pid, 'SIGKILL');
    await restarted.promise;
    expect(await segments()).not.toContain(killedSegment);
    expect(await segments()).toContain(await segment());
  });

  it('stop in the middle of a restart leaves nothing behind', async () => {
    const ended = Promise.withResolvers<void>();
    const server = await start({ onExit: () => ended.resolve() });
    process.kill(server.pid, 'SIGKILL');
    await ended.promise;
    await server.stop();
    expect(await serverProcesses()).toEqual([]);
    await (await start()).stop();
  });

  it('everything at once, nothing that was committed is lost and the next start is clean', async () => {
    const { child, url } = await hold();
    await query(url, 'CREATE TABLE kept AS SELECT 1 AS number');
    for (const pid of await serverProcesses()) process.kill(pid, 'SIGKILL');
    await killed(child);
    await using server = await start();
    expect(await query(server.url('app'), 'SELECT number FROM kept')).toEqual([{ number: 1 }]);
  });
});

describe('what an earlier process left', () => {
  it('a server that still runs is stopped cleanly, then a new one started', async () => {
    const first = await start();
    const url = first.url('app');
    await first.stop();
    const orphan = await spawnPostmaster(first.port);
    await expect
      .poll(
        () =>
          query(url, 'CREATE TABLE IF NOT EXISTS kept AS SELECT 1 AS number').then(
            () => true,
            () => false,
          ),
        { timeout: 5_000 },
      )
      .toBe(true);
    await using server = await start();
    expect(orphan.exitCode).toBe(0);
    expect(await query(server.url('app'), 'SELECT number FROM kept')).toEqual([{ number: 1 }]);
  });

  it('a pid file whose number now belongs to somebody else does not keep it from starting, and that process lives on', async () => {
    await (await start()).stop();
    const stranger = spawn('sleep', ['60'], { stdio: 'ignore', ...(isRoot && (await ownerOfCluster())) });
    children.push(stranger);
    await writeFile(
      join(directory, 'cluster', 'postmaster.pid'),
      `${stranger.pid}\n${join(directory, 'cluster')}\n1\n5432\n\n\n0 0\nready\n`,
    );
    await using server = await start();
    expect(await query(server.url('app'), 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
    expect(await readFile(join(directory, 'cluster', 'postmaster.pid'), 'utf8')).toMatch(new RegExp(`^${server.pid}\n`));
    expect([stranger.exitCode, stranger.signalCode]).toEqual([null, null]);
  });
});

describe('who runs it', () => {
  it('an ordinary user can, and root can go on with that user’s cluster', async () => {
    // Below a closed home nobody but root can read the code; then the server is run by whoever runs the test.
    const user =
      isRoot && (await canReach(process.execPath, nobody)) && (await canReach(join(holdScript, '..'), nobody)) ? nobody.uid : undefined;
    await mkdir(directory);
    if (user !== undefined) await chown(directory, nobody.uid, nobody.gid);
    const { child, pid, url } = await hold(user);
    await query(url, 'CREATE TABLE kept AS SELECT 1 AS number');
    expect((await stat(`/proc/${pid}`)).uid).toBe(user ?? (await ownerOfCluster()).uid);
    await killed(child);
    await using server = await start();
    expect(await query(server.url('app'), 'SELECT number FROM kept')).toEqual([{ number: 1 }]);
  });

  it('where the server’s user cannot reach the directory, the cluster lies in a place it can reach, and is found there again', async () => {
    const home = join(base, 'home');
    const systemDirectory = join(base, 'system');
    await mkdir(home, { mode: 0o700 });
    const options = { directory: join(home, 'postgres'), systemDirectory };
    const first = await start(options);
    await query(first.url('app'), 'CREATE TABLE kept AS SELECT 1 AS number');
    await first.stop();
    const place = isRoot ? (await readFile(join(home, 'postgres', 'cluster-path'), 'utf8')).trim() : join(home, 'postgres', 'cluster');
    expect(place.startsWith(isRoot ? systemDirectory : home)).toBe(true);
    expect((await stat(join(place, 'PG_VERSION'))).size).toBeGreaterThan(0);
    const second = await start(options);
    expect(await query(second.url('app'), 'SELECT number FROM kept')).toEqual([{ number: 1 }]);
    await second.stop();

    // A directory that was removed and made again is a new one.
    await rm(join(home, 'postgres'), { recursive: true });
    await using third = await start(options);
    await expect(query(third.url('app'), 'SELECT number FROM kept')).rejects.toMatchObject({ code: '42P01' });
  });
});

const ownerOfCluster = async (): Promise<{ uid: number; gid: number }> => {
  const { uid, gid } = await stat(join(directory, 'cluster'));
  return { uid, gid };
};

/** A postmaster that nobody supervises, as one without `setpriv` would be after its parent was killed. */
async function spawnPostmaster(port: number): Promise<ChildProcess> {
  const cluster = join(directory, 'cluster');
  const native = fileURLToPath(
    new URL('../native/bin/postgres', import.meta.resolve(`@embedded-postgres/${process.platform}-${process.arch}`)),
  );
  const child = spawn(native, postmasterArguments(cluster, { port, socketDirectory: cluster }), {
    stdio: 'ignore',
    env: {},
    ...(isRoot && (await ownerOfCluster())),
  });
  children.push(child);
  return child;
}
