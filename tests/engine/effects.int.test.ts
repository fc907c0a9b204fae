import {
  defaultTenantId,
  type EffectId,
  HiveError,
  type LeasedTicket,
  type RunId,
  type Suspension,
  type WorkerId,
} from '@hivekeeper/contract';
import { type Clock, systemClock } from '@hivekeeper/kernel';
import type { FreshDatabase } from '@hivekeeper/testkit';
import postgres from 'postgres';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Engine } from '../../apps/control/src/engine.ts';
import { deploy, ended, engineOn, migratedDatabase, seatWorker, start } from './fixture.ts';

let database: FreshDatabase;
let engine: Engine;
let sql: postgres.Sql;

beforeEach(async () => {
  database = await migratedDatabase();
  sql = postgres(database.superuserUrl, { max: 1 });
  engine = await engineOn(database.url);
  await deploy(engine, {
    name: 'one',
    nodes: [{ id: 'a', agent: 'noop', retry: { maxAttempts: 5, backoffMs: 1, factor: 1, jitterRatio: 0 } }],
  });
});
afterEach(async () => {
  await sql.end();
  await engine[Symbol.asyncDispose]();
  await database.drop();
});

interface Attempt {
  readonly runId: RunId;
  readonly ticket: LeasedTicket;
  readonly held: { readonly workerId: WorkerId; readonly ticketId: LeasedTicket['ticketId']; readonly token: string };
}

/** A run whose first ticket a worker holds. */
async function attempt(on: Engine = engine): Promise<Attempt & { readonly next: () => Promise<Attempt> }> {
  const worker = seatWorker(on, () => undefined, 1);
  const runId = await start(on, 'one');
  const nth = async (number: number): Promise<Attempt> => {
    const ticket = await worker.ticket(number);
    return { runId, ticket, held: { workerId: worker.workerId, ticketId: ticket.ticketId, token: ticket.token } };
  };
  const next = () => {
    on.services.desk.setCredits(worker.workerId, 1);
    return nth(2);
  };
  return { ...(await nth(1)), next };
}

const pay = { tool: 'bank.pay', args: { to: 'ann', cents: 500 } };
const receipt = { ok: true, output: { receipt: 7 } } as const;
const failure = { ok: false, error: { code: 'AGENT_KILLED', message: 'killed' } } as const;
const onEffect = (effectId: EffectId): Suspension => ({ kind: 'effect', step: 'bank.pay', effectId, tool: 'bank.pay' });
const rowsOf = (runId: RunId) => sql`SELECT id, state, dispatch_count, ticket_id, outcome FROM effects WHERE run_id = ${runId}`;
const stateOf = async (runId: RunId) => (await rowsOf(runId))[0]?.['state'] as string;
const auditOf = async (effectId: EffectId) =>
  (await sql`SELECT actor, action FROM audit_log WHERE object = ${effectId} ORDER BY seq`).map((row) => `${row['action']} ${row['actor']}`);
const codeOf = (call: Promise<unknown>) =>
  call.then(
    () => 'done',
    (error: unknown) => (HiveError.is(error) ? error.code : String(error)),
  );
/** A clock whose repeated timers go off when the test says so. */
function stopped(): { readonly clock: Clock; readonly sweeps: (() => void)[] } {
  const sweeps: (() => void)[] = [];
  const none = { cancel: () => undefined, [Symbol.dispose]: () => undefined };
  return { sweeps, clock: { ...systemClock, every: (_, sweep) => (sweeps.push(sweep), none) } };
}

const person = { tenantId: defaultTenantId };

