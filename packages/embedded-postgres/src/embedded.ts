import { once } from 'node:events';
import { mkdir, realpath } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { HiveError } from '@hivekeeper/contract';
import { type Log, systemClock, systemRandom } from '@hivekeeper/kernel';
import { installedPackage } from './binaries.ts';
import { type Cluster, prepareCluster } from './cluster.ts';
import { lockDirectory } from './lock.ts';
import { clearOrphans } from './orphans.ts';
import { canDieWithOwner, type PostmasterExit, startPostmaster } from './postmaster.ts';
import { socketDirectoryIn } from './settings.ts';
import { Supervisor } from './supervisor.ts';

/** `app` owns the database `hive` and nothing else; `superuser` may do everything, for repairs and test fixtures. */
export type PostgresRole = 'app' | 'superuser';

/** How to start. */
export interface EmbeddedPostgresOptions {
  /** Everything of the server lies here; made when absent. One process at a time. */
  readonly directory: string;
  readonly log: Log;
  /** On 127.0.0.1; a free one when absent. It stays the same across restarts of the server. */
  readonly port?: number;
  /** For throw-away clusters: does not sync what initdb wrote. The running server is as durable as always. */
  readonly fast?: boolean;
  /** The server ended unasked; it is being started again. */
  readonly onExit?: (exit: PostmasterExit) => void;
  /** The server accepts connections again. */
  readonly onRestart?: () => void;
  /** For copies that the server's user cannot reach elsewhere (only as root); /var/lib/hivekeeper when absent. */
  readonly systemDirectory?: string;
}

/** A running server. */
export interface EmbeddedPostgres extends AsyncDisposable {
  readonly port: number;
  /** Where the Unix socket lies; absent when its path would be too long for the kernel. */
  readonly socketDirectory: string | undefined;
  /** Of the postmaster; changes when it is started again. */
  readonly pid: number;
  /** `socket` has `?host=<directory>` and is some 15 % faster than `tcp`; it falls back to `tcp` where there is no socket. */
  url(role: PostgresRole, way?: 'tcp' | 'socket'): string;
  stop(): Promise<void>;
}

/** Starts the server of a directory, makes the cluster at the first time, and keeps it running until `stop` or our own end. */
export async function startEmbeddedPostgres(options: EmbeddedPostgresOptions): Promise<EmbeddedPostgres> {
  await mkdir(options.directory, { recursive: true, mode: 0o700 });
  const directory = await realpath(options.directory);
  const lock = lockDirectory(directory);
  try {
    return await startLocked({ ...options, directory }, lock);
  } catch (error) {
    lock[Symbol.dispose]();
    throw error;
  }
}

async function startLocked(options: EmbeddedPostgresOptions, lock: Disposable): Promise<EmbeddedPostgres> {
  const { directory, log } = options;
  const cluster = await prepareCluster({
    directory,
    package: await installedPackage(),
    systemDirectory: options.systemDirectory ?? '/var/lib/hivekeeper',
    fast: options.fast ?? false,
  });
  const port = options.port ?? (await freePort());
  const socketDirectory = socketDirectoryIn(cluster.path, port);
  const supervisor = await Supervisor.start({
    start: async () => {
      await clearOrphans(cluster.path, log);
      return startPostmaster(cluster, { port, socketDirectory, logFile: join(directory, 'postgres.log') });
    },
    clock: systemClock,
    wait: (delayMs, signal) => wait(delayMs, undefined, { signal }),
    log,
    onExit: options.onExit ?? (() => {}),
    onRestart: options.onRestart ?? (() => {}),
  });
  if (!canDieWithOwner()) log.warn('setpriv is missing: when this process is killed, PostgreSQL runs on until the next start');
  log.info({ port, pid: supervisor.pid, cluster: cluster.path }, 'PostgreSQL is ready');
  const stop = async () => {
    await supervisor.stop();
    // A postmaster that was killed may have left backends that are still on their way out.
    await clearOrphans(cluster.path, log);
    lock[Symbol.dispose]();
  };
  return {
    port,
    socketDirectory,
    get pid() {
      return supervisor.pid;
    },
    url: (role, way = 'tcp') => urlOf(cluster, role, { port, host: way === 'socket' ? socketDirectory : undefined }),
    stop,
    [Symbol.asyncDispose]: stop,
  };
}

function urlOf(
  { secrets }: Cluster,
  role: PostgresRole,
  { port, host }: { readonly port: number; readonly host: string | undefined },
): string {
  const [user, password, database] =
    role === 'app' ? ['hive', secrets.appPassword, 'hive'] : ['postgres', secrets.superuserPassword, 'postgres'];
  const way = host === undefined ? '' : `?host=${encodeURIComponent(host)}`;
  return `postgres://${user}:${password}@127.0.0.1:${port}/${database}${way}`;
}

// Below the range from which the kernel takes ports for outgoing connections, so that nobody is given ours while the server restarts.
const [firstPort, lastPort] = [20_000, 29_999];

async function freePort(): Promise<number> {
  for (let attempt = 0; attempt < 50; attempt += 1) {
    const port = firstPort + Math.floor(systemRandom.next() * (lastPort - firstPort + 1));
    if (await isFree(port)) return port;
  }
  throw new HiveError('PORT_IN_USE', `No free port found from ${firstPort} to ${lastPort}.`);
}

async function isFree(port: number): Promise<boolean> {
  const probe = createServer();
  try {
    probe.listen(port, '127.0.0.1');
    await once(probe, 'listening');
    return true;
  } catch {
    return false;
  } finally {
    probe.close();
  }
}
