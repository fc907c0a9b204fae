import { defaultTenantId, type RunEvent } from '@hivekeeper/contract';
import { describe, expect, test } from 'vitest';
import { chain, deploy, ended, engineOn, ownDatabase, seatWorker, start, succeed } from './fixture.ts';

const { database, sql } = await ownDatabase();

describe('recovery', () => {
  test('two control planes on one database settle 1,000 tickets once each, whoever issued them', async () => {
    await using left = await engineOn(database.url);
    await using right = await engineOn(database.url);
    await deploy(left, { name: 'wide', nodes: [{ id: 'w', agent: 'noop', map: '{{ context.items }}', input: { item: '{{ item }}' } }] });
    const workers = [seatWorker(left, succeed, 20), seatWorker(right, succeed, 20)];
    const items = Array.from({ length: 500 }, (_, index) => index);
    const runIds = [await start(left, 'wide', { items }), await start(right, 'wide', { items })];
    expect(await Promise.all(runIds.map((runId) => ended(left, runId)))).toEqual(['SUCCESS', 'SUCCESS']);
    expect(workers.flatMap((worker) => worker.refusals)).toEqual([]);
    for (const runId of runIds) {
      const events = (await sql<{ events: RunEvent[] }[]>`SELECT events FROM run_journal WHERE run_id = ${runId}`).flatMap(
        (row) => row.events,
      );
      const settled = events.flatMap((event) => (event.type === 'ticket.settled' ? [event.ticketId] : []));
      expect(settled).toHaveLength(500);
      expect(new Set(settled).size).toBe(500);
    }
    const tickets = workers.flatMap((worker) => worker.tickets);
    expect(tickets).toHaveLength(1_000);
    expect(new Set(tickets.map((ticket) => ticket.token)).size).toBe(1_000);
  });

  test('a cancel by one control plane stops a run that another has in memory', async () => {
    await using left = await engineOn(database.url, { leaseMs: 1_000 });
    await using right = await engineOn(database.url);
    await deploy(left, chain('stopped', 2));
    const worker = seatWorker(left, () => undefined);
    const runId = await start(left, 'stopped');
    const { ticketId, token } = await worker.ticket(1);
    await right.services.orders.cancel({ tenantId: defaultTenantId, runId, by: 'test' });
    await expect(
      left.services.runs.settle({ workerId: worker.workerId, ticketId, token, outcome: { ok: true, output: 1 } }),
    ).rejects.toThrow();
    expect(await left.services.desk.heartbeat(worker.workerId, [{ ticketId, token }])).toEqual([ticketId]);
    expect((await left.services.runs.view(defaultTenantId, runId)).status).toBe('CANCELLED');
  });

  test('a run goes on in a new control plane where the old one left it', async () => {
    const old = await engineOn(database.url, { leaseMs: 1_000 });
    await deploy(old, chain('resumed', 3));
    const before = seatWorker(old, (ticket) => (ticket.nodeId === 'n0' ? { ok: true, output: 'first' } : undefined));
    const runId = await start(old, 'resumed');
    await before.ticket(2);
    await old[Symbol.asyncDispose]();
    await using fresh = await engineOn(database.url);
    const after = seatWorker(fresh, succeed);
    expect(await ended(fresh, runId)).toBe('SUCCESS');
    expect(after.tickets.map((ticket) => [ticket.nodeId, ticket.attempt])).toEqual([
      ['n1', 2],
      ['n2', 1],
    ]);
  });

  test('every connection cut again and again loses no run and repeats no result', async () => {
    await using engine = await engineOn(database.url);
    await deploy(engine, chain('cut', 10));
    const retrying = async (settle: () => Promise<void>): Promise<void> =>
      settle().catch((error: { code?: string }) => (error.code === 'DATABASE_UNAVAILABLE' ? retrying(settle) : undefined));
    const worker = seatWorker(engine, () => undefined);
    let cuts = 0;
    let handled = 0;
    const serve = async (nth: number): Promise<void> => {
      const ticket = await worker.ticket(nth);
      handled += 1;
      if (handled % 15 === 0)
        cuts += (
          await sql`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'hivekeeper-%' AND datname = current_database()`
        ).length;
      await retrying(() =>
        engine.services.runs.settle({
          workerId: worker.workerId,
          ticketId: ticket.ticketId,
          token: ticket.token,
          outcome: { ok: true, output: ticket.nodeId },
        }),
      );
      engine.services.desk.setCredits(worker.workerId, 1_000);
    };
    const runIds = await Promise.all(Array.from({ length: 30 }, () => start(engine, 'cut')));
    const served = Promise.all(Array.from({ length: 300 }, (_, index) => serve(index + 1)));
    await served;
    expect(await Promise.all(runIds.map((runId) => ended(engine, runId)))).toEqual(runIds.map(() => 'SUCCESS'));
    expect(cuts).toBeGreaterThanOrEqual(4);
    const events = (await sql<{ events: RunEvent[] }[]>`SELECT j.events FROM run_journal j WHERE run_id = ANY (${runIds})`).flatMap(
      (row) => row.events,
    );
    expect(events.filter((event) => event.type === 'ticket.settled')).toHaveLength(300);
    expect(events.filter((event) => event.type === 'ticket.lost')).toHaveLength(0);
  });
});
