import {
  type AgentSpec,
  defaultTenantId,
  HiveError,
  type LeasedTicket,
  type Outcome,
  type RunId,
  type SetBreaker,
  type WorkflowInput,
} from '@hivekeeper/contract';
import { pause, systemClock } from '@hivekeeper/kernel';
import type { FreshDatabase } from '@hivekeeper/testkit';
import postgres from 'postgres';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Engine } from '../../apps/control/src/engine.ts';
import { builtin, deploy, ended, engineOn, migratedDatabase, seatWorker, start, succeed, type TestWorker } from './fixture.ts';

let database: FreshDatabase;
let sql: postgres.Sql;

beforeEach(async () => {
  database = await migratedDatabase();
  sql = postgres(database.superuserUrl, { max: 2 });
});
afterEach(async () => {
  await sql.end();
  await database.drop();
});

const register = ({ services }: Engine, name: string, more: Partial<AgentSpec>) =>
  services.agents.ensureSpec({ tenantId: defaultTenantId, spec: builtin(name, more), by: 'test' });
const wide = (name: string, count: number, more: Partial<WorkflowInput['nodes'][number]> = {}): WorkflowInput => ({
  name,
  nodes: Array.from({ length: count }, (_, index) => ({ id: `n${index}`, agent: 'noop', ...more })),
});
const startMany = (engines: readonly Engine[], workflow: string, count: number) =>
  Promise.all(Array.from({ length: count }, (_, index) => start(engines[index % engines.length] as Engine, workflow)));
const allEnded = (engine: Engine, runIds: readonly RunId[]) => Promise.all(runIds.map((runId) => ended(engine, runId)));

/** Looks every 20 ms, by a connection of its own, how many tickets with the condition are leased; the returned function ends it. */
function watchLeased(condition: () => postgres.PendingQuery<postgres.Row[]>): () => Promise<{ most: number; lookCount: number }> {
  const seen: number[] = [];
  const ending = new AbortController();
  const watching = (async () => {
    while (!ending.signal.aborted) {
      const [row] = await sql<{ leased: number }[]>`
        SELECT count(*)::integer AS leased FROM tickets WHERE token IS NOT NULL AND ${condition()}`;
      seen.push(row?.leased ?? 0);
      await pause(systemClock, 20, ending.signal);
    }
  })();
  return async () => {
    ending.abort();
    await watching.catch(() => undefined);
    return { most: Math.max(...seen), lookCount: seen.length };
  };
}

/** Work that takes a moment, and how much of it was ever under way at once, whoever did it. */
function countedWork(durationMs: number) {
  const counts = { now: 0, most: 0 };
  const work = async (): Promise<Outcome> => {
    counts.now += 1;
    counts.most = Math.max(counts.most, counts.now);
    await pause(systemClock, durationMs);
    counts.now -= 1;
    return { ok: true, output: 1 };
  };
  return { counts, work };
}

/** A worker whose tickets are settled by the test. */
function patientWorker(engine: Engine): TestWorker & { settle(ticket: LeasedTicket, outcome: Outcome): Promise<void> } {
  const worker = seatWorker(engine, () => undefined);
  const settle = ({ ticketId, token }: LeasedTicket, outcome: Outcome) =>
    engine.services.runs.settle({ workerId: worker.workerId, ticketId, token, outcome });
  return { ...worker, settle };
}

const readyTicketOf = async ({ services }: Engine, runId: RunId) => {
  const ticket = (await services.tickets.ofRun(runId)).find(({ workerId }) => workerId === undefined);
  if (ticket === undefined) throw new HiveError('NOT_FOUND', 'no ticket of the run is ready');
  return ticket.ticketId;
};
const throttleOf = async (engine: Engine, runId: RunId) => engine.services.throttles.throttledBy(await readyTicketOf(engine, runId));

