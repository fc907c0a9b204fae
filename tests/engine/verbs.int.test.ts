import {
  type ApprovalId,
  type BulkOrder,
  defaultTenantId,
  HiveError,
  type RunId,
  type TenantId,
  type TicketId,
} from '@hivekeeper/contract';
import type { FreshDatabase } from '@hivekeeper/testkit';
import postgres from 'postgres';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Engine } from '../../apps/control/src/engine.ts';
import { builtin, chain, deploy, ended, engineOn, migratedDatabase, seatWorker, start, succeed, type Work } from './fixture.ts';

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

const tenantId = defaultTenantId;
const foreign = 'ten_00000000000000000000000001' as TenantId;
const by = 'ann';
const codeOf = (call: Promise<unknown>) =>
  call.then(
    () => 'done',
    (error: unknown) => (HiveError.is(error) ? error.code : String(error)),
  );
const statusOf = async (runId: RunId) => (await engine.services.runStore.summary(tenantId, runId))?.status;
const failing =
  (...nodeIds: string[]): Work =>
  ({ nodeId }) =>
    nodeIds.includes(nodeId) ? { ok: false, error: { code: 'AGENT_FAILED', message: 'exit 1' } } : { ok: true, output: { of: nodeId } };
const auditOf = async (action: string) =>
  (await sql<{ actor: string; object: string }[]>`SELECT actor, object FROM audit_log WHERE action = ${action} ORDER BY seq`).map(
    (row) => ({ ...row }),
  );

describe('an order for many runs', () => {
  const give = (order: BulkOrder, of: TenantId = tenantId) => engine.services.bulk.give({ tenantId: of, by, order });
  const startMany = async (workflow: string, count: number) => Promise.all(Array.from({ length: count }, () => start(engine, workflow)));

  test('counts what matches, and is done for all of them, each with its audit entry', async () => {
    await deploy(engine, chain('c', 2));
    await deploy(engine, chain('other', 1));
    await startMany('other', 3);
    const ids = await startMany('c', 600);
    const preview = await give({ verb: 'cancel', filter: { workflow: 'c' } });
    expect(preview).toEqual({ verb: 'cancel', count: 600, runIds: ids.sort().slice(0, 20), isDone: false, outcomes: {} });
    expect((await give({ verb: 'cancel', filter: { workflow: 'c' } }, foreign)).count).toBe(0);
    expect(await codeOf(give({ verb: 'cancel', filter: { workflow: 'c' }, expectedCount: 599 }))).toBe('COUNT_CHANGED');
    const done = await give({ verb: 'cancel', filter: { workflow: 'c' }, expectedCount: 600, reason: 'storm' });
    expect(done.outcomes).toEqual({ DONE: 600 });
    expect((await engine.services.census.counts(tenantId)).byStatus).toEqual({ CANCELLED: 600, RUNNING: 3 });
    expect(await auditOf('run.cancelled')).toHaveLength(600);
    expect(await sql`SELECT FROM tickets t JOIN runs r ON r.id = t.run_id WHERE r.status = 'CANCELLED'`).toHaveLength(0);
  });

  test('finds what is paused by what the run waits for now, over a restart', async () => {
    await deploy(engine, chain('c', 1));
    const [first] = (await startMany('c', 3)).sort();
    await engine.services.orders.pause({ tenantId, runId: first as RunId, by });
    await engine[Symbol.asyncDispose]();
    engine = await engineOn(database.url);
    expect(await give({ verb: 'resume', filter: {} })).toMatchObject({ count: 1, runIds: [first] });
    expect((await give({ verb: 'pause', filter: {}, expectedCount: 2 })).outcomes).toEqual({ DONE: 2 });
    expect((await give({ verb: 'pause', filter: {} })).count).toBe(0);
    expect((await give({ verb: 'resume', filter: {}, expectedCount: 3 })).outcomes).toEqual({ DONE: 3 });
    const worker = seatWorker(engine, succeed);
    await worker.ticket(3);
  });

  test('retries what failed once, though two control planes are told at once', async () => {
    await deploy(engine, chain('c', 1));
    seatWorker(engine, failing('n0'));
    const ids = await startMany('c', 40);
    await Promise.all(ids.map((runId) => ended(engine, runId)));
    engine.services.desk.stopHandingOut();
    const other = await engineOn(database.url);
    try {
      const order: BulkOrder = { verb: 'retry', filter: { status: 'FAILED' }, expectedCount: 40 };
      const answers = await Promise.allSettled([give(order), other.services.bulk.give({ tenantId, by, order })]);
      // The slower one may find some retried already when it counts: then it does nothing.
      for (const answer of answers)
        expect(answer.status === 'fulfilled' ? answer.value.outcomes : answer.reason.code).toEqual(
          answer.status === 'fulfilled' ? { DONE: 40 } : 'COUNT_CHANGED',
        );
      const retries = await sql<{ origin_run_id: string }[]>`SELECT origin_run_id FROM runs WHERE trigger = 'retry'`;
      expect(retries.map((row) => row.origin_run_id).sort()).toEqual(ids.sort());
      expect((await give({ verb: 'retry', filter: { status: 'FAILED' } })).count).toBe(0);
    } finally {
      await other[Symbol.asyncDispose]();
    }
  });

  test('takes runs by the time they were created, to the millisecond', async () => {
    await deploy(engine, chain('c', 1));
    const ids = (await startMany('c', 3)).sort();
    const [cut] = await sql<{ at: string }[]>`
      UPDATE runs SET created_at = to_timestamp(CASE WHEN id = ${ids[0] as string} THEN 1000 ELSE 2000 END) RETURNING created_at::text AS at`;
    expect(cut).toBeDefined();
    const found = async (filter: BulkOrder['filter']) => (await give({ verb: 'cancel', filter })).runIds;
    expect(await found({ createdBeforeMs: 2_000_000 })).toEqual([ids[0]]);
    expect(await found({ createdAfterMs: 2_000_000 })).toEqual(ids.slice(1));
    expect(await found({ createdAfterMs: 2_000_001 })).toEqual([]);
  });
});

