import { hash } from 'node:crypto';
import { defaultTenantId, HiveError, type RunEvent } from '@hivekeeper/contract';
import postgres from 'postgres';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Engine } from '../../apps/control/src/engine.ts';
import { chain, deploy, ended, engineOn, ownDatabase, seatWorker, start, succeed } from './fixture.ts';

const { database, sql } = await ownDatabase();

let engine: Engine;

beforeEach(async () => {
  engine = await engineOn(database.url);
});
afterEach(async () => {
  await engine[Symbol.asyncDispose]();
});

const journalOf = async (runId: string): Promise<RunEvent[]> =>
  (await sql<{ events: RunEvent[] }[]>`SELECT events FROM run_journal WHERE run_id = ${runId} ORDER BY version`).flatMap(
    (row) => row.events,
  );
const codeOf = (error: unknown) => (HiveError.is(error) ? error.code : String(error));

describe('a run', () => {
  test('goes through its nodes in order, records each result once, and leaves no ticket behind', async () => {
    await deploy(engine, chain('ten', 10));
    const worker = seatWorker(engine, succeed);
    const runId = await start(engine, 'ten', { greeting: 'hello' });
    expect(await ended(engine, runId)).toBe('SUCCESS');
    expect(worker.tickets.map((ticket) => ticket.nodeId)).toEqual(Array.from({ length: 10 }, (_, index) => `n${index}`));
    const settled = (await journalOf(runId)).filter((event) => event.type === 'ticket.settled');
    expect(settled).toHaveLength(10);
    expect(await sql`SELECT FROM tickets WHERE run_id = ${runId}`).toHaveLength(0);
    const view = await engine.services.runs.view(defaultTenantId, runId);
    expect(view).toMatchObject({ status: 'SUCCESS', context: { greeting: 'hello' }, trigger: 'api' });
    expect(view.blocker).toBeUndefined();
    expect(view.nodes.every((node) => node.status === 'SUCCESS' && node.attempts.length === 1)).toBe(true);
  });

  test('that is cancelled is terminal at once, its worker is told, and a late result is refused', async () => {
    await deploy(engine, chain('two', 2));
    const worker = seatWorker(engine, () => undefined);
    const runId = await start(engine, 'two');
    const ticket = await worker.ticket(1);
    await engine.services.orders.cancel({ tenantId: defaultTenantId, runId, by: 'test' });
    expect(worker.revoked).toEqual([ticket.ticketId]);
    const late = engine.services.runs.settle({
      workerId: worker.workerId,
      ticketId: ticket.ticketId,
      token: ticket.token,
      outcome: { ok: true, output: 1 },
    });
    await expect(late).rejects.toSatisfy((error) => codeOf(error) === 'TICKET_NOT_HELD');
    expect((await engine.services.runs.view(defaultTenantId, runId)).status).toBe('CANCELLED');
    // Again is no fault.
    await engine.services.orders.cancel({ tenantId: defaultTenantId, runId, by: 'test' });
  });

  test('is tried again after its pause when an attempt fails, and ends FAILED with the error when none is left', async () => {
    await deploy(engine, {
      name: 'flaky',
      nodes: [
        { id: 'a', agent: 'noop', retry: { maxAttempts: 3, backoffMs: 20, factor: 1, jitterRatio: 0 } },
        { id: 'b', agent: 'noop', needs: ['a'] },
      ],
    });
    const worker = seatWorker(engine, () => ({ ok: false, error: { code: 'AGENT_FAILED', message: 'no luck' } }));
    const runId = await start(engine, 'flaky');
    expect(await ended(engine, runId)).toBe('FAILED');
    expect(worker.tickets.map((ticket) => ticket.attempt)).toEqual([1, 2, 3]);
    const view = await engine.services.runs.view(defaultTenantId, runId);
    expect(view.error).toMatchObject({ code: 'AGENT_FAILED', message: 'no luck', nodeId: 'a' });
    expect(view.nodes.map((node) => node.status)).toEqual(['FAILED', 'SKIPPED']);
  });

  test('that fails at its first template does not end before it began', async () => {
    await deploy(engine, { name: 'stillborn', nodes: [{ id: 'a', agent: 'noop', input: { x: '{{ context.absent }}' } }] });
    const runIds = await Promise.all(Array.from({ length: 10 }, () => start(engine, 'stillborn')));
    for (const runId of runIds) {
      const { status, startedAtMs = Number.NaN, finishedAtMs, durationMs } = await engine.services.runs.view(defaultTenantId, runId);
      expect([status, durationMs]).toEqual(['FAILED', Number(finishedAtMs) - startedAtMs]);
      expect(finishedAtMs).toBeGreaterThanOrEqual(startedAtMs);
    }
  });

  test('whose agent is risky waits for a person, costs nothing meanwhile, and goes on when approved, once', async () => {
    await deploy(engine, { name: 'risk', nodes: [{ id: 'a', agent: 'risky', input: { amount: '{{ context.amount }}' } }] });
    seatWorker(engine, succeed);
    const runId = await start(engine, 'risk', { amount: 7 });
    const [approval] = await engine.services.runStore.approvals(defaultTenantId, { runId });
    expect(approval).toMatchObject({ status: 'PENDING', input: { amount: 7 }, nodeId: 'a' });
    expect((await engine.services.runs.view(defaultTenantId, runId)).status).toBe('WAITING_APPROVAL');
    const decide = (by: string) =>
      engine.services.orders.decideApproval({ tenantId: defaultTenantId, approvalId: approval!.id, approved: true, by });
    // The same answer by the same person is the same answer; anybody else comes too late.
    await Promise.all([decide('anna'), decide('anna')]);
    await expect(decide('bert')).rejects.toMatchObject({ code: 'APPROVAL_ALREADY_DECIDED' });
    expect(await ended(engine, runId)).toBe('SUCCESS');
    expect((await engine.services.runStore.approval(defaultTenantId, approval!.id))?.status).toBe('APPROVED');
  });
});