describe('a concurrency key', () => {
  test('of 200 tickets lets three be leased at once, whichever of two control planes leases them', async () => {
    await using left = await engineOn(database.url);
    await using right = await engineOn(database.url);
    const { counts, work } = countedWork(5);
    for (const engine of [left, right]) seatWorker(engine, work);
    await deploy(left, wide('printing', 20, { concurrency: { key: 'printer {{ context.floor }}', limit: 3 } }));
    const stop = watchLeased(() => sql`concurrency_key = 'key:printer 1'`);
    const engines = [left, right];
    const runs = await Promise.all(Array.from({ length: 10 }, (_, index) => start(engines[index % 2] as Engine, 'printing', { floor: 1 })));
    expect(await allEnded(left, runs)).toEqual(runs.map(() => 'SUCCESS'));
    const { most, lookCount } = await stop();
    expect({ most, mostUnderWay: counts.most }).toEqual({ most: 3, mostUnderWay: 3 });
    expect(lookCount).toBeGreaterThan(10);
  });

  test('is one per value: what has another value does not wait for it', async () => {
    await using engine = await engineOn(database.url);
    const worker = patientWorker(engine);
    await deploy(engine, {
      name: 'per-item',
      nodes: [
        {
          id: 'n',
          agent: 'noop',
          map: '{{ context.floors }}',
          input: { floor: '{{ item }}' },
          concurrency: { key: 'lift {{ item }}', limit: 1 },
        },
      ],
    });
    const runId = await start(engine, 'per-item', { floors: [1, 1, 2] });
    const given = [await worker.ticket(1), await worker.ticket(2)];
    expect(given.map(({ input }) => input['floor']).sort()).toEqual([1, 2]);
    expect(await throttleOf(engine, runId)).toMatchObject({
      kind: 'concurrency',
      key: 'key:lift 1',
      limit: 1,
      holderCount: 1,
      holders: [{ runId, nodeId: 'n', workerId: worker.workerId }],
    });
    const first = given.find(({ input }) => input['floor'] === 1) as LeasedTicket;
    await worker.settle(first, { ok: true, output: 1 });
    expect((await worker.ticket(3)).input).toEqual({ floor: 1 });
  });

  test('whose places a control plane took with it is free again when the leases are over', async () => {
    const leaseMs = 1_000;
    await using right = await engineOn(database.url, { leaseMs });
    await deploy(right, wide('orphans', 6, { concurrency: { key: 'orphanage', limit: 3 } }));
    const left = await engineOn(database.url, { leaseMs });
    const gone = patientWorker(left);
    const runId = await start(left, 'orphans');
    await gone.ticket(3);
    await left[Symbol.asyncDispose]();
    const stop = watchLeased(() => sql`concurrency_key = 'key:orphanage'`);
    seatWorker(right, succeed);
    expect(await ended(right, runId)).toBe('SUCCESS');
    expect((await stop()).most).toBe(3);
    expect(gone.tickets).toHaveLength(3);
  });

  test('of an agent holds beside those of nodes, and nobody waits in a circle', async () => {
    await using left = await engineOn(database.url);
    await register(left, 'narrow', { concurrency: { limit: 2 } });
    await using right = await engineOn(database.url);
    const { counts, work } = countedWork(2);
    for (const engine of [left, right]) seatWorker(engine, work);
    for (const key of ['a', 'b', 'c']) await deploy(left, wide(`narrow-${key}`, 10, { agent: 'narrow', concurrency: { key, limit: 1 } }));
    const runs = (await Promise.all(['a', 'b', 'c'].map((key) => startMany([left, right], `narrow-${key}`, 2)))).flat();
    expect(await allEnded(right, runs)).toEqual(runs.map(() => 'SUCCESS'));
    expect(counts.most).toBe(2);
  });

  test('that an agent gets while its tickets wait holds for those too, and one that it loses lets them go', async () => {
    await using engine = await engineOn(database.url);
    await register(engine, 'late-limit', {});
    await deploy(engine, wide('late-limit', 4, { agent: 'late-limit' }));
    await start(engine, 'late-limit');
    await register(engine, 'late-limit', { concurrency: { limit: 1 } });
    const worker = patientWorker(engine);
    await worker.ticket(1);
    // Twice as long as it takes until a ticket that may be leased is found by a look at everything.
    await pause(systemClock, 2_100);
    expect(worker.tickets).toHaveLength(1);
    await register(engine, 'late-limit', { version: '2.0.0' });
    await worker.ticket(4);
  });
});

describe('a rate', () => {
  test('lets so many start at once, and then one at a time', async () => {
    await using engine = await engineOn(database.url);
    await register(engine, 'rated', { rate: { limit: 3, windowMs: 60_000 } });
    await deploy(engine, wide('rated', 5, { agent: 'rated' }));
    const worker = seatWorker(engine, succeed);
    const runId = await start(engine, 'rated');
    await worker.ticket(3);
    await expect.poll(() => throttleOf(engine, runId)).toMatchObject({ kind: 'rate', key: 'rate:rated', limit: 3, windowMs: 60_000 });
    const waitsMs = ((await throttleOf(engine, runId)) as { roomAtMs: number }).roomAtMs - Date.now();
    expect(waitsMs).toBeGreaterThan(10_000);
    expect(waitsMs).toBeLessThanOrEqual(20_000);
    // As if 20 seconds had passed.
    await sql`UPDATE rates SET full_until = full_until - interval '20 seconds' WHERE key = 'rate:rated'`;
    await worker.ticket(4);
    expect(await throttleOf(engine, runId)).toMatchObject({ kind: 'rate' });
    expect(worker.tickets).toHaveLength(4);
  });

  test('is kept by two control planes together, and goes on by itself', async () => {
    await using left = await engineOn(database.url);
    await register(left, 'brisk', { rate: { limit: 2, windowMs: 200 } });
    await using right = await engineOn(database.url);
    for (const engine of [left, right]) seatWorker(engine, succeed);
    await deploy(left, wide('brisk', 4, { agent: 'brisk' }));
    const beganAtMs = systemClock.monotonicMs();
    const runs = await startMany([left, right], 'brisk', 2);
    expect(await allEnded(left, runs)).toEqual(['SUCCESS', 'SUCCESS']);
    // Two at once, and six more after 100 ms each.
    expect(systemClock.monotonicMs() - beganAtMs).toBeGreaterThanOrEqual(600);
  });
});