describe('an effect', () => {
  test('is on record before its agent is told to act, each change with its audit entry', async () => {
    const { effects } = engine.services;
    const { runId, held } = await attempt();
    const begun = await effects.begin({ ...held, ...pay });
    expect(await rowsOf(runId)).toMatchObject([{ id: begun.effectId, state: 'dispatched', dispatch_count: 1, ticket_id: held.ticketId }]);
    await effects.finish({ ...held, effectId: begun.effectId, outcome: receipt });
    expect(await rowsOf(runId)).toMatchObject([{ state: 'confirmed', outcome: receipt }]);
    expect(await auditOf(begun.effectId)).toEqual([
      `effect.dispatched worker:${held.workerId}`,
      `effect.confirmed worker:${held.workerId}`,
    ]);
    const [gaps] = await sql`SELECT max(seq) - count(*) AS missing FROM audit_log WHERE tenant_id = ${defaultTenantId}`;
    expect(Number(gaps?.['missing'])).toBe(0);
  });

  test('is the same however its arguments are written, and another where they differ', async () => {
    const { effects } = engine.services;
    const { held } = await attempt();
    const idOf = async (args: object) => (await effects.begin({ ...held, tool: 't', args: args as never })).effectId;
    const first = await idOf({ to: 'ann', cents: 500 });
    expect(await idOf({ cents: 500.0, to: 'ann' })).toBe(first);
    const others = [await idOf({ to: 'ann', cents: 501 }), await idOf({ to: 'ann', cents: '500' }), await idOf({ to: 'ann' })];
    expect(new Set([first, ...others]).size).toBe(4);
  });

  test('that its attempt left without a word is unknown to the next one, and is replayed once it is known', async () => {
    const { effects, runs } = engine.services;
    const one = await attempt();
    const { effectId } = await effects.begin({ ...one.held, ...pay });
    await runs.settle({ ...one.held, outcome: failure });
    const two = await one.next();
    expect(await effects.begin({ ...two.held, ...pay })).toMatchObject({ state: 'unknown', effectId });
    await effects.probed({ ...two.held, effectId, happened: true, output: { found: 1 } });
    expect(await effects.begin({ ...two.held, ...pay })).toMatchObject({ state: 'confirmed', outcome: { ok: true, output: { found: 1 } } });
  });

  test('is not begun twice by calls that come at once, to one control plane or two', async () => {
    await using other = await engineOn(database.url);
    const { runId, held } = await attempt();
    const calls = Array.from({ length: 40 }, (_, index) => (index % 2 === 0 ? engine : other).services.effects.begin({ ...held, ...pay }));
    const begun = await Promise.all(calls);
    expect(new Set(begun.map(({ effectId, state }) => `${state} ${effectId}`)).size).toBe(1);
    expect(await rowsOf(runId)).toMatchObject([{ dispatch_count: 1 }]);
  });

  test('cannot be touched by whoever does not hold the ticket any more, in whatever way it was lost', async () => {
    const { effects, runs, orders, desk } = engine.services;
    const ways: Record<string, (attempt: Attempt) => Promise<unknown>> = {
      settled: ({ held }) => runs.settle({ ...held, outcome: failure }),
      suspended: ({ held }) => runs.suspend({ ...held, suspension: { kind: 'timer', step: 's', forMs: 60_000 } }),
      cancelled: ({ runId }) => orders.cancel({ ...person, runId, by: 'ann' }),
      'given back': ({ held }) => desk.release(held.workerId, [{ ticketId: held.ticketId, token: held.token }]),
      lost: ({ held, runId }) => runs.lose({ ...held, runId }),
    };
    for (const [way, lose] of Object.entries(ways)) {
      const one = await attempt();
      const { held, runId } = one;
      const { effectId } = await effects.begin({ ...held, ...pay });
      await lose(one);
      const before = await rowsOf(runId);
      const calls = [
        effects.begin({ ...held, ...pay }),
        effects.begin({ ...held, tool: 'other', args: {} }),
        effects.finish({ ...held, effectId, outcome: receipt }),
        effects.doubt({ ...held, effectId, reason: 'r' }),
        effects.probed({ ...held, effectId, happened: true }),
        effects.park(held, effectId),
        effects.record({ ...held, step: 's', outcome: receipt }),
        effects.memo(held),
      ];
      expect(await Promise.all(calls.map(codeOf)), way).toEqual(calls.map(() => 'TICKET_NOT_HELD'));
      expect(await rowsOf(runId), way).toEqual(before);
      await orders.cancel({ ...person, runId, by: 'ann' });
    }
  });

  test('cannot be touched by another worker, another token or another epoch', async () => {
    const { effects } = engine.services;
    const { held, runId } = await attempt();
    const { effectId } = await effects.begin({ ...held, ...pay });
    const [epoch, counter] = held.token.split('.').map(Number) as [number, number];
    const strangers = [
      { ...held, workerId: 'wrk_01JD0000000000000000000009' as WorkerId },
      ...[`${epoch}.${counter - 1}`, `${epoch}.${counter + 1}`, `${epoch - 1}.${counter}`, `${epoch + 1}.${counter}`].map((token) => ({
        ...held,
        token,
      })),
    ];
    for (const stranger of strangers) {
      const calls = [
        effects.begin({ ...stranger, tool: 'other', args: {} }),
        effects.finish({ ...stranger, effectId, outcome: receipt }),
        effects.record({ ...stranger, step: 's', outcome: receipt }),
        effects.memo(stranger),
      ];
      expect(await Promise.all(calls.map(codeOf)), JSON.stringify(stranger)).toEqual(calls.map(() => 'TICKET_NOT_HELD'));
    }
    expect(await rowsOf(runId)).toMatchObject([{ state: 'dispatched' }]);
    expect(await sql`SELECT FROM steps WHERE run_id = ${runId}`).toHaveLength(0);
  });

  test('keeps its ticket with its holder until it is on record', async () => {
    const { held, runId } = await attempt();
    const [blocker, other] = [postgres(database.superuserUrl, { max: 1 }), postgres(database.superuserUrl, { max: 1 })];
    await blocker.unsafe('BEGIN; SELECT FROM audit_heads FOR UPDATE');
    const begun = engine.services.effects.begin({ ...held, ...pay });
    // Nobody else writes: what waits for the audit's head is the effect's transaction.
    await expect.poll(() => other`SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock'`).toHaveLength(1);
    const taken = await other`SELECT FROM tickets WHERE id = ${held.ticketId} FOR UPDATE NOWAIT`.catch(
      (error: { code: string }) => error.code,
    );
    await blocker.unsafe('ROLLBACK');
    expect([taken, (await begun).state]).toEqual(['55P03', 'dispatched']);
    expect(await rowsOf(runId)).toHaveLength(1);
    await Promise.all([blocker.end(), other.end()]);
  });

  test('is either on record or refused where the run is cancelled in the same moment', async () => {
    const { effects, orders } = engine.services;
    const answers = { dispatched: 0, refused: 0 };
    for (let round = 0; round < 60; round += 1) {
      const { runId, held } = await attempt();
      const [begun] = await Promise.allSettled([effects.begin({ ...held, ...pay }), orders.cancel({ ...person, runId, by: 'ann' })]);
      expect(await rowsOf(runId)).toHaveLength(begun.status === 'fulfilled' ? 1 : 0);
      answers[begun.status === 'fulfilled' ? 'dispatched' : 'refused'] += 1;
    }
    expect(answers.dispatched + answers.refused).toBe(60);
  });

  test('is not begun while a person says that it happened: one of the two is first, and the other knows', async () => {
    const { effects, runs, orders } = engine.services;
    const ends: string[] = [];
    for (let round = 0; round < 40; round += 1) {
      const one = await attempt();
      const { effectId } = await effects.begin({ ...one.held, ...pay });
      await effects.doubt({ ...one.held, effectId, reason: 'r' });
      await effects.probed({ ...one.held, effectId, happened: false });
      await runs.settle({ ...one.held, outcome: failure });
      const two = await one.next();
      const [begun, resolved] = await Promise.all([
        effects.begin({ ...two.held, ...pay }),
        codeOf(effects.resolve({ ...person, effectId }, { happened: true, output: 1, by: 'ann' })),
      ]);
      ends.push(`${begun.state} ${resolved} ${await stateOf(one.runId)}`);
      await orders.cancel({ ...person, runId: one.runId, by: 'ann' });
    }
    expect(ends.filter((end) => !['dispatched EFFECT_AT_WORK dispatched', 'confirmed done confirmed'].includes(end))).toEqual([]);
  });

  test('is seen by nobody whose tenant is not set', async () => {
    const { held } = await attempt();
    await engine.services.effects.begin({ ...held, ...pay });
    await engine.services.effects.record({ ...held, step: 's', outcome: receipt });
    const stranger = postgres(database.url, { max: 1 });
    for (const table of ['effects', 'steps']) expect(await stranger.unsafe(`SELECT FROM ${table}`)).toHaveLength(0);
    await stranger.end();
  });
});

