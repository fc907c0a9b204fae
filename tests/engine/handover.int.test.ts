import { defaultTenantId, HiveError, type RunEvent, type RunId } from '@hivekeeper/contract';
import { newLog } from '@hivekeeper/kernel';
import { describe, expect, test } from 'vitest';
import { openDatabase } from '../../apps/control/src/adapters/postgres/index.ts';
import { builtin, chain, deploy, ended, engineOn, ownDatabase, seatWorker, start, succeed } from './fixture.ts';

const { database, sql } = await ownDatabase();

const codeOf = (call: Promise<unknown>) =>
  call.then(
    () => 'done',
    (error: unknown) => (HiveError.is(error) ? error.code : String(error)),
  );
const eventsOf = async (runId: RunId) =>
  (await sql<{ events: RunEvent[] }[]>`SELECT events FROM run_journal WHERE run_id = ${runId} ORDER BY version`).flatMap(
    (row) => row.events,
  );

describe('a ticket between two workers', () => {
  test('given back to one control plane goes to a worker of another at once', async () => {
    await using left = await engineOn(database.url);
    await using right = await engineOn(database.url);
    await deploy(left, chain('given-back', 1));
    const draining = seatWorker(left, () => undefined, 1);
    const runId = await start(left, 'given-back');
    const { ticketId, token } = await draining.ticket(1);
    const free = seatWorker(right, succeed);
    await left.services.desk.release(draining.workerId, [{ ticketId, token }]);
    expect((await free.ticket(1)).ticketId).toBe(ticketId);
    expect(await ended(right, runId)).toBe('SUCCESS');
  });

  test('that became ready without anybody being told is found all the same', async () => {
    await using engine = await engineOn(database.url);
    await deploy(engine, chain('stranded', 1));
    const holder = seatWorker(engine, () => undefined, 1);
    await start(engine, 'stranded');
    const { ticketId } = await holder.ticket(1);
    const free = seatWorker(engine, succeed);
    await sql`UPDATE tickets SET worker_id = NULL, token = NULL, lease_until = NULL WHERE id = ${ticketId}`;
    expect((await free.ticket(1)).ticketId).toBe(ticketId);
  });

  test('is renewed, given back and settled by the one who holds it only', async () => {
    await using engine = await engineOn(database.url);
    await deploy(engine, chain('mine', 1));
    const holder = seatWorker(engine, () => undefined);
    const stranger = seatWorker(engine, () => undefined, 0);
    await start(engine, 'mine');
    const { ticketId, token } = await holder.ticket(1);
    const { desk, runs } = engine.services;
    const settle = (workerId: typeof holder.workerId) =>
      codeOf(runs.settle({ workerId, ticketId, token, outcome: { ok: true, output: 1 } }));
    expect(await desk.heartbeat(stranger.workerId, [{ ticketId, token }])).toEqual([ticketId]);
    await desk.release(stranger.workerId, [{ ticketId, token }]);
    expect(await settle(stranger.workerId)).toBe('TICKET_NOT_HELD');
    expect(await desk.heartbeat(holder.workerId, [{ ticketId, token }])).toEqual([]);
    expect(await settle(holder.workerId)).toBe('done');
  });

  test('that another control plane has leased meanwhile is not leased again', async () => {
    await using left = await engineOn(database.url);
    await using right = await engineOn(database.url);
    await deploy(left, chain('seen-by-both', 1));
    const runId = await start(left, 'seen-by-both');
    // The right one reads it from the database; the left one still has it among those that wait.
    const holder = seatWorker(right, () => undefined, 1);
    const { ticketId, token } = await holder.ticket(1);
    const late = seatWorker(left, () => undefined);
    const nextRunId = await start(left, 'seen-by-both');
    // By the time it is given a newer ticket it would have been given the older.
    await late.ticket(1);
    expect(late.tickets.map((ticket) => ticket.runId)).toEqual([nextRunId]);
    expect(await codeOf(right.services.runs.settle({ workerId: holder.workerId, ticketId, token, outcome: { ok: true, output: 1 } }))).toBe(
      'done',
    );
    expect(await ended(left, runId)).toBe('SUCCESS');
  });

  test('that is settled twice at once, while its lease is given up, ends once', async () => {
    await using engine = await engineOn(database.url);
    await deploy(engine, chain('twice', 1));
    const worker = seatWorker(engine, () => undefined);
    const runId = await start(engine, 'twice');
    const { ticketId, token } = await worker.ticket(1);
    const { runs } = engine.services;
    const settle = () => codeOf(runs.settle({ workerId: worker.workerId, ticketId, token, outcome: { ok: true, output: 1 } }));
    const lose = codeOf(runs.lose({ ticketId, token, runId, workerId: worker.workerId }));
    expect(await Promise.all([settle(), settle(), lose])).toContain('done');
    const ends = (await eventsOf(runId)).filter(({ type }) => type === 'ticket.settled' || type === 'ticket.lost');
    expect(ends).toHaveLength(1);
  });
});

