import { defaultTenantId, type JsonValue, type RunEvent, type RunId, type WorkflowInput } from '@hivekeeper/contract';
import { describe, expect, test, vi } from 'vitest';
import type { Engine } from '../../apps/control/src/engine.ts';
import { deploy, ended, engineOn, ownDatabase, seatWorker, start, succeed, until } from './fixture.ts';

const { database, sql } = await ownDatabase();

const publish = ({ services }: Engine, key: string, payload: JsonValue = null) =>
  services.events.publish({ tenantId: defaultTenantId, type: 'order.paid', key, payload, by: 'test' });
const publishAs = (dedupeKey: string, { services }: Engine, payload: JsonValue) =>
  services.events.publish({ tenantId: defaultTenantId, type: 'order.paid', key: 'd', payload, by: 'test', dedupeKey });

/** Waits `count` times, one after the other, for a payment of the order that the context names. */
const waiting = (name: string, count = 1): WorkflowInput => ({
  name,
  nodes: Array.from({ length: count }, (_, index) => ({
    id: `paid${index}`,
    wait: { event: 'order.paid', key: '{{ context.order }}' },
    needs: index === 0 ? [] : [`paid${index - 1}`],
  })),
});

const eventsOf = async (runId: RunId): Promise<RunEvent[]> =>
  (await sql<{ events: RunEvent[] }[]>`SELECT events FROM run_journal WHERE run_id = ${runId} ORDER BY version`).flatMap(
    (row) => row.events,
  );
const receivedBy = async (runId: RunId) => (await eventsOf(runId)).filter((event) => event.type === 'signal.received');
const outputsOf = async ({ services }: Engine, runId: RunId) =>
  (await services.runs.view(defaultTenantId, runId)).nodes.map(({ output }) => output);
const waitsOf = async (runId: RunId) => (await sql`SELECT FROM event_waits WHERE run_id = ${runId}`).length;

describe('an event', () => {
  test('moves on a run that waits for it, and no run that waits for another key', async () => {
    await using engine = await engineOn(database.url);
    await deploy(engine, waiting('simple'));
    const [runId, other] = [await start(engine, 'simple', { order: 'a1' }), await start(engine, 'simple', { order: 'a2' })];
    expect((await publish(engine, 'a1', { amount: 7 })).waitingRunCount).toBe(1);
    expect(await ended(engine, runId)).toBe('SUCCESS');
    expect(await outputsOf(engine, runId)).toEqual([{ amount: 7 }]);
    expect([await waitsOf(runId), await waitsOf(other)]).toEqual([0, 1]);
    expect(await receivedBy(other)).toEqual([]);
  });

  test('counts for every run that waits, once in each', async () => {
    await using engine = await engineOn(database.url);
    await deploy(engine, waiting('many', 2));
    const runIds = await Promise.all(Array.from({ length: 20 }, () => start(engine, 'many', { order: 'b' })));
    expect((await publish(engine, 'b', 1)).waitingRunCount).toBe(20);
    await publish(engine, 'b', 2);
    expect(new Set(await Promise.all(runIds.map((runId) => ended(engine, runId))))).toEqual(new Set(['SUCCESS']));
    for (const runId of runIds) expect([...(await outputsOf(engine, runId))].sort()).toEqual([1, 2]);
  });

  test('reaches a run that began to wait at another control plane, which is gone, though this one remembers it otherwise', async () => {
    await using left = await engineOn(database.url);
    const right = await engineOn(database.url);
    await deploy(left, {
      name: 'moved',
      nodes: [
        { id: 'work', agent: 'noop' },
        { ...waiting('').nodes[0], id: 'paid', needs: ['work'] },
      ],
    });
    const runId = await start(left, 'moved', { order: 'm' });
    seatWorker(right, succeed);
    await until(right, runId, ({ type }) => type === 'node.suspended');
    await right[Symbol.asyncDispose]();
    await publish(left, 'm', 'there');
    expect(await ended(left, runId)).toBe('SUCCESS');
  });

  test('that came before its run began to wait counts, the oldest first, and one from before the run began does not', async () => {
    await using engine = await engineOn(database.url);
    await deploy(engine, {
      name: 'early',
      nodes: [
        { id: 'work', agent: 'noop' },
        ...waiting('', 2).nodes.map((node, index) => (index === 0 ? { ...node, needs: ['work'] } : node)),
      ],
    });
    await publish(engine, 'c', 'too early');
    const worker = seatWorker(engine, () => undefined);
    const runId = await start(engine, 'early', { order: 'c' });
    await publish(engine, 'c', 'first');
    await publish(engine, 'c', 'second');
    const { ticketId, token } = await worker.ticket(1);
    await engine.services.runs.settle({ workerId: worker.workerId, ticketId, token, outcome: { ok: true, output: null } });
    expect(await ended(engine, runId)).toBe('SUCCESS');
    expect(await outputsOf(engine, runId)).toEqual([null, 'first', 'second']);
  });

  test('published twice under one id is one event; another under the same id is refused', async () => {
    await using engine = await engineOn(database.url);
    await deploy(engine, waiting('twice', 2));
    const runId = await start(engine, 'twice', { order: 'd' });
    const both = await Promise.all([publishAs('e-1', engine, 1), publishAs('e-1', engine, 1)]);
    const again = await publishAs('e-1', engine, 1);
    expect(new Set([...both, again].map(({ id }) => id)).size).toBe(1);
    expect([...both, again].filter(({ isReplay }) => !isReplay)).toHaveLength(1);
    await expect(publishAs('e-1', engine, 2)).rejects.toMatchObject({ code: 'IDEMPOTENCY_KEY_REUSED' });
    await publishAs('e-2', engine, 'last');
    expect(await ended(engine, runId)).toBe('SUCCESS');
    expect(await outputsOf(engine, runId)).toEqual([1, 'last']);
    expect(await receivedBy(runId)).toHaveLength(2);
  });

  test('and the wait for it that come at the same time find each other, 200 times, on two control planes', async () => {
    await using left = await engineOn(database.url);
    await using right = await engineOn(database.url);
    await deploy(left, {
      name: 'race',
      nodes: [
        { id: 'work', agent: 'noop' },
        { ...waiting('').nodes[0], id: 'paid', needs: ['work'] },
      ],
    });
    for (const engine of [left, right]) seatWorker(engine, succeed);
    for (let round = 0; round < 200; round += 1) {
      const order = `race-${round}`;
      const runId = await start(left, 'race', { order });
      // The node before is at work now: its result, which begins the wait, and the event meet somewhere.
      await publish(round % 2 === 0 ? left : right, order, round);
      expect(await ended(right, runId)).toBe('SUCCESS');
      expect((await receivedBy(runId)).length).toBe(1);
    }
  });

  test('whose delivery a killed control plane cut off is brought by the next ones that start, once', async () => {
    const first = await engineOn(database.url);
    await deploy(first, waiting('cut'));
    const runIds = await Promise.all(Array.from({ length: 150 }, () => start(first, 'cut', { order: 'k' })));
    await first[Symbol.asyncDispose]();
    // As it is when the publisher was killed between its commit and the look for waits.
    await sql`INSERT INTO events (id, tenant_id, type, key, payload, published_by) VALUES
      ('evt_00000000000000000000000001', ${defaultTenantId}, 'order.paid', 'k', '"left"', 'test')`;
    await using second = await engineOn(database.url);
    await using third = await engineOn(database.url);
    for (const runId of runIds) {
      expect(await ended(second, runId)).toBe('SUCCESS');
      expect(await outputsOf(third, runId)).toEqual(['left']);
      expect(await receivedBy(runId)).toHaveLength(1);
    }
  });

  test('that a run had already is not what its next wait gets, however often both sides look', async () => {
    await using engine = await engineOn(database.url);
    await deploy(engine, waiting('had', 2));
    const runId = await start(engine, 'had', { order: 'h' });
    const { id } = await publish(engine, 'h', 1);
    const view = async () => (await engine.services.runs.view(defaultTenantId, runId)).nodes[0]?.status;
    await expect.poll(view).toBe('SUCCESS');
    await engine.services.events.sweep();
    await engine.services.events.sweep();
    expect((await receivedBy(runId)).map((event) => event.type === 'signal.received' && event.signalId)).toEqual([id]);
    expect(await waitsOf(runId)).toBe(1);
  });

  test('is listed by type and key, the newest first', async () => {
    await using engine = await engineOn(database.url);
    const [one, two] = [await publish(engine, 'list', 1), await publish(engine, 'list', 2)];
    const listed = await engine.services.events.list(defaultTenantId, { type: 'order.paid', key: 'list', limit: 10 });
    expect(listed.map(({ id }) => id)).toEqual([two.id, one.id]);
    expect(await engine.services.events.list(defaultTenantId, { key: 'list', before: two.id, limit: 10 })).toHaveLength(1);
  });
});