describe('a run that waits for what became of an effect', () => {
  async function waiting() {
    const { effects, suspensions } = engine.services;
    const one = await attempt();
    const { effectId } = await effects.begin({ ...one.held, ...pay });
    await effects.doubt({ ...one.held, effectId, reason: 'no answer' });
    await suspensions.suspend({ ...one.held, suspension: onEffect(effectId) });
    return { ...one, effectId };
  }

  test('goes on when a person has said it, and the agent reads it in the ledger', async () => {
    const { effects, suspensions, runs } = engine.services;
    const { runId, effectId, next } = await waiting();
    expect((await runs.view(defaultTenantId, runId)).blocker).toMatchObject({ kind: 'effect_unknown', effectId });
    await suspensions.resolve({ ...person, effectId }, { happened: true, output: 'seen', by: 'ann' });
    const two = await next();
    expect(await effects.begin({ ...two.held, ...pay })).toMatchObject({ state: 'confirmed', outcome: { ok: true, output: 'seen' } });
    await runs.settle({ ...two.held, outcome: receipt });
    expect(await auditOf(effectId)).toEqual([
      expect.stringContaining('effect.dispatched worker:'),
      expect.stringContaining('effect.doubted worker:'),
      expect.stringContaining('effect.awaited worker:'),
      'effect.confirmed ann',
    ]);
  });

  test('goes on after a crash between what the person said and the news', async () => {
    const { runId, effectId } = await waiting();
    // Only the ledger hears of it: as if the control plane had been killed right after.
    await engine.services.effects.resolve({ ...person, effectId }, { happened: false, by: 'ann' });
    await engine[Symbol.asyncDispose]();
    engine = await engineOn(database.url, { clock: stopped().clock });
    seatWorker(engine, () => receipt);
    expect(await ended(engine, runId)).toBe('SUCCESS');
    await expect.poll(() => sql`SELECT FROM effects WHERE awaited_by IS NOT NULL`).toHaveLength(0);
  });

  test('goes on when the sweep finds news that nobody told', async () => {
    await engine[Symbol.asyncDispose]();
    const { clock, sweeps } = stopped();
    engine = await engineOn(database.url, { clock });
    const { effectId, next } = await waiting();
    await engine.services.effects.resolve({ ...person, effectId }, { happened: false, by: 'ann' });
    for (const sweep of sweeps) sweep();
    expect((await next()).ticket.attempt).toBe(2);
  });

  test('does not begin to wait where the person was faster', async () => {
    const { effects, suspensions } = engine.services;
    const one = await attempt();
    const { effectId } = await effects.begin({ ...one.held, ...pay });
    await effects.doubt({ ...one.held, effectId, reason: 'no answer' });
    await suspensions.resolve({ ...person, effectId }, { happened: false, by: 'ann' });
    await suspensions.suspend({ ...one.held, suspension: onEffect(effectId) });
    const two = await one.next();
    expect(await effects.begin({ ...two.held, ...pay })).toMatchObject({ state: 'dispatched', effectId });
  });

  test('never waits for ever where both happen at once', async () => {
    const { effects, suspensions, orders } = engine.services;
    for (let round = 0; round < 40; round += 1) {
      const one = await attempt();
      const { effectId } = await effects.begin({ ...one.held, ...pay });
      await effects.doubt({ ...one.held, effectId, reason: 'no answer' });
      await Promise.all([
        suspensions.suspend({ ...one.held, suspension: onEffect(effectId) }),
        suspensions.resolve({ ...person, effectId }, { happened: false, by: 'ann' }),
      ]);
      const two = await one.next();
      expect(two.ticket.attempt).toBe(2);
      await orders.cancel({ ...person, runId: one.runId, by: 'ann' });
    }
  });
});