describe('a ticket', () => {
  test('is settled by its own worker with its current token only, and the same result again gets the same answer', async () => {
    await deploy(engine, chain('one', 1));
    const worker = seatWorker(engine, () => undefined);
    const runId = await start(engine, 'one');
    const { ticketId, token } = await worker.ticket(1);
    const settle = (shown: string) =>
      engine.services.runs.settle({ workerId: worker.workerId, ticketId, token: shown, outcome: { ok: true, output: 1 } });
    const [epoch, counter] = token.split('.');
    for (const wrong of [
      `${epoch}.${Number(counter) - 1}`,
      `${epoch}.${Number(counter) + 1}`,
      `${Number(epoch) - 1}.${counter}`,
      `${Number(epoch) + 1}.${counter}`,
    ]) {
      await expect(settle(wrong)).rejects.toSatisfy((error) => codeOf(error) === 'TICKET_NOT_HELD');
    }
    const byAnother = engine.services.runs.settle({
      workerId: seatWorker(engine, () => undefined).workerId,
      ticketId,
      token,
      outcome: { ok: true, output: 1 },
    });
    await expect(byAnother).rejects.toSatisfy((error) => codeOf(error) === 'TICKET_NOT_HELD');
    await settle(token);
    await settle(token);
    expect((await journalOf(runId)).filter((event) => event.type === 'ticket.settled')).toHaveLength(1);
  });

  test('whose lease runs out goes to another worker under a larger token, and the first one’s result is refused', async () => {
    await engine[Symbol.asyncDispose]();
    engine = await engineOn(database.url, { leaseMs: 1_000 });
    await deploy(engine, chain('lost', 1));
    const silent = seatWorker(engine, () => undefined, 1);
    const runId = await start(engine, 'lost');
    const first = await silent.ticket(1);
    engine.services.desk.setCredits(silent.workerId, 0);
    const other = seatWorker(engine, succeed);
    expect(await ended(engine, runId)).toBe('SUCCESS');
    const [second] = other.tickets;
    expect(second).toMatchObject({ nodeId: 'n0', attempt: 2 });
    expect(Number(second!.token.split('.')[1])).toBeGreaterThan(Number(first.token.split('.')[1]));
    const late = engine.services.runs.settle({
      workerId: silent.workerId,
      ticketId: first.ticketId,
      token: first.token,
      outcome: { ok: true, output: 1 },
    });
    await expect(late).rejects.toSatisfy((error) => codeOf(error) === 'TICKET_NOT_HELD');
  });

  test('that is given back goes to somebody else under a larger token without counting as an attempt', async () => {
    await deploy(engine, chain('back', 1));
    const leaving = seatWorker(engine, () => undefined, 1);
    const runId = await start(engine, 'back');
    const first = await leaving.ticket(1);
    const other = seatWorker(engine, succeed);
    await engine.services.desk.release(leaving.workerId, [{ ticketId: first.ticketId, token: first.token }]);
    expect(await ended(engine, runId)).toBe('SUCCESS');
    expect(other.tickets[0]).toMatchObject({ ticketId: first.ticketId, attempt: 1 });
    expect(Number(other.tickets[0]!.token.split('.')[1])).toBeGreaterThan(Number(first.token.split('.')[1]));
  });

  test('its worker does not know of is lost at once and issued anew: it may have been begun, so it is never sent again', async () => {
    await deploy(engine, chain('unknown', 1));
    const worker = seatWorker(engine, (ticket) => (ticket.attempt === 1 ? undefined : { ok: true, output: 1 }));
    const runId = await start(engine, 'unknown');
    const first = await worker.ticket(1);
    await engine.services.desk.reclaim(worker.workerId, (ticketId) => ticketId === first.ticketId);
    expect(worker.tickets).toHaveLength(1);
    await engine.services.desk.reclaim(worker.workerId, () => false);
    expect(await ended(engine, runId)).toBe('SUCCESS');
    expect(worker.tickets.map(({ attempt }) => attempt)).toEqual([1, 2]);
    expect(worker.tickets[1]!.token).not.toBe(first.token);
    expect((await journalOf(runId)).map(({ type }) => type)).toEqual(['run.created', 'ticket.lost', 'ticket.settled']);
  });

  test('is renewed by a heartbeat with its token, and one with a stale token is told to drop it', async () => {
    await deploy(engine, chain('again', 1));
    const worker = seatWorker(engine, () => undefined);
    await start(engine, 'again');
    const { ticketId, token } = await worker.ticket(1);
    expect(await engine.services.desk.heartbeat(worker.workerId, [{ ticketId, token, progress: { done: 3 } }])).toEqual([]);
    expect(await engine.services.desk.heartbeat(worker.workerId, [{ ticketId, token: `${token}1` }])).toEqual([ticketId]);
  });
});