test('a ticket whose agent was removed goes on when the agent is registered again', async () => {
  await using engine = await engineOn(database.url);
  const { agents, runStore } = engine.services;
  const late = () => agents.ensureSpec({ tenantId: defaultTenantId, spec: builtin('late'), by: 'test' });
  await late();
  await deploy(engine, {
    name: 'orphan',
    nodes: [
      { id: 'a', agent: 'noop' },
      { id: 'b', agent: 'late', needs: ['a'] },
    ],
  });
  const worker = seatWorker(engine, (ticket) => (ticket.nodeId === 'a' ? undefined : { ok: true, output: 1 }));
  const runId = await start(engine, 'orphan');
  const { ticketId, token } = await worker.ticket(1);
  await deploy(engine, chain('orphan', 1));
  await agents.remove(defaultTenantId, { name: 'late' }, 'test');
  await engine.services.runs.settle({ workerId: worker.workerId, ticketId, token, outcome: { ok: true, output: 1 } });
  expect((await runStore.summary(defaultTenantId, runId))?.blocker).toMatchObject({ nodeId: 'b' });
  await late();
  expect(await ended(engine, runId)).toBe('SUCCESS');
});

test('an approval that came up at another control plane may be decided at the one that began the run', async () => {
  await using left = await engineOn(database.url);
  await using right = await engineOn(database.url);
  await deploy(left, {
    name: 'asks-later',
    nodes: [
      { id: 'a', agent: 'noop' },
      { id: 'b', agent: 'noop', needs: ['a'], approval: true },
    ],
  });
  const runId = await start(left, 'asks-later');
  seatWorker(right, succeed);
  const asked = () => right.services.runStore.approvals(defaultTenantId, { runId });
  await expect.poll(asked, { interval: 5, timeout: 10_000 }).toHaveLength(1);
  const [approval] = await asked();
  const decision = { tenantId: defaultTenantId, approvalId: approval!.id, approved: true };
  expect(await codeOf(left.services.orders.decideApproval({ ...decision, by: 'anna' }))).toBe('done');
  expect(await codeOf(left.services.orders.decideApproval({ ...decision, by: 'bert' }))).toBe('APPROVAL_ALREADY_DECIDED');
  expect(await ended(right, runId)).toBe('SUCCESS');
});

test('what PostgreSQL cannot store fails alone, and what was to be stored with it is', async () => {
  await using engine = await engineOn(database.url);
  await deploy(engine, { name: 'asks', nodes: [{ id: 'n', agent: 'risky' }] });
  const runId = await start(engine, 'asks');
  const [approval] = await engine.services.runStore.approvals(defaultTenantId, { runId });
  const decide = (notes: string) =>
    codeOf(
      engine.services.orders.decideApproval({
        tenantId: defaultTenantId,
        approvalId: approval?.id as never,
        approved: true,
        by: 'test',
        notes,
      }),
    );
  const [poisoned, ...neighbours] = await Promise.all([decide('a \0 byte'), codeOf(start(engine, 'asks')), codeOf(start(engine, 'asks'))]);
  expect(poisoned).toContain('0x00');
  expect(neighbours).toEqual(['done', 'done']);
  expect(await decide('legible')).toBe('done');
});

test('more due runs than were asked for leave the next due time in the past, so that nobody pauses', async () => {
  await using engine = await engineOn(database.url);
  await deploy(engine, { name: 'timed', timeoutMs: 3_600_000, nodes: [{ id: 'n', agent: 'noop' }] });
  const runIds = await Promise.all(Array.from({ length: 4 }, () => start(engine, 'timed')));
  await using opened = await openDatabase({ url: database.url, maxConnections: 2, log: newLog({ level: 'silent', component: 'test' }) });
  await sql`UPDATE runs SET wake_at = NULL WHERE NOT id = ANY (${runIds})`;
  const nowMs = Date.now() + 7_200_000;
  const due = await opened.runStore.due(nowMs, 3);
  expect(due.runIds).toHaveLength(3);
  expect(due.nextAtMs).toBeLessThan(nowMs);
  expect(await opened.runStore.due(nowMs, 4)).toMatchObject({ nextAtMs: undefined });
  const none = await opened.runStore.due(Date.now(), 3);
  expect(none.runIds).toEqual([]);
  expect(none.nextAtMs).toBeGreaterThan(Date.now());
});

test('an order that changes nothing, as far as one control plane knows, is given all the same where another one knows better', async () => {
  await using left = await engineOn(database.url);
  await using right = await engineOn(database.url);
  await deploy(left, chain('paused-elsewhere', 1));
  const runId = await start(left, 'paused-elsewhere');
  const order = { tenantId: defaultTenantId, runId, by: 'anna' };
  await right.services.orders.pause(order);
  await left.services.orders.resume(order);
  await right.services.orders.pause(order);
  await left.services.orders.pause(order);
  await left.services.orders.resume(order);
  await left.services.orders.reprioritise({ ...order, priority: 7 });
  await right.services.orders.reprioritise({ ...order, priority: 0 });
  expect((await eventsOf(runId)).map(({ type }) => type)).toEqual([
    'run.created',
    ...['run.paused', 'run.resumed', 'run.paused', 'run.resumed', 'run.reprioritised', 'run.reprioritised'],
  ]);
});