describe('a step', () => {
  test('keeps what was recorded first, also where two come at once', async () => {
    const { effects } = engine.services;
    const { held, runId } = await attempt();
    const outcomes = await Promise.all([1, 2, 3].map((output) => effects.record({ ...held, step: 'draw', outcome: { ok: true, output } })));
    expect(new Set(outcomes.map((outcome) => JSON.stringify(outcome))).size).toBe(1);
    expect(await sql`SELECT FROM audit_log WHERE object = ${runId} AND action = 'step.recorded'`).toHaveLength(1);
  });

  test('is read by the attempt after, on another worker, under another control plane', async () => {
    const { effects, runs } = engine.services;
    const one = await attempt();
    for (const step of ['b', 'a', 'a#2']) await effects.record({ ...one.held, step, outcome: { ok: true, output: step } });
    await runs.settle({ ...one.held, outcome: failure });
    await engine[Symbol.asyncDispose]();
    engine = await engineOn(database.url);
    const worker = seatWorker(engine, () => undefined);
    const ticket = await worker.ticket(1);
    expect(ticket.attempt).toBe(2);
    const { steps } = await engine.services.effects.memo({ workerId: worker.workerId, ticketId: ticket.ticketId, token: ticket.token });
    expect(steps.map(({ step }) => step)).toEqual(['a', 'a#2', 'b']);
  });

  test('of another run, node or slot is none of its business', async () => {
    const { effects } = engine.services;
    const [one, two] = [await attempt(), await attempt()];
    await effects.record({ ...one.held, step: 's', outcome: receipt });
    expect(await effects.memo(two.held)).toEqual({ steps: [] });
    const { effectId } = await effects.begin({ ...one.held, ...pay });
    expect((await effects.begin({ ...two.held, ...pay })).effectId).not.toBe(effectId);
    expect(await codeOf(effects.finish({ ...two.held, effectId, outcome: receipt }))).toBe('NOT_FOUND');
  });
});