describe('a trigger', () => {
  test('with an idempotency key starts exactly one run, whoever asks how often at once', async () => {
    await deploy(engine, chain('once', 1));
    seatWorker(engine, succeed);
    const fire = (context: { readonly x: number; readonly y?: number }) =>
      engine.services.triggers.fire({
        tenantId: defaultTenantId,
        workflow: { name: 'once' },
        context,
        kind: 'api',
        by: 'test',
        idempotency: { route: 'runs', key: 'k-1' },
      });
    const answers = await Promise.all(Array.from({ length: 32 }, (_, index) => fire(index % 2 === 0 ? { x: 1, y: 2 } : { y: 2, x: 1 })));
    expect(new Set(answers.map((answer) => answer.runId)).size).toBe(1);
    expect(answers.filter((answer) => !answer.isReplay)).toHaveLength(1);
    await expect(fire({ x: 2 })).rejects.toSatisfy((error) => codeOf(error) === 'IDEMPOTENCY_KEY_REUSED');
    const [row] = await sql<
      { count: number }[]
    >`SELECT count(*)::integer AS count FROM runs r JOIN workflows w ON w.id = r.workflow_id WHERE w.name = 'once'`;
    expect(row?.count).toBe(1);
  });
});

describe('the record', () => {
  test('chains every audit entry to the one before, so that an outsider can check it', async () => {
    await deploy(engine, chain('audited', 3));
    seatWorker(engine, succeed);
    await ended(engine, await start(engine, 'audited'));
    const log = await sql<{ seq: string; at_ms: number; actor: string; action: string; object: string; hash: Buffer }[]>`
      SELECT seq, extract(epoch FROM at) * 1000 AS at_ms, actor, action, object, hash FROM audit_log WHERE tenant_id = ${defaultTenantId} ORDER BY seq`;
    expect(log.map((entry) => Number(entry.seq))).toEqual(log.map((_, index) => index + 1));
    const journal = new Map(
      (
        await sql<{ run_id: string; version: number; events: string }[]>`SELECT run_id, version, events::text AS events FROM run_journal`
      ).map((row) => [`${row.run_id} ${row.version}`, row.events]),
    );
    const seen = new Map<string, number>();
    let before: Buffer = hash('sha256', '', 'buffer');
    for (const entry of log) {
      if (entry.object.startsWith('run_')) {
        const version = (seen.get(entry.object) ?? 0) + 1;
        seen.set(entry.object, version);
        const fields = [
          defaultTenantId,
          entry.seq,
          String(Number(entry.at_ms)),
          entry.actor,
          entry.action,
          entry.object,
          journal.get(`${entry.object} ${version}`),
        ].join('\x1f');
        expect(entry.hash.equals(hash('sha256', Buffer.concat([before, Buffer.from(fields)]), 'buffer'))).toBe(true);
      }
      before = entry.hash;
    }
    const [head] = await sql<{ seq: string; hash: Buffer }[]>`SELECT seq, hash FROM audit_heads WHERE tenant_id = ${defaultTenantId}`;
    expect(head?.hash.equals(before)).toBe(true);
  });

  test('is invisible to a connection that names no tenant, and to one that names another', async () => {
    await deploy(engine, chain('hidden', 1));
    const asApplication = postgres(database.url, { max: 1 });
    try {
      const tables = await sql<
        { name: string; forced: boolean }[]
      >`SELECT relname AS name, relforcerowsecurity AS forced FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace AND relname <> 'schema_migrations'`;
      expect(tables.length).toBeGreaterThan(10);
      for (const { name, forced } of tables) {
        expect([name, forced]).toEqual([name, true]);
        expect(await asApplication`SELECT * FROM ${asApplication(name)} LIMIT 1`).toHaveLength(0);
        const foreign = await asApplication.begin(async (transaction) => {
          await transaction`SELECT set_config('hive.tenant_id', 'ten_0000000000000000000000000Z', true)`;
          return transaction`SELECT * FROM ${transaction(name)} LIMIT 1`;
        });
        expect(foreign).toHaveLength(0);
      }
    } finally {
      await asApplication.end();
    }
  });
});
