import { defaultTenantId, type RunId, type WorkflowInput } from '@hivekeeper/contract';
import postgres from 'postgres';
import { beforeEach, describe, expect, test } from 'vitest';
import type { Engine } from '../../apps/control/src/engine.ts';
import { imbalanceOf } from '../../apps/control/src/flow/runs/index.ts';
import { imbalances, stuckRuns } from '../chaos/invariants.ts';
import { chain, deploy, ended, engineOn, ownDatabase, seatWorker, start, succeed, until } from './fixture.ts';

const { database, sql } = await ownDatabase();

const tenantId = defaultTenantId;
// Further away than anything here is late: what is found is found whatever the time.
const neverMs = 86_400_000;

beforeEach(() => sql`TRUNCATE runs, run_journal, tickets, approvals, run_turns, effects, idempotency_keys`);

const stuckIn = ({ services }: Engine, overdueMs = neverMs) => services.census.stuck(tenantId, overdueMs);

const waits: readonly (readonly [what: string, workflow: Omit<WorkflowInput, 'name'>])[] = [
  ['a ready ticket', { nodes: [{ id: 'a', agent: 'noop', requires: ['gpu'] }] }],
  ['a live lease', { nodes: [{ id: 'a', agent: 'noop', action: 'keep' }] }],
  ['a timer', { nodes: [{ id: 'a', sleep: { forMs: 3_600_000 } }] }],
  ['a signal', { nodes: [{ id: 'a', wait: { signal: 'go' } }] }],
  ['an event', { nodes: [{ id: 'a', wait: { event: 'order.paid', key: '42' } }] }],
  ['an approval', { nodes: [{ id: 'a', agent: 'noop', approval: {} }] }],
];

/** A run whose only node waits for an effect of which nobody knows how it ended. */
async function waitingForAnEffect(): Promise<RunId> {
  await using engine = await engineOn(database.url);
  await deploy(engine, chain('one', 1));
  const runId = await start(engine, 'one');
  await sql`DELETE FROM tickets`;
  await sql`
    INSERT INTO effects (id, tenant_id, run_id, node_id, slot, step, tool, args, args_sha256, has_probe, state, dispatch_count, begun_at, awaited_by, version)
    VALUES ('eff', ${tenantId}, ${runId}, 'n0', 0, 'pay', 'bank.pay', '{}', '', false, 'unknown', 1, now(), 'tkt', 1)`;
  return runId;
}

