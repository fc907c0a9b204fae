import { defaultTenantId, type RunId } from '@hivekeeper/contract';
import { describe, expect, test } from 'vitest';
import { chain, deploy, ended, engineOn, ownDatabase, seatWorker, start, succeed, until } from './fixture.ts';

const { database, sql } = await ownDatabase({ connections: 2 });

/** How many runs of a workflow go at once, seen from outside, again and again until `until`. */
async function watchGoing(workflow: string, until: Promise<unknown>): Promise<{ readonly most: number; readonly looks: number }> {
  let isOver = false;
  void until.finally(() => (isOver = true));
  let [most, looks] = [0, 0];
  while (!isOver) {
    const [row] = await sql<{ count: number }[]>`
      SELECT count(*)::integer AS count FROM runs r JOIN workflows w ON w.id = r.workflow_id
      WHERE w.name = ${workflow} AND r.status <> 'PENDING' AND r.finished_at IS NULL`;
    most = Math.max(most, row?.count ?? 0);
    looks += 1;
  }
  return { most, looks };
}

const statusOf = async (runId: RunId) => (await sql<{ status: string }[]>`SELECT status FROM runs WHERE id = ${runId}`)[0]?.status;
const leftTurns = async (key: string) =>
  (await sql`SELECT FROM run_turns t JOIN runs r ON r.id = t.run_id WHERE t.key = ${key} AND r.finished_at IS NULL`).length;

