import { defaultTenantId, type RunEvent, type RunId, type RunStatus, type WorkflowInput } from '@hivekeeper/contract';
import { FakeClock } from '@hivekeeper/testkit';
import { describe, expect, test } from 'vitest';
import type { Engine } from '../../apps/control/src/engine.ts';
import { deploy, ended, engineOn, ownDatabase, seatWorker, start, until } from './fixture.ts';

const { database, sql } = await ownDatabase();

const hourMs = 3_600_000;
const dayMs = 24 * hourMs;

/** What each run waits for when the control plane goes, and how it ends when that is over. */
const scenes: Readonly<
  Record<string, { readonly workflow: Omit<WorkflowInput, 'name'>; readonly ends: RunStatus; readonly code?: string }>
> = {
  retry: {
    workflow: { nodes: [{ id: 'a', agent: 'noop', retry: { maxAttempts: 2, backoffMs: hourMs, jitterRatio: 0 } }] },
    ends: 'SUCCESS',
  },
  sleep: { workflow: { nodes: [{ id: 'a', sleep: { forMs: 3 * dayMs } }] }, ends: 'SUCCESS' },
  lapse: { workflow: { nodes: [{ id: 'a', wait: { signal: 'go', expiresAfterMs: hourMs } }] }, ends: 'FAILED', code: 'SIGNAL_EXPIRED' },
  expiry: {
    workflow: { nodes: [{ id: 'a', agent: 'noop', approval: { expiresAfterMs: hourMs } }] },
    ends: 'FAILED',
    code: 'APPROVAL_EXPIRED',
  },
  deadline: {
    workflow: { timeoutMs: 2 * hourMs, nodes: [{ id: 'a', wait: { signal: 'go', expiresAfterMs: 30 * dayMs } }] },
    ends: 'TIMED_OUT',
    code: 'RUN_TIMED_OUT',
  },
  queued: {
    workflow: { timeoutMs: 2 * hourMs, concurrency: { key: 'full', limit: 1 }, nodes: [{ id: 'a', agent: 'noop' }] },
    ends: 'TIMED_OUT',
    code: 'RUN_TIMED_OUT',
  },
};

const eventsOf = async (runId: RunId): Promise<RunEvent[]> =>
  (await sql<{ events: RunEvent[] }[]>`SELECT events FROM run_journal WHERE run_id = ${runId} ORDER BY version`).flatMap(
    (row) => row.events,
  );

/** Lets time pass until it is so. */
async function passing<T>(clock: FakeClock, wanted: Promise<T>): Promise<T> {
  let isOver = false;
  void wanted.finally(() => (isOver = true)).catch(() => {});
  while (!isOver) await clock.advance(1);
  return wanted;
}

/** Starts every scene, the first attempt of each agent failing; gives them when each of them waits. */
async function begin(engine: Engine, clock: FakeClock): Promise<ReadonlyMap<string, RunId>> {
  seatWorker(engine, () => ({ ok: false, error: { code: 'AGENT_FAILED', message: 'not yet' } }));
  await deploy(engine, { name: 'holder', concurrency: { key: 'full', limit: 1 }, nodes: [{ id: 'a', wait: { signal: 'never' } }] });
  const holder = await start(engine, 'holder');
  await passing(
    clock,
    until(engine, holder, ({ type }) => type === 'run.started'),
  );
  const runIds = new Map<string, RunId>();
  for (const [name, { workflow }] of Object.entries(scenes)) {
    await deploy(engine, { name, ...workflow });
    runIds.set(name, await start(engine, name));
  }
  const retrying = runIds.get('retry') as RunId;
  await passing(
    clock,
    until(engine, retrying, ({ type }) => type === 'attempt.failed'),
  );
  return runIds;
}

describe('what fell due while no control plane was there', () => {
  test('happens when two come back, once, as if nothing had been in between', async () => {
    const clock = new FakeClock(Date.now());
    const before = await engineOn(database.url, { clock });
    const runIds = await begin(before, clock);
    await before[Symbol.asyncDispose]();
    await clock.advance(4 * dayMs);
    await using left = await engineOn(database.url, { clock });
    await using right = await engineOn(database.url, { clock });
    for (const engine of [left, right]) seatWorker(engine, () => ({ ok: true, output: null }));
    for (const [name, runId] of runIds) {
      const { ends, code } = scenes[name] as (typeof scenes)[string];
      expect([name, await passing(clock, ended(left, runId))]).toEqual([name, ends]);
      expect([name, (await left.services.runStore.summary(defaultTenantId, runId))?.error?.code]).toEqual([name, code]);
      const settled = (await eventsOf(runId)).filter(({ type }) => type === 'ticket.settled');
      expect([name, settled.length]).toEqual([name, name === 'retry' ? 2 : 0]);
    }
  });
});
