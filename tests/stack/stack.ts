import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as pause } from 'node:timers/promises';
import { type Client, createClient } from '@hivekeeper/client';

const product = resolve(import.meta.dirname, '../..');

/** How to start a stack. */
export interface StackOptions {
  /** Kept between starts by whoever restarts it. */
  readonly dataDirectory: string;
  readonly workerCount?: number;
  readonly port?: number;
  readonly roots?: readonly string[];
  readonly leaseMs?: number;
  readonly isOpen?: boolean;
  readonly environment?: Readonly<Record<string, string>>;
}

/** The whole product as processes: control plane, PostgreSQL, workers. */
export interface Stack extends AsyncDisposable {
  readonly url: string;
  readonly port: number;
  readonly pid: number;
  readonly client: Client;
  readonly adminKey: string;
  readonly control: ChildProcess;
  /** Ends it as an operator would; resolves with the exit status. */
  stop(): Promise<number | null>;
}

/** A directory that goes with the test. */
export async function temporaryDirectory(name: string): Promise<AsyncDisposable & { readonly path: string }> {
  const path = await mkdtemp(join(tmpdir(), `hive-${name}-`));
  await chmod(path, 0o755);
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}

/** Starts the control plane, with local workers, and waits until it is ready. */
export async function startStack(options: StackOptions): Promise<Stack> {
  const { dataDirectory, workerCount = 1, port = 0, roots = [], leaseMs = 3_000, isOpen = false } = options;
  const control = spawn(
    process.execPath,
    [
      '--disable-warning=ExperimentalWarning',
      join(product, 'apps/control/src/main.ts'),
      '--json',
      '--data',
      dataDirectory,
      '--port',
      String(port),
      '--workers',
      String(workerCount),
      ...roots.flatMap((root) => ['--root', root]),
      ...(isOpen ? ['--no-auth'] : []),
    ],
    {
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
      env: {
        PATH: process.env['PATH'],
        HOME: process.env['HOME'],
        HIVE_LEASE_MS: String(leaseMs),
        HIVE_LOG_LEVEL: 'info',
        // They would be counted where tests count executions.
        HIVE_CANARY_MS: '0',
        ...options.environment,
      },
    },
  );
  const log: string[] = [];
  createInterface({ input: control.stderr! }).on('line', (line) => log.push(line));
  const ready = await firstLine(control, log);
  const adminKey = (await readFile(join(dataDirectory, 'admin.key'), 'utf8')).trim();
  const stop = async () => {
    if (control.exitCode !== null || control.signalCode !== null) return control.exitCode;
    const exited = once(control, 'exit');
    control.kill('SIGTERM');
    return ((await exited) as [number | null])[0];
  };
  return {
    url: ready.url,
    port: Number(new URL(ready.url).port),
    pid: ready.pid,
    client: createClient({ url: ready.url, token: adminKey }),
    adminKey,
    control,
    stop,
    [Symbol.asyncDispose]: async () => void (await stop()),
  };
}

function firstLine(control: ChildProcess, log: readonly string[]): Promise<{ readonly url: string; readonly pid: number }> {
  return new Promise((fulfil, reject) => {
    createInterface({ input: control.stdout! }).once('line', (line) => {
      const told = JSON.parse(line) as { readonly url: string; readonly pid: number } | { readonly error: unknown };
      if ('url' in told) fulfil(told);
    });
    control.once('exit', (exitCode, signal) => reject(new StackDidNotStart(`exit ${exitCode ?? signal}: ${log.slice(-10).join('\n')}`)));
  });
}

/** The control plane ended before it was ready; the message has the end of its log. */
export class StackDidNotStart extends Error {}

/** Processes below `ancestor` (itself excluded) whose command line holds `text`. */
export async function descendants(ancestor: number, text = ''): Promise<number[]> {
  const processes = await allProcesses();
  const found: number[] = [];
  for (const { pid } of processes) if (isBelow(pid, ancestor, processes) && (await commandLine(pid)).includes(text)) found.push(pid);
  return found;
}

/** True while the process exists and is no zombie. */
export async function isAlive(pid: number): Promise<boolean> {
  const status = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => undefined);
  return status !== undefined && !/\) [ZX] /.test(status);
}

/** kill -9. One that ended by itself a moment before is no fault. */
export function killAll(pids: readonly number[]): void {
  for (const pid of pids) {
    try {
      process.kill(pid, 'SIGKILL');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
    }
  }
}

/** Between two looks from outside: who looks without a rest takes a core from what it looks at. */
export const rest = (): Promise<void> => pause(10);

/** Resolves when none of the processes is alive any more. */
export async function allGone(pids: readonly number[]): Promise<void> {
  while ((await Promise.all(pids.map(isAlive))).some(Boolean)) await rest();
}

const commandLine = (pid: number) =>
  readFile(`/proc/${pid}/cmdline`, 'utf8').then(
    (text) => text.replaceAll('\0', ' '),
    () => '',
  );

async function allProcesses(): Promise<{ readonly pid: number; readonly parent: number }[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name)).map(Number);
  const rows = await Promise.all(
    pids.map(async (pid) => {
      const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => undefined);
      return stat === undefined ? [] : [{ pid, parent: Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]) }];
    }),
  );
  return rows.flat();
}

function isBelow(pid: number, ancestor: number, processes: readonly { readonly pid: number; readonly parent: number }[]): boolean {
  let current = processes.find((process) => process.pid === pid)?.parent;
  while (current !== undefined && current !== ancestor && current > 1)
    current = processes.find((process) => process.pid === current)?.parent;
  return current === ancestor;
}
