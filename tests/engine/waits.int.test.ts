import {
  callbackSignalName,
  callbackStepOf,
  defaultTenantId,
  HiveError,
  type LeasedTicket,
  type RunId,
  type Suspension,
} from '@hivekeeper/contract';
import { type Clock, systemClock } from '@hivekeeper/kernel';
import type { FreshDatabase } from '@hivekeeper/testkit';
import postgres from 'postgres';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Engine } from '../../apps/control/src/engine.ts';
import type { CallbackKey } from '../../apps/control/src/flow/runs/index.ts';
import { chain, deploy, ended, engineOn, migratedDatabase, seatWorker, start, succeed, type TestWorker, until } from './fixture.ts';

let database: FreshDatabase;
let engine: Engine;
let sql: postgres.Sql;

beforeEach(async () => {
  database = await migratedDatabase();
  engine = await engineOn(database.url);
  sql = postgres(database.superuserUrl, { max: 1 });
});

afterEach(async () => {
  await sql.end();
  await engine[Symbol.asyncDispose]();
  await database.drop();
});

/** A clock that is two hours ahead. */
const later: Clock = { ...systemClock, nowMs: () => systemClock.nowMs() + 7_200_000 };

const by = 'ann';
const order = (runId: RunId) => ({ tenantId: defaultTenantId, runId, by });
const signal = (runId: RunId, name: string, signalId: string) =>
  engine.services.orders.signal({ ...order(runId), name, signalId, payload: { said: signalId } });
const codeOf = (call: Promise<unknown>) =>
  call.then(
    () => 'done',
    (error: unknown) => (HiveError.is(error) ? error.code : String(error)),
  );
const restart = async () => {
  await engine[Symbol.asyncDispose]();
  engine = await engineOn(database.url);
};
const suspend = ({ workerId }: TestWorker, { ticketId, token }: LeasedTicket, suspension: Suspension) =>
  engine.services.runs.suspend({ workerId, ticketId, token, suspension });

const callbacksOf = ({ services }: Engine) => ({ take: (callback: CallbackKey) => services.callbacks.take(callback, { output: 1 }) });

describe('a run that waits', () => {
  test('gets a signal that was sent before, during and after a restart, once', async () => {
    await deploy(engine, {
      name: 'w',
      nodes: [
        { id: 'one', wait: { signal: 'go' } },
        { id: 'two', wait: { signal: 'go' }, needs: ['one'] },
        { id: 'three', wait: { signal: 'go' }, needs: ['two'] },
      ],
    });
    const runId = await start(engine, 'w');
    await signal(runId, 'go', 'first');
    await signal(runId, 'go', 'first');
    await signal(runId, 'go', 'second');
    await restart();
    await signal(runId, 'go', 'first');
    expect((await engine.services.runs.view(defaultTenantId, runId)).nodes.map(({ output }) => output)).toEqual([
      { said: 'first' },
      { said: 'second' },
      undefined,
    ]);
    await signal(runId, 'go', 'third');
    expect(await ended(engine, runId)).toBe('SUCCESS');
    expect(await codeOf(signal(runId, 'go', 'fourth'))).toBe('RUN_FINISHED');
  });

  test('sleeps over a restart and wakes once', async () => {
    await deploy(engine, {
      name: 's',
      nodes: [{ id: 'nap', sleep: { forMs: 3_600_000 } }, ...chain('c', 1).nodes.map((node) => ({ ...node, needs: ['nap'] }))],
    });
    const runId = await start(engine, 's');
    await engine[Symbol.asyncDispose]();
    engine = await engineOn(database.url, { clock: later });
    const worker = seatWorker(engine, succeed);
    expect(await ended(engine, runId)).toBe('SUCCESS');
    expect(worker.tickets).toHaveLength(1);
  });
});