describe('stuck_runs', () => {
  test.each(waits)('does not name a run with %s', async (_what, workflow) => {
    await using engine = await engineOn(database.url);
    seatWorker(engine, () => undefined);
    await deploy(engine, { name: 'waits', ...workflow });
    const runId = await start(engine, 'waits');
    await until(engine, runId, ({ type }) => type === 'run.started');
    expect(await stuckIn(engine)).toEqual([]);
    await engine.services.orders.cancel({ tenantId, runId, by: 'test' });
  });

  test('does not name one that is paused between its tickets, one that is queued, or one that has ended', async () => {
    await using engine = await engineOn(database.url);
    seatWorker(engine, succeed);
    await deploy(engine, { name: 'turns', concurrency: { key: 'one', limit: 1 }, nodes: [{ id: 'a', wait: { signal: 'go' } }] });
    await deploy(engine, { name: 'held', nodes: [{ id: 'a', agent: 'noop', requires: ['gpu'] }] });
    await deploy(engine, chain('done', 1));
    await ended(engine, await start(engine, 'done'));
    await start(engine, 'turns');
    await start(engine, 'turns');
    const held = await start(engine, 'held');
    await engine.services.orders.pause({ tenantId, runId: held, by: 'test' });
    expect(await stuckIn(engine)).toEqual([]);
    expect(await stuckIn(engine, 0)).toEqual([]);
  });

  test('names a run whose ticket is gone, at once', async () => {
    await using engine = await engineOn(database.url);
    await deploy(engine, chain('one', 1));
    const runId = await start(engine, 'one');
    expect(await stuckIn(engine)).toEqual([]);
    expect(await stuckRuns(sql, neverMs)).toEqual([]);
    await sql`DELETE FROM tickets`;
    expect(await stuckIn(engine)).toEqual([runId]);
    expect(await stuckRuns(sql, neverMs)).toEqual([`${runId} is RUNNING`]);
  });

  test('does not name a run whose agent waits to hear what became of an effect', async () => {
    const runId = await waitingForAnEffect();
    // No control plane is there any more that could tell it.
    await using watcher = await connected();
    const named = async (overdueMs: number) =>
      (await watcher<{ run_id: RunId }[]>`SELECT run_id FROM stuck_runs(${overdueMs})`).map(({ run_id }) => run_id);
    expect(await named(neverMs)).toEqual([]);
    // Known how it ended, and still to be told.
    await sql`UPDATE effects SET state = 'confirmed', outcome = '{}', ended_at = now() - interval '5 s'`;
    expect([await named(20_000), await named(1_000)]).toEqual([[], [runId]]);
    await sql`UPDATE effects SET awaited_by = NULL`;
    expect(await named(neverMs)).toEqual([runId]);
  });

  test('names a run whose lease or due time was let pass, once it is overdue', async () => {
    const [leased, slept] = await twoWaiting();
    await sql`UPDATE tickets SET lease_until = now() - interval '30 s'`;
    await sql`UPDATE runs SET wake_at = now() - interval '30 s' WHERE id = ${slept}`;
    await using watcher = await connected();
    const named = (overdueMs: number) => watcher`SELECT run_id FROM stuck_runs(${overdueMs}) ORDER BY 1`;
    expect((await named(20_000)).map(({ run_id }) => run_id).sort()).toEqual([leased, slept].sort());
    expect(await named(60_000)).toHaveLength(0);
  });
});

/** A run that is leased and one that sleeps, in a database that no control plane looks after any more. */
async function twoWaiting(): Promise<readonly [RunId, RunId]> {
  await using engine = await engineOn(database.url);
  const worker = seatWorker(engine, () => undefined);
  await deploy(engine, chain('one', 1));
  await deploy(engine, { name: 'sleeps', nodes: [{ id: 'a', sleep: { forMs: 3_600_000 } }] });
  const leased = await start(engine, 'one');
  await worker.ticket(1);
  return [leased, await start(engine, 'sleeps')];
}

async function connected(): Promise<postgres.Sql & AsyncDisposable> {
  const connection = postgres(database.superuserUrl, { max: 1 });
  return Object.assign(connection, { [Symbol.asyncDispose]: () => connection.end() });
}

describe('accepted runs', () => {
  test('are those that ended and those in flight, and a row that is gone is missed', async () => {
    await using engine = await engineOn(database.url);
    await deploy(engine, chain('done', 1));
    await deploy(engine, { name: 'waits', nodes: [{ id: 'a', wait: { signal: 'go' } }] });
    seatWorker(engine, succeed);
    const done = await start(engine, 'done');
    await ended(engine, done);
    const cancelled = await start(engine, 'waits');
    await engine.services.orders.cancel({ tenantId, runId: cancelled, by: 'test' });
    await start(engine, 'waits');
    const counts = await engine.services.census.counts(tenantId);
    expect(counts).toEqual({ accepted: 3, byStatus: { SUCCESS: 1, CANCELLED: 1, RUNNING: 1 } });
    expect(imbalanceOf(counts)).toBe(0);
    expect(await imbalances(sql)).toEqual([]);
    await sql`DELETE FROM runs WHERE id = ${done}`;
    expect(await imbalances(sql)).toEqual([`${tenantId}: 3 accepted, 2 rows, 1 ended, 1 in flight`]);
    expect(imbalanceOf(await engine.services.census.counts(tenantId))).toBe(1);
  });
});
