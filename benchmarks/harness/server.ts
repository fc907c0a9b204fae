import { type ChildProcess, spawn } from 'node:child_process';
import { openSync } from 'node:fs';
import { type AddressInfo, connect, createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { HiveError } from '@hivekeeper/contract';

/** A server program, run so that the kernel ends it when this process dies, however this process dies. */
export interface ServerStart {
  readonly command: string;
  readonly args: readonly string[];
  readonly directory: string;
  readonly environment?: Readonly<Record<string, string>>;
}

/** A started server. */
export interface Server {
  /** Ends it with its own orderly shutdown, and resolves when it is gone. */
  stop(): Promise<void>;
}

/** Starts a server; its output goes to `server.log` in its directory. */
export function startServer(start: ServerStart): Server {
  const log = openSync(join(start.directory, 'server.log'), 'a');
  const child = spawn('setpriv', ['--pdeathsig=INT', start.command, ...start.args], {
    cwd: start.directory,
    env: { ...process.env, ...start.environment },
    stdio: ['ignore', log, log],
  });
  const ended = new Promise<void>((resolve) => {
    child.once('close', () => resolve());
    child.once('error', () => resolve());
  });
  return { stop: () => end(child, ended) };
}

async function end(child: ChildProcess, ended: Promise<void>): Promise<void> {
  child.kill('SIGINT');
  const force = setTimeout(() => child.kill('SIGKILL'), 10_000);
  await ended;
  clearTimeout(force);
}

/** A loopback port nobody listens on. Another process may still take it before it is used. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** Resolves when `probe` does not throw any more. */
export async function untilReady(what: string, probe: () => Promise<unknown>): Promise<void> {
  const endsAt = performance.now() + 20_000;
  for (;;) {
    try {
      await probe();
      return;
    } catch (error) {
      if (performance.now() > endsAt) throw new HiveError('INTERNAL', `${what} did not get ready within 20 s.`, { cause: error });
      await pause(20);
    }
  }
}

/** Rejects where nobody accepts connections on the port. */
export function probePort(port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('error', reject);
    socket.once('connect', () => {
      socket.destroy();
      resolve();
    });
  });
}