describe('a breaker', () => {
  const failed: Outcome = { ok: false, error: { code: 'AGENT_FAILED', message: 'no' } };
  const viewOf = async ({ services }: Engine) =>
    (await services.breakers.list(defaultTenantId, await services.agents.list(defaultTenantId))).find(({ name }) => name === 'frail');

  test('opens, lets one try after its time, and closes when that goes well; also in a new control plane', async () => {
    const coolDownIsOver = () => sql`UPDATE breakers SET next_trial_at = now() WHERE agent = 'frail'`;
    const first = await engineOn(database.url);
    await register(first, 'frail', { breaker: { failures: 3, windowMs: 60_000, coolDownMs: 60_000 } });
    await deploy(first, wide('frail', 1, { agent: 'frail' }));
    seatWorker(first, () => failed);
    expect(await allEnded(first, await startMany([first], 'frail', 2))).toEqual(['FAILED', 'FAILED']);
    await expect.poll(() => viewOf(first)).toMatchObject({ state: 'closed', failureCount: 2 });
    await ended(first, await start(first, 'frail'));
    await expect.poll(() => viewOf(first)).toMatchObject({ state: 'open', nextTrialAtMs: expect.any(Number) });
    await first[Symbol.asyncDispose]();

    await using engine = await engineOn(database.url);
    const runs = await startMany([engine], 'frail', 3);
    const worker = patientWorker(engine);
    expect(await throttleOf(engine, runs[0] as RunId)).toMatchObject({ kind: 'breaker', key: 'breaker:frail', state: 'open' });
    expect(worker.tickets).toHaveLength(0);

    await coolDownIsOver();
    const trial = await worker.ticket(1);
    expect(await viewOf(engine)).toMatchObject({ state: 'half-open' });
    const others = runs.filter((runId) => runId !== trial.runId);
    expect(await throttleOf(engine, others[0] as RunId)).toMatchObject({ state: 'half-open', trialTicketId: trial.ticketId });
    await worker.settle(trial, failed);
    await expect.poll(() => viewOf(engine)).toMatchObject({ state: 'open' });
    expect(worker.tickets).toHaveLength(1);

    await coolDownIsOver();
    await worker.settle(await worker.ticket(2), { ok: true, output: 1 });
    await worker.settle(await worker.ticket(3), { ok: true, output: 1 });
    expect(await allEnded(engine, others)).toEqual(['SUCCESS', 'SUCCESS']);
    await expect.poll(() => viewOf(engine)).toMatchObject({ state: 'closed', failureCount: 0 });
    const audited = await sql<
      { action: string }[]
    >`SELECT action FROM audit_log WHERE object = 'frail' AND actor = 'platform' ORDER BY seq`;
    expect(audited.map(({ action }) => action)).toEqual(['breaker.open', 'breaker.open', 'breaker.closed']);
  });

  test('whose trial is cancelled lets another one try', async () => {
    await using engine = await engineOn(database.url);
    await register(engine, 'frail', { breaker: { failures: 1, windowMs: 60_000, coolDownMs: 60_000 } });
    await deploy(engine, wide('frail', 1, { agent: 'frail' }));
    const worker = patientWorker(engine);
    await start(engine, 'frail');
    await worker.settle(await worker.ticket(1), failed);
    await expect.poll(() => viewOf(engine)).toMatchObject({ state: 'open' });
    await sql`UPDATE breakers SET next_trial_at = now() WHERE agent = 'frail'`;
    await startMany([engine], 'frail', 2);
    const trial = await worker.ticket(2);
    await engine.services.orders.cancel({ tenantId: defaultTenantId, runId: trial.runId, by: 'test' });
    await worker.settle(await worker.ticket(3), { ok: true, output: 1 });
    await expect.poll(() => viewOf(engine)).toMatchObject({ state: 'closed' });
  });
});

