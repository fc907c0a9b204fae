import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import postgres from 'postgres';
import { serverEnvironment } from '../../packages/embedded-postgres/src/account.ts';
import { installedPackage } from '../../packages/embedded-postgres/src/binaries.ts';
import { prepareCluster } from '../../packages/embedded-postgres/src/cluster.ts';

/** A PostgreSQL that somebody else runs: the product is only told its address. */
export interface ExternalPostgres extends AsyncDisposable {
  /** For `DATABASE_URL`: the role owns the database and is bound by row security. */
  readonly url: string;
  /** As a superuser. */
  readonly sql: postgres.Sql;
}

// Below the range from which the kernel takes ports for outgoing connections, and above that of our own servers.
const [firstPort, portCount] = [30_000, 2_000];

async function freePort(): Promise<number> {
  for (let offset = process.pid; ; offset += 1) {
    const port = firstPort + (offset % portCount);
    const probe = createServer().listen(port, '127.0.0.1');
    const isFree = await once(probe, 'listening').then(
      () => true,
      () => false,
    );
    probe.close();
    if (isFree) return port;
  }
}

/** Starts one with settings of its own, also those that our own servers never have. */
export async function startExternalPostgres(directory: string, settings: Readonly<Record<string, string>> = {}): Promise<ExternalPostgres> {
  await mkdir(directory, { recursive: true });
  const { path, account, binaries, secrets } = await prepareCluster({
    directory,
    package: await installedPackage(),
    systemDirectory: join(directory, 'system'),
    fast: true,
  });
  const port = await freePort();
  const told = { listen_addresses: '127.0.0.1', port: String(port), unix_socket_directories: '', ...settings };
  const server = spawn(binaries.postgres, ['-D', path, ...Object.entries(told).flatMap(([name, value]) => ['-c', `${name}=${value}`])], {
    ...(process.getuid?.() !== account.uid && account),
    cwd: '/',
    env: serverEnvironment,
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const ended = once(server, 'exit');
  await acceptsConnections(server.stderr);
  const sql = postgres(`postgres://postgres:${secrets.superuserPassword}@127.0.0.1:${port}/hive`, { max: 1 });
  return {
    url: `postgres://hive:${secrets.appPassword}@127.0.0.1:${port}/hive`,
    sql,
    [Symbol.asyncDispose]: async () => {
      await sql.end();
      server.kill('SIGINT');
      await ended;
    },
  };
}

function acceptsConnections(log: NodeJS.ReadableStream): Promise<void> {
  const said: string[] = [];
  return new Promise((resolve, reject) => {
    createInterface({ input: log })
      .on('line', (line) => {
        said.push(line);
        if (line.includes('ready to accept connections')) resolve();
      })
      .on('close', () => reject(new ExternalPostgresEnded(said.join('\n'))));
  });
}

/** It ended before it was ready; the message is what it said. */
class ExternalPostgresEnded extends Error {}