describe('a dead ticket', () => {
  const deadRun = async () => {
    await deploy(engine, {
      name: 'w',
      nodes: [
        { id: 'a', agent: 'noop' },
        { id: 'b', agent: 'noop', needs: ['a'], action: 'act', input: { n: 1 }, retry: { maxAttempts: 2, backoffMs: 0 } },
        { id: 'c', agent: 'noop', needs: ['a'] },
      ],
    });
    const worker = seatWorker(engine, failing('b', 'c'));
    const runId = await start(engine, 'w');
    expect(await ended(engine, runId)).toBe('FAILED');
    engine.services.desk.stopHandingOut();
    return { runId, worker };
  };
  const list = (state: 'open' | 'resolved' | 'all' = 'open', of = tenantId) => engine.services.dead.list(of, { state, limit: 50 });

  test('stands with its evidence in the commit that failed its run, and only its tenant sees it', async () => {
    const { runId } = await deadRun();
    const dead = await list();
    expect(dead.map(({ nodeId }) => nodeId).sort()).toEqual(['b', 'c']);
    expect(dead.find(({ nodeId }) => nodeId === 'b')).toEqual({
      ticketId: expect.stringMatching(/^tkt_/),
      runId,
      workflowName: 'w',
      nodeId: 'b',
      slot: 0,
      attempt: 2,
      agent: 'noop',
      action: 'act',
      input: { n: 1 },
      error: { code: 'AGENT_FAILED', message: 'exit 1', nodeId: 'b' },
      diedAtMs: expect.any(Number),
    });
    expect(await list('open', foreign)).toEqual([]);
    expect(await codeOf(engine.services.dead.get(foreign, dead[0]?.ticketId as TicketId))).toBe('NOT_FOUND');
  });

  test('is redriven once by two control planes, with all of its run, and the run that is started ends well', async () => {
    const { runId } = await deadRun();
    const [one, two] = (await list()).map(({ ticketId }) => ticketId) as [TicketId, TicketId];
    const other = await engineOn(database.url);
    try {
      const answers = await Promise.all(
        [engine, other, engine, other].flatMap(({ services: { dead } }) =>
          [one, two].map((ticketId) => dead.redrive({ tenantId, ticketId, by })),
        ),
      );
      const [redrivenRunId] = answers.map((answer) => answer.redrivenRunId);
      for (const answer of answers) expect(answer).toMatchObject({ resolution: 'REDRIVEN', resolvedBy: by, redrivenRunId });
      expect(await sql`SELECT FROM runs`).toHaveLength(2);
      expect((await auditOf('ticket.redriven')).map(({ object }) => object).sort()).toEqual([one, two].sort());
      const worker = seatWorker(other, succeed);
      expect(await ended(other, redrivenRunId as RunId)).toBe('SUCCESS');
      expect(worker.tickets.map(({ nodeId }) => nodeId).sort()).toEqual(['b', 'c']);
      const view = await other.services.runs.view(tenantId, redrivenRunId as RunId);
      expect(view).toMatchObject({ originRunId: runId, trigger: 'retry', nodes: [{ isCarried: true, output: { of: 'a' } }, {}, {}] });
    } finally {
      await other[Symbol.asyncDispose]();
    }
  });

  test('is discarded once, with who and why, and then not redriven', async () => {
    await deadRun();
    const [dead] = await list();
    const order = { tenantId, ticketId: dead?.ticketId as TicketId, by };
    const first = await engine.services.dead.discard({ ...order, reason: 'known' });
    expect(first).toMatchObject({ resolution: 'DISCARDED', resolvedBy: by, reason: 'known', resolvedAtMs: expect.any(Number) });
    expect(await engine.services.dead.discard({ ...order, by: 'bob', reason: 'other' })).toEqual(first);
    expect(await codeOf(engine.services.dead.redrive(order))).toBe('DEAD_TICKET_RESOLVED');
    expect(await auditOf('ticket.discarded')).toEqual([{ actor: by, object: order.ticketId }]);
    expect(await list()).toHaveLength(1);
    expect(await list('resolved')).toEqual([first]);
    expect(await sql`SELECT FROM runs`).toHaveLength(1);
  });
});

