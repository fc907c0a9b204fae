import { FakeClock, guardLeaks, seededRandom } from '@hivekeeper/testkit';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Door, openDoor } from '../testing/door.ts';
import { deploy, poll, register, settle, start, workflow, workOnce } from '../testing/scenes.ts';

guardLeaks();

let door: Door;
let clock: FakeClock;
beforeEach(async () => {
  clock = new FakeClock();
  door = await openDoor({ clock, random: seededRandom(1) });
  await register(door);
});
afterEach(() => door[Symbol.asyncDispose]());

const failure = { ok: false, error: { code: 'AGENT_FAILED', message: 'no' } };
const view = async (id: string) => (await door.call(`GET /v1/runs/${id}`)).body;
const statuses = async (id: string) =>
  Object.fromEntries((await view(id)).nodes.map((node: { id: string; status: string }) => [node.id, node.status]));
const rerun = (id: string, verb: string, ...[body = {}, headers = {}]: [body?: object, headers?: Record<string, string>]) =>
  door.call(`POST /v1/runs/${id}/${verb}`, { body, headers });

/** scan, then fix, then tell; `undo` makes scan one that is undone when the run fails. */
const chain = (undo: object = {}) =>
  deploy(
    door,
    workflow({
      nodes: [
        { id: 'scan', agent: 'scanner', ...undo },
        { id: 'fix', agent: 'scanner', needs: ['scan'], input: { total: '{{ nodes.scan.output.total }}' } },
        { id: 'tell', agent: 'scanner', needs: ['fix'] },
      ],
    }),
  );

/** A run of {@link chain} whose fix failed. */
async function failedRun(): Promise<string> {
  const id = await start(door);
  await workOnce(door);
  await workOnce(door, failure);
  return id;
}

describe('a retry from what failed', () => {
  it('keeps what succeeded, does the rest, and is linked to its origin', async () => {
    await chain();
    const origin = await failedRun();
    const { status, body } = await rerun(origin, 'retry', { from: 'failed' });
    expect({ status, body }).toEqual({
      status: 202,
      body: { id: expect.stringMatching(/^run_/), status: 'PENDING', workflowVersion: 1, originRunId: origin },
    });
    expect(await view(body.id)).toMatchObject({
      trigger: 'retry',
      originRunId: origin,
      nodes: [{ id: 'scan', status: 'SUCCESS', isCarried: true, output: { total: 3 }, attempts: [] }, { id: 'fix' }, { id: 'tell' }],
    });
    expect(await workOnce(door)).toMatchObject([{ nodeId: 'fix', input: { total: 3 } }]);
    await workOnce(door);
    expect((await view(body.id)).status).toBe('SUCCESS');
  });

  it('of a cancelled run does what had not ended', async () => {
    await chain();
    const origin = await start(door);
    await workOnce(door);
    await door.call(`POST /v1/runs/${origin}/cancel`);
    const { body } = await rerun(origin, 'retry', { from: 'failed' });
    expect(await statuses(body.id)).toEqual({ scan: 'SUCCESS', fix: 'RUNNING', tell: 'PENDING' });
  });

  it.each(['before', 'after'])('is refused %s the run is undone, and the whole run can be retried', async (when) => {
    await chain({ compensate: { agent: 'scanner' } });
    const origin = await failedRun();
    if (when === 'after') await door.services.runs.wake(origin as never);
    expect(await rerun(origin, 'retry', { from: 'failed' })).toMatchObject({ status: 409, body: { error: { code: 'RUN_COMPENSATED' } } });
    expect(await rerun(origin, 'fork', { nodeId: 'fix' })).toMatchObject({ status: 409, body: { error: { code: 'RUN_COMPENSATED' } } });
    const { status, body } = await rerun(origin, 'retry');
    expect([status, await statuses(body.id)]).toEqual([202, { scan: 'RUNNING', fix: 'PENDING', tell: 'PENDING' }]);
  });
});

describe('a retry of a run that undoes another one', () => {
  /** scan and fix succeeded and are to be undone; undoing fix fails. Gives the run that undoes. */
  async function failedUndoing(): Promise<string> {
    const nodes = ['scan', 'fix', 'tell'].map((id, index, all) => ({
      id,
      agent: 'scanner',
      needs: all.slice(Math.max(0, index - 1), index),
      ...(id !== 'tell' && { compensate: { agent: 'scanner', action: `un${id}` } }),
    }));
    await deploy(door, workflow({ nodes }));
    const origin = await start(door);
    await workOnce(door);
    await workOnce(door);
    await workOnce(door, failure);
    await door.services.runs.wake(origin as never);
    const [undoing] = (await door.call('GET /v1/runs?limit=1')).body;
    expect(undoing).toMatchObject({ trigger: 'compensation', originRunId: origin });
    await workOnce(door, failure);
    await workOnce(door);
    expect(await view(undoing.id)).toMatchObject({ status: 'FAILED' });
    return undoing.id;
  }
  const undone = async () => {
    const actions: unknown[] = [];
    for (
      let [ticket] = (await poll(door, { waitMs: 0 })).tickets;
      ticket !== undefined;
      [ticket] = (await poll(door, { waitMs: 0 })).tickets
    ) {
      actions.push(ticket.action);
      await settle(door, ticket);
    }
    return actions;
  };

  it.each([
    ['start', ['unfix', 'unscan']],
    ['failed', ['unfix']],
  ])('from %s undoes again, and does nothing forwards', async (from, actions) => {
    const { status, body } = await rerun(await failedUndoing(), 'retry', { from });
    expect(status).toBe(202);
    expect(await undone()).toEqual(actions);
    expect(await view(body.id)).toMatchObject({ status: 'SUCCESS', trigger: 'retry' });
  });

  it('cannot be a fork', async () => {
    expect(await rerun(await failedUndoing(), 'fork', { nodeId: 'scan' })).toMatchObject({
      status: 409,
      body: { error: { code: 'RUN_NOT_RETRYABLE' } },
    });
  });
});