describe('an event that a trigger means', () => {
  const started = (name: string) => ({ name, trigger: { event: { pattern: `${name}.>` } }, nodes: [{ id: 'works', agent: 'noop' }] });
  const runsOf = async (name: string) =>
    (await sql`SELECT r.id FROM runs r JOIN workflows w ON w.id = r.workflow_id WHERE w.name = ${name}`).length;
  const say = ({ services }: Engine, type: string, dedupeKey: string) =>
    services.events.publish({ tenantId: defaultTenantId, type, payload: null, by: 'test', dedupeKey });
  const quiet = async () => (await sql`SELECT FROM events WHERE started_at IS NULL`).length === 0;

  test('starts one run, however often it is said at how many control planes', async () => {
    await using one = await engineOn(database.url);
    await using other = await engineOn(database.url);
    await deploy(one, started('often'));
    await vi.waitUntil(async () => (await other.services.workflows.active(defaultTenantId)).some(({ name }) => name === 'often'));
    await Promise.all(Array.from({ length: 100 }, (_, index) => say(index % 2 === 0 ? one : other, 'often.said', `m-${index % 10}`)));
    await vi.waitUntil(quiet, { timeout: 20_000, interval: 20 });
    expect(await runsOf('often')).toBe(10);
  });

  test('is served by the next control plane where the one that stored it was killed before its run was', async () => {
    {
      await using engine = await engineOn(database.url);
      await deploy(engine, started('late'));
      const { id } = await say(engine, 'late.said', 'm');
      await vi.waitUntil(quiet, { timeout: 20_000, interval: 20 });
      await sql`DELETE FROM runs WHERE id IN (SELECT r.id FROM runs r JOIN workflows w ON w.id = r.workflow_id WHERE w.name = 'late')`;
      await sql`DELETE FROM idempotency_keys WHERE route = 'event'`;
      await sql`UPDATE events SET started_at = NULL, received_at = now() - interval '6 seconds' WHERE id = ${id}`;
    }
    await using next = await engineOn(database.url);
    await vi.waitUntil(quiet, { timeout: 20_000, interval: 20 });
    expect(await runsOf('late')).toBe(1);
    expect(next.services.desk.workers()).toEqual([]);
  });
});