describe('an agent that waits', () => {
  test('costs no worker meanwhile, and goes on elsewhere with its memo', async () => {
    await deploy(engine, chain('one', 1));
    const first = seatWorker(engine, () => undefined, 1);
    const runId = await start(engine, 'one');
    const ticket = await first.ticket(1);
    const call: Suspension = { kind: 'signal', step: 'go', name: 'go', expiresAfterMs: 60_000 };
    await suspend(first, ticket, call);
    expect(await codeOf(suspend(first, ticket, call))).toBe('done');
    expect(await codeOf(suspend(first, { ...ticket, token: '1.999999' }, call))).toBe('TICKET_NOT_HELD');
    expect((await engine.services.tickets.ofRun(runId)).length).toBe(0);
    await restart();
    const second = seatWorker(engine, succeed);
    await signal(runId, 'go', 'x');
    const again = await second.ticket(1);
    expect(again).toMatchObject({ attempt: 2, memo: [{ step: 'go', outcome: { ok: true, output: { said: 'x' } } }] });
    expect(await ended(engine, runId)).toBe('SUCCESS');
  });

  test('behind HTTP is called back over restarts, once, and by nobody else', async () => {
    await deploy(engine, chain('one', 1));
    const first = seatWorker(engine, () => undefined, 1);
    const runId = await start(engine, 'one');
    const ticket = await first.ticket(1);
    const { ticketId, attempt } = ticket;
    const callback = { ticketId, key: 'a'.repeat(64) };
    await suspend(first, ticket, {
      ...{ kind: 'signal', step: callbackStepOf(attempt), name: callbackSignalName },
      ...{ key: callback.key, expiresAfterMs: 60_000 },
    });
    await restart();
    const { take } = callbacksOf(engine);
    expect(await codeOf(take({ ...callback, key: 'b'.repeat(64) }))).toBe('CALLBACK_INVALID');
    expect(await Promise.all([take(callback), take(callback)])).toEqual(['taken', 'known']);
    await restart();
    const second = seatWorker(engine, succeed);
    expect(await second.ticket(1)).toMatchObject({ memo: [{ step: 'callback 1', outcome: { ok: true, output: { output: 1 } } }] });
    expect(await ended(engine, runId)).toBe('SUCCESS');
    expect(await callbacksOf(engine).take(callback)).toBe('known');
    expect(await codeOf(callbacksOf(engine).take({ ...callback, key: 'b'.repeat(64) }))).toBe('CALLBACK_STALE');
  });

  test('may call an agent that needs approval, and the approval is bound to that call', async () => {
    await deploy(engine, chain('one', 1));
    const worker = seatWorker(engine, (ticket) =>
      ticket.agent.name === 'risky' || ticket.attempt > 1 ? { ok: true, output: ticket.agent.name } : undefined,
    );
    const runId = await start(engine, 'one');
    await suspend(worker, await worker.ticket(1), { kind: 'agent', step: 'call', agent: 'risky', input: { amount: 7 } });
    const [approval] = await engine.services.runStore.approvals(defaultTenantId, { runId });
    expect(approval).toMatchObject({ status: 'PENDING', agent: 'risky', input: { amount: 7 }, nodeId: 'n0' });
    await engine.services.orders.decideApproval({ tenantId: defaultTenantId, approvalId: approval!.id, approved: true, by });
    expect(await ended(engine, runId)).toBe('SUCCESS');
    expect(worker.tickets.map(({ agent, slot }) => `${agent.name} ${slot}`)).toEqual(['noop 0', 'risky 1', 'noop 0']);
  });
});

