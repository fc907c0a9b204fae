import { HiveError, type RunId } from '@hivekeeper/contract';
import { newLog } from '@hivekeeper/kernel';
import { FakeClock } from '@hivekeeper/testkit';
import { beforeEach, expect, it } from 'vitest';
import type { Driver, RunStore } from '../../flow/runs/index.ts';
import { postgresDriver } from './driver.ts';

let clock: FakeClock;
let dueAtMs: Map<RunId, number>;
let looks: number;
let woken: { readonly runId: RunId; readonly atMs: number }[];
/** Runs that cannot be woken. */
let stuck: Set<RunId>;
let fault: HiveError | undefined;

const runOf = (number: number) => `run_${number}` as RunId;

beforeEach(() => {
  clock = new FakeClock();
  [dueAtMs, woken, stuck, looks, fault] = [new Map(), [], new Set(), 0, undefined];
});

const due: RunStore['due'] = async (nowMs, most) => {
  looks += 1;
  if (fault !== undefined) throw fault;
  const rows = [...dueAtMs].sort(([, one], [, other]) => one - other);
  const runIds = rows
    .filter(([, atMs]) => atMs <= nowMs)
    .map(([runId]) => runId)
    .slice(0, most);
  return { runIds, nextAtMs: rows[runIds.length]?.[1] };
};

async function wake(runId: RunId): Promise<void> {
  if (stuck.has(runId)) throw new HiveError('INTERNAL');
  dueAtMs.delete(runId);
  woken.push({ runId, atMs: clock.nowMs() });
}

const start = (wakeRun = wake): Driver =>
  postgresDriver({ store: { due } as RunStore, clock, log: newLog({ level: 'silent', component: 'test' }), wake: wakeRun });

it('wakes at once what fell due while nobody looked', async () => {
  dueAtMs.set(runOf(1), clock.nowMs() - 1).set(runOf(2), clock.nowMs());
  start();
  await clock.advance(0);
  expect(woken.map(({ runId }) => runId)).toEqual([runOf(1), runOf(2)]);
});

it('wakes each run at its time, and not before', async () => {
  const startMs = clock.nowMs();
  const driver = start();
  await clock.advance(10);
  for (const [number, inMs] of [
    [1, 3_000],
    [2, 1_000],
    [3, 60_000],
  ] as const) {
    dueAtMs.set(runOf(number), startMs + inMs);
    driver.wakeAt(runOf(number), startMs + inMs);
  }
  await clock.advance(120_000);
  expect(woken).toEqual([
    { runId: runOf(2), atMs: startMs + 1_000 },
    { runId: runOf(1), atMs: startMs + 3_000 },
    { runId: runOf(3), atMs: startMs + 60_000 },
  ]);
});

it('finds what another control plane stored without telling, within 5 s of its time', async () => {
  const driver = start();
  await clock.advance(100);
  driver.wakeAt(runOf(9), clock.nowMs() + 60_000);
  dueAtMs.set(runOf(1), clock.nowMs() + 500);
  await clock.advance(5_000);
  expect(woken).toHaveLength(1);
});

it('wakes 1,200 that are due together without a pause', async () => {
  for (let number = 0; number < 1_200; number += 1) dueAtMs.set(runOf(number), clock.nowMs());
  start();
  await clock.advance(10);
  expect(woken).toHaveLength(1_200);
});

it('tries a run that cannot be woken again, not without end, and wakes the others meanwhile', async () => {
  for (let number = 0; number < 600; number += 1) {
    dueAtMs.set(runOf(number), clock.nowMs());
    if (number < 500) stuck.add(runOf(number));
  }
  start();
  await clock.advance(4_000);
  expect(looks).toBeLessThan(5);
  stuck.clear();
  await clock.advance(6_000);
  expect(woken).toHaveLength(600);
});

it('goes on after the database could not be read', async () => {
  fault = new HiveError('DATABASE_UNAVAILABLE');
  dueAtMs.set(runOf(1), clock.nowMs());
  start();
  await clock.advance(1_000);
  fault = undefined;
  await clock.advance(5_000);
  expect(woken).toHaveLength(1);
});

it('ends with no timer set, and not before what it began is done', async () => {
  dueAtMs.set(runOf(1), clock.nowMs());
  const { promise, resolve } = Promise.withResolvers<void>();
  const driver = start(() => promise);
  await clock.advance(0);
  let isEnded = false;
  const ended = driver[Symbol.asyncDispose]().then(() => {
    isEnded = true;
  });
  await clock.advance(0);
  expect(isEnded).toBe(false);
  resolve();
  await ended;
  driver.wakeAt(runOf(1), clock.nowMs());
  expect(clock.pendingTimers).toBe(0);
});
