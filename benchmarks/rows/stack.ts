/*
 * Program: the whole product as `hive up` runs it (control plane, one worker, embedded database). From starting the process to
 * `GET /ready` answering 200, the first time (the database is made) and again; then what everything weighs after ten idle seconds.
 * Arguments: directory, number of starts.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { HiveError } from '@hivekeeper/contract';
import { treePssMebibytes } from '../harness/memory.ts';
import { freePort } from '../harness/server.ts';
import { median } from '../harness/statistics.ts';

/** One round: several starts of one installation. */
export interface StackRound {
  readonly firstStartMs: number;
  readonly startMs: readonly number[];
  readonly startMedianMs: number;
  readonly idlePssMebibytes: number;
}

const main = fileURLToPath(new URL('../../apps/control/src/main.ts', import.meta.url));
const idleMs = 10_000;
const patienceMs = 30_000;

async function startStack(directory: string, port: number): Promise<{ child: ChildProcess; readyMs: number }> {
  const startedAt = performance.now();
  const args = [main, '--data', join(directory, 'data'), '--port', String(port), '--no-auth', '--workers', '1', '--json'];
  const child = spawn(process.execPath, args, {
    stdio: ['ignore', 'ignore', 'inherit'],
    env: { ...process.env, HIVE_LOG_LEVEL: 'error', HIVE_V1_RATE_PER_MINUTE: '0' },
    cwd: directory,
  });
  while (!(await isReady(port))) {
    if (child.exitCode !== null) throw new HiveError('INTERNAL', `the control plane ended with ${child.exitCode}`);
    if (performance.now() - startedAt > patienceMs) throw new HiveError('INTERNAL', 'the control plane did not become ready');
    await pause(3);
  }
  return { child, readyMs: performance.now() - startedAt };
}

const isReady = (port: number): Promise<boolean> =>
  fetch(`http://127.0.0.1:${port}/ready`).then(
    (response) => response.status === 200,
    () => false,
  );

async function stopStack(child: ChildProcess): Promise<void> {
  const ended = new Promise((resolve) => child.once('close', resolve));
  child.kill('SIGTERM');
  await ended;
}

const [directory = '', startCountText = '5'] = process.argv.slice(2);
const port = await freePort();
const first = await startStack(directory, port);
await stopStack(first.child);
const startMs: number[] = [];
let idlePssMebibytes = 0;
const startCount = Number(startCountText);
for (let index = 0; index < startCount; index += 1) {
  const { child, readyMs } = await startStack(directory, port);
  startMs.push(readyMs);
  if (index === startCount - 1) {
    await pause(idleMs);
    idlePssMebibytes = treePssMebibytes(child.pid ?? 0);
  }
  await stopStack(child);
}
const round: StackRound = { firstStartMs: first.readyMs, startMs, startMedianMs: median(startMs), idlePssMebibytes };
process.stdout.write(`${JSON.stringify(round)}\n`);
