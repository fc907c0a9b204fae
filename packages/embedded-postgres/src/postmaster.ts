import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, existsSync, openSync } from 'node:fs';
import { readFile, rename, stat } from 'node:fs/promises';
import { constants } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises'; // unlike the kernel's, it keeps the process alive: nothing else may at start
import { HiveError } from '@hivekeeper/contract';
import { systemClock } from '@hivekeeper/kernel';
import { serverEnvironment } from './account.ts';
import type { Cluster } from './cluster.ts';
import { type Listening, postmasterArguments } from './settings.ts';

/** How a postmaster ended. */
export interface PostmasterExit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** A postmaster that accepts connections. */
export interface Postmaster {
  readonly pid: number;
  /** Resolves when it has ended, however. */
  readonly exited: Promise<PostmasterExit>;
  /** Fast shutdown: open transactions roll back. Harder signals follow where that takes too long. */
  stop(): Promise<void>;
}

/** Where and how to listen, and the file that gets what the server says. */
export interface PostmasterOptions extends Listening {
  readonly logFile: string;
}

const readyPollMs = 5;
// Recovery after a crash reads at most max_wal_size.
const startPatienceMs = 120_000;
const stopPatienceMs = 20_000;
const quitPatienceMs = 5_000;
const maxLogBytes = 10 * 1024 * 1024;

/**
 * Starts a postmaster and waits until it accepts connections.
 *
 * `setpriv --pdeathsig` makes the kernel send a fast shutdown when the thread that spawned it ends, even by SIGKILL;
 * the shell in between refuses to start when we died before that took hold. Where there is no setpriv (macOS, some
 * minimal images), a killed owner leaves the server running until the next start on the directory: that ends it on
 * Linux, and fails elsewhere.
 */
export async function startPostmaster(cluster: Cluster, options: PostmasterOptions): Promise<Postmaster> {
  const { account } = cluster;
  await rotate(options.logFile);
  const log = openSync(options.logFile, 'a', 0o600);
  const identity = process.getuid?.() === account.uid ? {} : { uid: account.uid, gid: account.gid };
  const [program = '', ...args] = commandOf(cluster, options);
  const child = spawn(program, args, { ...identity, cwd: '/', env: serverEnvironment, stdio: ['ignore', log, log] });
  closeSync(log);
  const exited = exitOf(child);
  const postmaster = { pid: child.pid ?? 0, exited, stop: () => stop(child, exited) };
  try {
    await ready(cluster.path, postmaster);
  } catch (error) {
    await postmaster.stop();
    throw HiveError.is(error) ? new HiveError(error.code, `${error.message} Its log ends: ${await tail(options.logFile)}`) : error;
  }
  return postmaster;
}

/** Whether the server ends with its owner by itself. */
export const canDieWithOwner = (): boolean =>
  process.platform === 'linux' && serverEnvironment.PATH.split(':').some((directory) => existsSync(join(directory, 'setpriv')));

function commandOf(cluster: Cluster, listening: Listening): string[] {
  const server = [cluster.binaries.postgres, ...postmasterArguments(cluster.path, listening)];
  if (!canDieWithOwner()) return server;
  return ['setpriv', '--pdeathsig', 'INT', 'sh', '-c', 'test "$PPID" = "$0" && exec "$@"', String(process.pid), ...server];
}

function exitOf(child: ChildProcess): Promise<PostmasterExit> {
  return new Promise((resolve) => {
    child.once('exit', (code, signal) => resolve({ code, signal }));
    child.once('error', () => resolve({ code: constants.errno.ENOENT, signal: null }));
  });
}

/** The postmaster itself says in its pid file when it is ready; asking it by connections would need a password at every turn. */
async function ready(cluster: string, { pid, exited }: Pick<Postmaster, 'pid' | 'exited'>): Promise<void> {
  let end: PostmasterExit | undefined;
  void exited.then((exit) => (end = exit));
  const deadlineMs = systemClock.monotonicMs() + startPatienceMs;
  while (systemClock.monotonicMs() < deadlineMs) {
    if (end !== undefined) throw new HiveError('DATABASE_UNAVAILABLE', `PostgreSQL ended at its start (${end.signal ?? end.code}).`);
    const lines = (await readFile(join(cluster, 'postmaster.pid'), 'utf8').catch(() => '')).split('\n');
    if (Number(lines[0]) === pid && lines[7]?.trim() === 'ready') return;
    await wait(readyPollMs);
  }
  throw new HiveError('DATABASE_UNAVAILABLE', `PostgreSQL was not ready after ${startPatienceMs} ms.`);
}

async function stop(child: ChildProcess, exited: Promise<PostmasterExit>): Promise<void> {
  const harder = [
    systemClock.after(stopPatienceMs, () => child.kill('SIGQUIT')),
    systemClock.after(stopPatienceMs + quitPatienceMs, () => child.kill('SIGKILL')),
  ];
  child.kill('SIGINT');
  await exited;
  for (const timer of harder) timer.cancel();
}

async function rotate(logFile: string): Promise<void> {
  const sizeBytes = await stat(logFile).then(
    ({ size }) => size,
    () => 0,
  );
  if (sizeBytes > maxLogBytes) await rename(logFile, `${logFile}.1`);
}

const tail = async (logFile: string): Promise<string> => (await readFile(logFile, 'utf8')).trim().split('\n').slice(-5).join(' | ');