describe('the breaker of a dependency', () => {
  const down: Outcome = { ok: false, error: { code: 'DEPENDENCY_FAILED', message: 'api: 502', dependency: 'api' } };
  const dependsOn = { api: { failures: 2, windowMs: 60_000, coolDownMs: 60_000 } };
  const viewOf = async ({ services }: Engine) =>
    (await services.breakers.list(defaultTenantId, await services.agents.list(defaultTenantId))).find(({ kind }) => kind === 'dependency');

  test('stops all agents that need it, at every control plane, and lets one ticket of them all try', async () => {
    await using left = await engineOn(database.url);
    for (const agent of ['reader', 'writer']) {
      await register(left, agent, { dependsOn, breaker: { failures: 1, windowMs: 60_000, coolDownMs: 60_000 } });
      await deploy(left, wide(agent, 1, { agent }));
    }
    await deploy(left, wide('other', 1));
    let isDown = true;
    const trials: LeasedTicket[] = [];
    const settleTrial: ((outcome: Outcome) => void)[] = [];
    const work = (ticket: LeasedTicket): Outcome | Promise<Outcome> => {
      if (ticket.agent.name === 'noop') return { ok: true, output: 1 };
      if (isDown) return down;
      trials.push(ticket);
      return new Promise((resolve) => settleTrial.push(resolve));
    };
    await using right = await engineOn(database.url);
    for (const engine of [left, right]) seatWorker(engine, work);
    for (const agent of ['reader', 'writer']) expect(await ended(left, await start(left, agent))).toBe('FAILED');
    await expect
      .poll(() => viewOf(left))
      .toMatchObject({ state: 'open', agents: ['reader', 'writer'], cause: 'DEPENDENCY_FAILED: api: 502' });

    isDown = false;
    const [reads, writes, other] = [await start(left, 'reader'), await start(right, 'writer'), await start(left, 'other')];
    // What does not need it goes on, and the breakers of the agents themselves took no notice.
    expect(await ended(left, other)).toBe('SUCCESS');
    for (const runId of [reads, writes])
      expect(await throttleOf(left, runId)).toMatchObject({
        ...{ kind: 'dependency', name: 'api', state: 'open', cause: 'DEPENDENCY_FAILED: api: 502' },
      });

    await sql`UPDATE breakers SET next_trial_at = now() WHERE agent = 'dependency:api'`;
    await expect.poll(() => trials).toHaveLength(1);
    const waits = trials[0]?.runId === reads ? writes : reads;
    expect(await throttleOf(left, waits)).toMatchObject({ kind: 'dependency', state: 'half-open', trialTicketId: trials[0]?.ticketId });
    settleTrial[0]?.({ ok: true, output: 1 });
    await expect.poll(() => viewOf(left)).toMatchObject({ state: 'closed' });
    await expect.poll(() => trials).toHaveLength(2);
    settleTrial[1]?.({ ok: true, output: 1 });
    expect([await ended(left, reads), await ended(right, writes)]).toEqual(['SUCCESS', 'SUCCESS']);
  });

  test('opens and closes as a person says, and both are in the audit log', async () => {
    await using engine = await engineOn(database.url);
    await register(engine, 'reader', { dependsOn });
    await deploy(engine, wide('reader', 1, { agent: 'reader' }));
    const worker = patientWorker(engine);
    const agents = await engine.services.agents.list(defaultTenantId);
    const who = { tenantId: defaultTenantId, subject: { kind: 'dependency' as const, name: 'api' }, by: 'ann' };
    const set = (order: SetBreaker) => engine.services.breakers.set(who, order, agents);
    await set({ state: 'open', forMs: 60_000, reason: 'moving' });
    const runId = await start(engine, 'reader');
    expect(await throttleOf(engine, runId)).toMatchObject({ kind: 'dependency', cause: 'opened by ann: moving' });
    await set({ state: 'closed' });
    await set({ state: 'closed' });
    await worker.settle(await worker.ticket(1), { ok: true, output: 1 });
    expect(await ended(engine, runId)).toBe('SUCCESS');
    const audited = await sql`SELECT action, object FROM audit_log WHERE actor = 'ann' ORDER BY seq`;
    expect([...audited]).toEqual(['breaker.open', 'breaker.closed'].map((action) => ({ action, object: 'dependency:api' })));
  });
});

test('a worker that says the same again makes no progress', async () => {
  await using engine = await engineOn(database.url);
  await deploy(engine, wide('talks', 1));
  const worker = patientWorker(engine);
  const runId = await start(engine, 'talks');
  const { ticketId, token } = await worker.ticket(1);
  const say = async (progress?: string) => {
    await engine.services.desk.heartbeat(worker.workerId, [{ ticketId, token, ...(progress !== undefined && { progress }) }]);
    return (await engine.services.tickets.ofRun(runId))[0]?.progressedAtMs;
  };
  expect(await say()).toBeUndefined();
  const first = await say('half');
  expect(first).toBeTypeOf('number');
  expect([await say('half'), await say()]).toEqual([first, first]);
  expect(await say('done')).toBeGreaterThan(first as number);
});