describe('a rerun', () => {
  test('keeps the outputs of what succeeded over a restart, and starts once per key on two control planes', async () => {
    await deploy(engine, {
      name: 'w',
      nodes: [
        { id: 'a', agent: 'noop' },
        { id: 'b', agent: 'noop', needs: ['a'], input: { from: '{{ nodes.a.output }}' } },
      ],
    });
    seatWorker(engine, failing('b'));
    const origin = await start(engine, 'w');
    await ended(engine, origin);
    await engine[Symbol.asyncDispose]();
    engine = await engineOn(database.url);
    const other = await engineOn(database.url);
    try {
      const idempotency = { route: '/v1/runs/:id/retry', key: 'k' };
      const trigger = { tenantId, runId: origin, rerun: { kind: 'retry', from: 'failed' } as const, by, idempotency };
      const answers = await Promise.all(
        Array.from({ length: 20 }, (_, index) => (index % 2 === 0 ? engine : other).services.triggers.rerun(trigger)),
      );
      expect(new Set(answers.map(({ runId }) => runId)).size).toBe(1);
      expect(answers.filter(({ isReplay }) => !isReplay)).toHaveLength(1);
      const worker = seatWorker(engine, succeed);
      const runId = answers[0]?.runId as RunId;
      expect(await ended(engine, runId)).toBe('SUCCESS');
      expect(worker.tickets).toMatchObject([{ nodeId: 'b', input: { from: { of: 'a' } } }]);
    } finally {
      await other[Symbol.asyncDispose]();
    }
  });
});