describe('a fork', () => {
  beforeEach(() => chain());
  const succeeded = async () => {
    const id = await start(door);
    for (let step = 0; step < 3; step += 1) await workOnce(door);
    return id;
  };

  it('does a node and what follows again, also of a run that succeeded, with another context if told', async () => {
    const origin = await succeeded();
    const { body } = await rerun(origin, 'fork', { nodeId: 'fix', context: { target: '/other' } });
    expect(await view(body.id)).toMatchObject({ trigger: 'fork', originRunId: origin, context: { target: '/other' } });
    expect(await statuses(body.id)).toEqual({ scan: 'SUCCESS', fix: 'RUNNING', tell: 'PENDING' });
    const plain = (await rerun(origin, 'fork', { nodeId: 'scan' })).body;
    expect(await view(plain.id)).toMatchObject({ context: { target: '/repo' } });
    expect(await statuses(plain.id)).toEqual({ scan: 'RUNNING', fix: 'PENDING', tell: 'PENDING' });
  });

  it('of a run that goes on is refused: it would do things twice', async () => {
    expect(await rerun(await start(door), 'fork', { nodeId: 'scan' })).toMatchObject({
      status: 409,
      body: { error: { code: 'RUN_UNFINISHED' } },
    });
  });

  it('from a node that is not there is refused by its field', async () => {
    expect(await rerun(await succeeded(), 'fork', { nodeId: 'nowhere' })).toMatchObject({
      status: 400,
      body: { error: { code: 'INVALID_REQUEST', issues: [{ path: '/nodeId' }] } },
    });
  });
});

describe.each([
  ['retry', { from: 'failed' }, { from: 'start' }],
  ['fork', { nodeId: 'fix' }, { nodeId: 'scan' }],
])('a %s with an Idempotency-Key', (verb, body, other) => {
  beforeEach(() => chain());
  const headers = { 'idempotency-key': 'k' };

  it('starts one run, and answers again byte for byte, whatever happened since', async () => {
    const origin = await failedRun();
    const answers = await Promise.all(Array.from({ length: 10 }, () => rerun(origin, verb, body, headers)));
    await door.call(`POST /v1/runs/${answers[0]?.body.id}/cancel`);
    answers.push(await rerun(origin, verb, body, headers));
    expect(new Set(answers.map(({ text }) => text)).size).toBe(1);
    expect(answers.filter((answer) => answer.headers['idempotent-replayed'] === 'true')).toHaveLength(10);
    expect(door.tables.runs.size).toBe(2);
  });

  it('is refused with another body, and for another run', async () => {
    const origin = await failedRun();
    await rerun(origin, verb, body, headers);
    const foreign = await failedRun();
    for (const again of [rerun(origin, verb, other, headers), rerun(foreign, verb, body, headers)])
      expect(await again).toMatchObject({ status: 422, body: { error: { code: 'IDEMPOTENCY_KEY_REUSED' } } });
  });

  it('is turned away while the process drains', async () => {
    const origin = await failedRun();
    door.world.isDraining = true;
    expect((await rerun(origin, verb, body)).status).toBe(503);
  });
});

