import { spawn } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';

/** What a child came to: the JSON document it left as the last line of its output, or why there is none. */
export type ChildResult<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly reason: string };

/** A script run in a process of its own, in an empty directory that is removed afterwards. */
export interface ChildRun {
  readonly script: string;
  readonly args: readonly string[];
  readonly timeoutMs: number;
}

/** Runs a script in a child process; never throws. Servers that the script started through `startServer` die with it. */
export async function runChild<T>(run: ChildRun): Promise<ChildResult<T>> {
  const directory = mkdtempSync(join(tmpdir(), 'hivekeeper-bench-'));
  // Servers that run as another user must be able to enter it.
  chmodSync(directory, 0o755);
  try {
    return await supervise<T>(run, directory);
  } finally {
    rmSync(directory, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 });
  }
}

async function supervise<T>(run: ChildRun, directory: string): Promise<ChildResult<T>> {
  const child = spawn(process.execPath, [run.script, directory, ...run.args], { stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  let errors = '';
  child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (errors = (errors + chunk.toString()).slice(-4_000)));
  let isOverdue = false;
  const bound = setTimeout(() => {
    isOverdue = true;
    child.kill('SIGKILL');
  }, run.timeoutMs);
  const exitCode = await new Promise<number | null>((resolve) => {
    child.once('error', () => resolve(null));
    child.once('close', resolve);
  });
  clearTimeout(bound);
  if (isOverdue) {
    // Its servers notice its end, and still write while they shut down.
    await pause(2_000);
    return { ok: false, reason: `not finished within ${run.timeoutMs / 1_000} s` };
  }
  if (exitCode !== 0) return { ok: false, reason: firstErrorLine(errors) ?? `exit ${exitCode}` };
  return parse<T>(output.trim().split('\n').at(-1) ?? '');
}

function parse<T>(line: string): ChildResult<T> {
  try {
    return { ok: true, value: JSON.parse(line) as T };
  } catch {
    return { ok: false, reason: `no figures in its output: ${line.slice(0, 200)}` };
  }
}

/** What Node prints of an uncaught error, or a program of ours of a known one: without the source line above and the stack below. */
const firstErrorLine = (errors: string): string | undefined =>
  errors
    .split('\n')
    .find((line) => /^(?:\w*[Ee]rror(?: \[\w+\])?|[A-Z_]{4,}): /.test(line))
    ?.slice(0, 300);