describe('an order', () => {
  test('to pause holds what is ready and what follows, over a restart, until the run is resumed', async () => {
    await deploy(engine, { name: 'two', nodes: [...chain('c', 2).nodes, { id: 'other', agent: 'noop' }] });
    const runId = await start(engine, 'two');
    await engine.services.orders.pause({ ...order(runId), reason: 'look' });
    await engine.services.orders.pause(order(runId));
    const early = seatWorker(engine, succeed);
    await restart();
    const worker = seatWorker(engine, succeed);
    // A run that may go overtakes the one that may not.
    const free = await start(engine, 'two');
    expect(await ended(engine, free)).toBe('SUCCESS');
    expect([...early.tickets, ...worker.tickets].filter((ticket) => ticket.runId === runId)).toEqual([]);
    expect((await engine.services.runStore.summary(defaultTenantId, runId))?.blocker).toMatchObject({ kind: 'paused', by, reason: 'look' });
    await engine.services.orders.resume(order(runId));
    expect(await ended(engine, runId)).toBe('SUCCESS');
  });

  test('to pause lets a leased ticket go on, and holds it when it is given back', async () => {
    await deploy(engine, chain('one', 1));
    const worker = seatWorker(engine, () => undefined, 1);
    const runId = await start(engine, 'one');
    const ticket = await worker.ticket(1);
    await engine.services.orders.pause(order(runId));
    await engine.services.desk.release(worker.workerId, [ticket]);
    const other = seatWorker(engine, succeed);
    const free = await start(engine, 'one');
    expect(await ended(engine, free)).toBe('SUCCESS');
    expect(other.tickets.map((each) => each.runId)).toEqual([free]);
    await engine.services.orders.resume(order(runId));
    expect(await ended(engine, runId)).toBe('SUCCESS');
  });

  test('to hurry moves a run before those that came earlier', async () => {
    await deploy(engine, chain('one', 1));
    const runs: RunId[] = [];
    for (let count = 0; count < 3; count += 1) runs.push(await start(engine, 'one'));
    await engine.services.orders.reprioritise({ ...order(runs[2]!), priority: 10 });
    const worker = seatWorker(engine, () => undefined, 1);
    expect((await worker.ticket(1)).runId).toBe(runs[2]);
  });
});

describe('a run that ends otherwise than well', () => {
  const workflow = {
    name: 'saga',
    nodes: [
      { id: 'book', agent: 'noop', compensate: { agent: 'noop', action: 'unbook', input: { of: '{{ book.output }}' } } },
      { id: 'pay', agent: 'noop', needs: ['book'], compensate: { agent: 'noop', action: 'refund' } },
      { id: 'send', agent: 'noop', needs: ['pay'] },
    ],
  };
  const work = (ticket: LeasedTicket) =>
    ticket.nodeId === 'send' && ticket.action === undefined
      ? { ok: false as const, error: { code: 'AGENT_FAILED', message: 'no' } }
      : { ok: true as const, output: ticket.nodeId };

  test('is undone by another run, last deed first, and only once however often it is woken', async () => {
    await deploy(engine, workflow);
    const worker = seatWorker(engine, work);
    const runId = await start(engine, 'saga');
    expect(await ended(engine, runId)).toBe('FAILED');
    await Promise.all([engine.services.runs.wake(runId), engine.services.runs.wake(runId)]);
    const [undoing, ...others] = (await engine.services.runStore.list(defaultTenantId, { limit: 10 })).filter(
      ({ trigger }) => trigger === 'compensation',
    );
    expect([undoing?.originRunId, others]).toEqual([runId, []]);
    expect(await ended(engine, undoing!.id)).toBe('SUCCESS');
    expect(worker.tickets.filter(({ action }) => action !== undefined).map(({ action, input }) => [action, input])).toEqual([
      ['refund', {}],
      ['unbook', { of: 'book' }],
    ]);
    expect((await engine.services.runStore.due(Date.now() + 1e6, 10)).runIds).toEqual([]);
  });

  test('is undone after a crash between its end and the beginning of that', async () => {
    await deploy(engine, workflow);
    const runId = await start(engine, 'saga');
    const worker = seatWorker(engine, () => undefined);
    await worker
      .ticket(1)
      .then((ticket) => engine.services.runs.settle({ workerId: worker.workerId, ...ticket, outcome: { ok: true, output: 1 } }));
    await engine.services.orders.cancel(order(runId));
    await restart();
    seatWorker(engine, work);
    await until(engine, runId, ({ type }) => type === 'run.compensated');
    expect(
      (await engine.services.runStore.list(defaultTenantId, { limit: 10 })).filter(({ trigger }) => trigger === 'compensation'),
    ).toHaveLength(1);
  });

  test('leaves the ticket that failed it, with its evidence', async () => {
    await deploy(engine, workflow);
    seatWorker(engine, work);
    const runId = await start(engine, 'saga');
    await ended(engine, runId);
    const [row] = await sql`SELECT node_id, agent, attempt, error FROM dead_tickets`;
    expect(row).toEqual({ node_id: 'send', agent: 'noop', attempt: 1, error: { code: 'AGENT_FAILED', message: 'no', nodeId: 'send' } });
  });
});