describe('runs that take turns', () => {
  test('never go more than three at once over two control planes, and all of 200 end', async () => {
    await using left = await engineOn(database.url);
    await using right = await engineOn(database.url);
    await deploy(left, { ...chain('three', 2), concurrency: { limit: 3 } });
    for (const engine of [left, right]) seatWorker(engine, succeed);
    const runIds = await Promise.all(Array.from({ length: 200 }, (_, index) => start(index % 2 === 0 ? left : right, 'three')));
    const all = Promise.all(runIds.map((runId) => ended(left, runId)));
    const { most, looks } = await watchGoing('three', all);
    expect(new Set(await all)).toEqual(new Set(['SUCCESS']));
    expect(most).toBe(3);
    expect(looks).toBeGreaterThan(50);
    expect(await leftTurns('three')).toBe(0);
  });

  test('begin in the order of their priority, then of their age', async () => {
    await using engine = await engineOn(database.url);
    await deploy(engine, { ...chain('ordered', 1), concurrency: { limit: 1 } });
    const worker = seatWorker(engine, () => undefined);
    const runIds = [await start(engine, 'ordered')];
    await worker.ticket(1);
    for (let count = 1; count < 4; count += 1) runIds.push(await start(engine, 'ordered'));
    const urgent = runIds[3] as RunId;
    await engine.services.orders.reprioritise({ tenantId: defaultTenantId, runId: urgent, by: 'test', priority: 50 });
    for (let nth = 1; nth <= 4; nth += 1) {
      const { ticketId, token } = await worker.ticket(nth);
      await engine.services.runs.settle({ workerId: worker.workerId, ticketId, token, outcome: { ok: true, output: null } });
    }
    expect(worker.tickets.map(({ runId }) => runId)).toEqual([runIds[0], urgent, runIds[1], runIds[2]]);
  });

  test('are kept apart by a key from their context, and one without it is refused', async () => {
    await using engine = await engineOn(database.url);
    await deploy(engine, { ...chain('per-customer', 1), concurrency: { key: 'customer-{{ context.customer }}', limit: 1 } });
    const worker = seatWorker(engine, () => undefined);
    const [first, second] = [await start(engine, 'per-customer', { customer: 1 }), await start(engine, 'per-customer', { customer: 2 })];
    await worker.ticket(2);
    expect(worker.tickets.map(({ runId }) => runId).sort()).toEqual([first, second].sort());
    await expect(start(engine, 'per-customer', {})).rejects.toMatchObject({ code: 'TEMPLATE_UNRESOLVED' });
  });

  test('that would be too many end at once where the workflow says skip, naming who goes', async () => {
    await using engine = await engineOn(database.url);
    await deploy(engine, { ...chain('skipped', 1), concurrency: { limit: 1, overlap: 'skip' } });
    const worker = seatWorker(engine, () => undefined);
    const first = await start(engine, 'skipped');
    await worker.ticket(1);
    const second = await start(engine, 'skipped');
    expect(await ended(engine, second)).toBe('CANCELLED');
    const view = await engine.services.runs.view(defaultTenantId, second);
    expect(view.error?.message).toBe(`cancelled by platform: skipped: one run goes at a time, and ${first} has not ended`);
    expect(await statusOf(first)).toBe('RUNNING');
  });

  test('end for the newest one where the workflow says replace', async () => {
    await using engine = await engineOn(database.url);
    await deploy(engine, { ...chain('replaced', 1), concurrency: { limit: 1, overlap: 'replace' } });
    const worker = seatWorker(engine, () => undefined);
    const first = await start(engine, 'replaced');
    await worker.ticket(1);
    const second = await start(engine, 'replaced');
    expect(await ended(engine, first)).toBe('CANCELLED');
    expect((await worker.ticket(2)).runId).toBe(second);
    expect(worker.revoked).toHaveLength(1);
  });

  test('are passed over while they are paused, and one that is cancelled waiting gives its place up', async () => {
    await using engine = await engineOn(database.url);
    await deploy(engine, { ...chain('passed', 1), concurrency: { limit: 1 } });
    const worker = seatWorker(engine, () => undefined);
    const [first, paused, gone, last] = [
      await start(engine, 'passed'),
      await start(engine, 'passed'),
      await start(engine, 'passed'),
      await start(engine, 'passed'),
    ];
    const of = (runId: RunId) => ({ tenantId: defaultTenantId, runId, by: 'test' });
    await worker.ticket(1);
    await engine.services.orders.pause(of(paused));
    await engine.services.orders.cancel(of(gone));
    await engine.services.orders.cancel(of(first));
    expect((await worker.ticket(2)).runId).toBe(last);
    await engine.services.orders.resume(of(paused));
    await engine.services.orders.cancel(of(last));
    expect((await worker.ticket(3)).runId).toBe(paused);
    await engine.services.orders.cancel(of(paused));
    expect(await leftTurns('passed')).toBe(0);
  });

  test('whose turn was given and not told by a control plane that died begin with the next one', async () => {
    const first = await engineOn(database.url);
    const concurrency = { key: 'told', limit: 1 };
    await deploy(first, { name: 'holding', concurrency, nodes: [{ id: 'a', wait: { signal: 'never' } }] });
    await deploy(first, { ...chain('told', 1), concurrency });
    const holder = await start(first, 'holding');
    await until(first, holder, ({ type }) => type === 'run.started');
    const waiting = await start(first, 'told');
    await first[Symbol.asyncDispose]();
    // As it is when the one that gave the turn was killed before the run's journal heard of it.
    await sql`UPDATE runs SET finished_at = now(), status = 'SUCCESS' WHERE id = ${holder}`;
    await sql`UPDATE run_turns SET granted_at = now() WHERE run_id = ${waiting}`;
    await using second = await engineOn(database.url);
    seatWorker(second, succeed);
    expect(await ended(second, waiting)).toBe('SUCCESS');
  });

  test('do not keep a run from being undone', async () => {
    await using engine = await engineOn(database.url);
    const nodes = [
      { id: 'a', agent: 'noop', compensate: { agent: 'noop', input: { undo: true } } },
      { id: 'b', agent: 'noop', needs: ['a'] },
    ];
    await deploy(engine, { name: 'undone', concurrency: { limit: 1 }, nodes });
    const worker = seatWorker(engine, ({ nodeId, input }) =>
      nodeId === 'b'
        ? { ok: false, error: { code: 'AGENT_FAILED', message: 'no' } }
        : input['undo'] === true
          ? undefined
          : { ok: true, output: null },
    );
    const failed = await start(engine, 'undone');
    const next = await start(engine, 'undone');
    expect(await ended(engine, failed)).toBe('FAILED');
    expect(await ended(engine, next)).toBe('FAILED');
    await expect.poll(() => worker.tickets.filter(({ input }) => input['undo'] === true).length).toBe(2);
    const undoing = await sql<{ status: string }[]>`SELECT status FROM runs WHERE trigger = 'compensation'`;
    expect(undoing.map(({ status }) => status)).toEqual(['RUNNING', 'RUNNING']);
  });

  test('are explained: the key, and who goes', async () => {
    await using engine = await engineOn(database.url);
    await deploy(engine, { ...chain('explained', 1), concurrency: { key: 'the-press', limit: 1 } });
    const worker = seatWorker(engine, () => undefined);
    const holder = await start(engine, 'explained');
    await worker.ticket(1);
    const waiting = await start(engine, 'explained');
    const summary = await engine.services.runStore.summary(defaultTenantId, waiting);
    expect(summary).toMatchObject({ status: 'PENDING', blocker: { kind: 'concurrency', key: 'the-press', limit: 1 } });
    expect(await engine.services.turnStore.holders({ tenantId: defaultTenantId, key: 'the-press' }, 2)).toEqual([holder]);
  });
});