describe('an order for many runs', () => {
  const bulk = (body: object, key?: string) => door.call('POST /v1/runs/bulk', { body, ...(key !== undefined && { key }) });
  const standing = async () => (await door.call('GET /v1/runs')).body.map(({ status }: { status: string }) => status).sort();
  const startMany = async (count: number) => {
    const ids: string[] = [];
    for (let n = 0; n < count; n += 1) ids.push(await start(door));
    return ids;
  };
  beforeEach(() => chain());

  it('is a preview without a count: how many, the first 20, and nothing done', async () => {
    const ids = await startMany(25);
    const { status, body } = await bulk({ verb: 'cancel', filter: { workflow: 'review' } });
    expect({ status, body }).toEqual({
      status: 200,
      body: { verb: 'cancel', count: 25, runIds: ids.slice(0, 20), isDone: false, outcomes: {} },
    });
    expect(await standing()).toEqual(Array(25).fill('RUNNING'));
  });

  it('is done where the count is right, and again finds nothing left', async () => {
    await startMany(300);
    expect(await bulk({ verb: 'cancel', filter: {}, expectedCount: 300, reason: 'storm' })).toMatchObject({
      status: 200,
      body: { count: 300, isDone: true, outcomes: { DONE: 300 } },
    });
    const [run] = (await door.call('GET /v1/runs?limit=1')).body;
    expect(run).toMatchObject({ status: 'CANCELLED', error: { message: 'cancelled by key:first: storm' } });
    expect((await bulk({ verb: 'cancel', filter: {}, expectedCount: 0 })).body).toMatchObject({ count: 0, isDone: true, outcomes: {} });
  });

  it('is refused where the count is another one, with the count now, and nothing is done', async () => {
    await startMany(3);
    expect(await bulk({ verb: 'cancel', filter: {}, expectedCount: 2 })).toMatchObject({
      status: 409,
      body: { error: { code: 'COUNT_CHANGED', issues: [{ path: '/expectedCount', message: '3 runs match now, not 2' }] } },
    });
    expect(await standing()).toEqual(['RUNNING', 'RUNNING', 'RUNNING']);
  });

  it('takes only the runs of its filter: workflow, status, and times of creation', async () => {
    const [first] = await startMany(1);
    await clock.advance(10_000);
    const atMs = clock.nowMs();
    const [second] = await startMany(1);
    await clock.advance(10_000);
    await startMany(1);
    const found = async (filter: object) => (await bulk({ verb: 'cancel', filter })).body.runIds;
    expect(await found({ createdBeforeMs: atMs })).toEqual([first]);
    expect(await found({ createdAfterMs: atMs, createdBeforeMs: atMs + 1 })).toEqual([second]);
    expect(await found({ createdAfterMs: atMs })).toHaveLength(2);
    expect(await found({ workflow: 'other' })).toEqual([]);
    expect(await found({ status: 'WAITING_APPROVAL' })).toEqual([]);
    expect((await bulk({ verb: 'cancel', filter: {} }, door.keys.foreign)).body.count).toBe(0);
  });

  it('pauses what is not paused, and resumes what is', async () => {
    const [first] = await startMany(2);
    await door.call(`POST /v1/runs/${first}/pause`);
    expect((await bulk({ verb: 'pause', filter: {}, expectedCount: 1 })).body.outcomes).toEqual({ DONE: 1 });
    expect((await bulk({ verb: 'pause', filter: {} })).body.count).toBe(0);
    expect((await bulk({ verb: 'resume', filter: {}, expectedCount: 2 })).body.outcomes).toEqual({ DONE: 2 });
    expect((await bulk({ verb: 'resume', filter: {} })).body.count).toBe(0);
  });

  it('retries what failed once, however often and by how many it is given', async () => {
    await failedRun();
    await failedRun();
    const order = { verb: 'retry', filter: { status: 'FAILED' }, expectedCount: 2 };
    const answers = await Promise.all([bulk(order), bulk(order)]);
    expect(answers.map(({ body }) => body.outcomes)).toEqual([{ DONE: 2 }, { DONE: 2 }]);
    expect(door.tables.runs.size).toBe(4);
    expect((await bulk({ verb: 'retry', filter: {} })).body.count).toBe(0);
  });

  it('to retry is turned away while the process drains; looking is not', async () => {
    await failedRun();
    door.world.isDraining = true;
    expect((await bulk({ verb: 'retry', filter: {} })).body.count).toBe(1);
    expect((await bulk({ verb: 'retry', filter: {}, expectedCount: 1 })).status).toBe(503);
    expect(door.tables.runs.size).toBe(1);
  });

  it('that no run of the status can take is refused by its field', async () => {
    for (const [verb, status] of [
      ['cancel', 'SUCCESS'],
      ['retry', 'RUNNING'],
      ['retry', 'SUCCESS'],
    ])
      expect(await bulk({ verb, filter: { status } })).toMatchObject({
        status: 400,
        body: { error: { issues: [{ path: '/filter/status' }] } },
      });
    expect(await bulk({ verb: 'retry', filter: {}, reason: 'x' })).toMatchObject({
      status: 400,
      body: { error: { issues: [{ path: '/reason' }] } },
    });
  });

  it('counts what refuses it, and does the rest', async () => {
    const ids = await startMany(2);
    const { cancel } = door.services.orders;
    // One ends between being counted and being cancelled.
    let isFirst = true;
    door.services.orders.cancel = async (order) => {
      if (isFirst) {
        isFirst = false;
        await door.services.runs.wake(order.runId);
        for (const ticket of (await poll(door)).tickets.filter(({ runId }) => runId === order.runId)) await settle(door, ticket);
        for (let step = 0; step < 2; step += 1) for (const ticket of (await poll(door, { waitMs: 0 })).tickets) await settle(door, ticket);
      }
      return cancel.call(door.services.orders, order);
    };
    expect((await bulk({ verb: 'cancel', filter: {}, expectedCount: 2 })).body.outcomes).toEqual({ DONE: 1, RUN_FINISHED: 1 });
    expect(ids).toHaveLength(2);
  });
});