describe('an approval', () => {
  const ask = async (more: object = {}): Promise<{ runId: RunId; approvalId: ApprovalId }> => {
    await deploy(engine, { name: 'g', nodes: [{ id: 'n', agent: 'noop', approval: { ...more } }] });
    const runId = await start(engine, 'g');
    const [approval] = await engine.services.runStore.approvals(tenantId, { status: 'PENDING' });
    return { runId, approvalId: approval?.id as ApprovalId };
  };

  test('is decided once, whoever is first at whichever of two control planes', async () => {
    const { runId, approvalId } = await ask();
    const other = await engineOn(database.url);
    try {
      const outcomes = await Promise.all(
        Array.from({ length: 20 }, (_, n) =>
          codeOf(
            (n % 2 === 0 ? engine : other).services.orders.decideApproval({
              tenantId,
              approvalId,
              approved: n % 3 === 0,
              by: `person ${n}`,
            }),
          ),
        ),
      );
      expect(outcomes.filter((outcome) => outcome === 'done')).toHaveLength(1);
      expect(outcomes.filter((outcome) => outcome === 'APPROVAL_ALREADY_DECIDED')).toHaveLength(19);
      const winner = `person ${outcomes.indexOf('done')}`;
      expect(await engine.services.runStore.approval(tenantId, approvalId)).toMatchObject({ respondedBy: winner });
      expect(await statusOf(runId)).toBe(outcomes.indexOf('done') % 3 === 0 ? 'RUNNING' : 'FAILED');
      expect(await auditOf('approval.decided')).toEqual([{ actor: winner, object: runId }]);
    } finally {
      await other[Symbol.asyncDispose]();
    }
  });

  test('that is given while the control plane restarts counts once, and can be given again after', async () => {
    const { runId, approvalId } = await ask();
    const decide = (on: Engine) => codeOf(on.services.orders.decideApproval({ tenantId, approvalId, approved: true, by }));
    const given = Array.from({ length: 3 }, () => decide(engine));
    const stopping = engine[Symbol.asyncDispose]();
    const outcomes = await Promise.all(given);
    await stopping;
    engine = await engineOn(database.url);
    expect(outcomes).not.toContain('APPROVAL_ALREADY_DECIDED');
    expect(await decide(engine)).toBe('done');
    expect(await auditOf('approval.decided')).toEqual([{ actor: by, object: runId }]);
    const worker = seatWorker(engine, succeed);
    expect(await ended(engine, runId)).toBe('SUCCESS');
    expect(worker.tickets).toHaveLength(1);
  });

  test('shows that whoever asked may not decide', async () => {
    const { approvalId } = await ask({ excludeRequester: true });
    expect(await engine.services.runStore.approval(tenantId, approvalId)).toMatchObject({ excludeRequester: true });
    const decision = { tenantId, approvalId, approved: true };
    expect(await codeOf(engine.services.orders.decideApproval({ ...decision, by: 'test' }))).toBe('APPROVER_NOT_ALLOWED');
    expect(await codeOf(engine.services.orders.decideApproval({ ...decision, by: 'bob via test', subject: 'test' }))).toBe(
      'APPROVER_NOT_ALLOWED',
    );
    expect(await codeOf(engine.services.orders.decideApproval({ ...decision, by: 'bob' }))).toBe('done');
  });

  test('hides the values of variables that agents may see and whose names say that they are secret', async () => {
    await engine[Symbol.asyncDispose]();
    engine = await engineOn(database.url, {
      environment: { MAIL_API_KEY: 'plain-words', MODE: 'production', OTHER_TOKEN: 'not-declared' },
    });
    const text = 'plain-words, production, not-declared';
    expect(engine.services.redaction.text(text)).toBe(text);
    const spec = builtin('mailer', { environment: ['MAIL_API_KEY', 'MODE', 'ABSENT_SECRET'] });
    await engine.services.agents.ensureSpec({ tenantId, spec, by });
    expect(engine.services.redaction.text(text)).toBe('[redacted], production, not-declared');
  });

  test('has links that every control plane opens, also after a restart, and whose secret stands nowhere', async () => {
    const { approvalId } = await ask();
    const { inputSha256, expiresAtMs } = (await engine.services.runStore.approval(tenantId, approvalId)) as never;
    const about = { tenantId, approvalId, inputSha256, expiresAtMs, createdBy: 'key:first' };
    const link = await engine.services.links.create(about);
    await engine[Symbol.asyncDispose]();
    engine = await engineOn(database.url);
    expect(await engine.services.links.open(link)).toEqual({ id: link.split('.')[0], ...about });
    expect(await auditOf('approval.link.made')).toEqual([{ actor: 'key:first', object: approvalId }]);
    const [dump] = await sql<{ text: string }[]>`
      SELECT (SELECT json_agg(l)::text FROM approval_links l) || (SELECT json_agg(a)::text FROM audit_log a) AS text`;
    expect(dump?.text).toContain(link.split('.')[0]);
    expect(dump?.text).not.toContain(link.split('.')[1]);
    await sql`UPDATE approval_links SET expires_at = expires_at + interval '1 second'`;
    expect(await codeOf(engine.services.links.open(link))).toBe('LINK_INVALID');
  });
});
