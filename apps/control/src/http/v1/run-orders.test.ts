import { FakeClock, guardLeaks, seededRandom } from '@hivekeeper/testkit';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Door, openDoor } from '../testing/door.ts';
import { deploy, poll, register, start, workflow, workOnce } from '../testing/scenes.ts';

guardLeaks();

let door: Door;
beforeEach(async () => {
  door = await openDoor({ clock: new FakeClock(), random: seededRandom(1) });
});
afterEach(() => door[Symbol.asyncDispose]());

const view = async (id: string) => (await door.call(`GET /v1/runs/${id}`)).body;
const commitCount = (id: string) => door.tables.runs.get(id as never)?.commits.length;
const orders = [
  ['cancel', {}],
  ['pause', {}],
  ['resume', {}],
  ['priority', { priority: 1 }],
  ['signals', { name: 'go' }],
] as const;

describe('a paused run', () => {
  beforeEach(() => deploy(door));

  it('hands out nothing, says who paused it and why, and goes on when resumed', async () => {
    await register(door);
    const id = await start(door);
    expect(await door.call(`POST /v1/runs/${id}/pause`, { body: { reason: 'look first' } })).toMatchObject({
      status: 200,
      body: { id, status: 'RUNNING', blocker: { kind: 'paused', by: 'key:first', reason: 'look first' } },
    });
    expect((await poll(door, { waitMs: 0 })).tickets).toEqual([]);
    expect((await door.call(`GET /v1/why/${id}`)).body).toMatchObject({
      explanation: expect.stringContaining('look first'),
      nextCommand: `hive run resume ${id}`,
    });
    expect((await door.call(`POST /v1/runs/${id}/resume`)).body.blocker.kind).toBe('ticket');
    expect(await workOnce(door)).toHaveLength(1);
    expect((await view(id)).status).toBe('SUCCESS');
  });

  it('is no news when it is paused, resumed or given its priority again', async () => {
    const id = await start(door);
    for (const [verb, body] of [
      ['pause', {}],
      ['resume', {}],
      ['priority', { priority: 7 }],
    ] as const) {
      await door.call(`POST /v1/runs/${id}/${verb}`, { body });
      const before = commitCount(id);
      expect(await door.call(`POST /v1/runs/${id}/${verb}`, { body })).toMatchObject({ status: 200, body: { id } });
      expect(commitCount(id), verb).toBe(before);
    }
  });
});

it('a run with a larger priority is worked on first, though it came later', async () => {
  await deploy(door);
  await start(door);
  const late = await start(door);
  expect((await door.call(`POST /v1/runs/${late}/priority`, { body: { priority: 50, reason: 'customer' } })).status).toBe(200);
  await register(door);
  expect((await poll(door, { credits: 1 })).tickets).toMatchObject([{ runId: late }]);
});

describe('a signal', () => {
  const waiting = (changes: object = {}) =>
    deploy(door, workflow({ nodes: [1, 2].map((n) => ({ id: `w${n}`, wait: { signal: 'go', ...changes } })) }));
  const send = (id: string, body: object, headers: Record<string, string> = {}) =>
    door.call(`POST /v1/runs/${id}/signals`, { body, headers });
  const outputs = async (id: string) => (await view(id)).nodes.map(({ output }: { output?: unknown }) => output);

  it('gives its payload to the node that waits', async () => {
    await waiting();
    const id = await start(door);
    expect(await send(id, { name: 'go', payload: { by: 'ann' } })).toMatchObject({
      status: 200,
      body: { id, blocker: { kind: 'signal' } },
    });
    expect(await outputs(id)).toEqual([{ by: 'ann' }, undefined]);
    await send(id, { name: 'go' });
    expect(await outputs(id)).toEqual([{ by: 'ann' }, null]);
    expect((await view(id)).status).toBe('SUCCESS');
  });

  it.each([
    ['an Idempotency-Key', {}, { 'idempotency-key': 'k' }],
    ['a signalId', { signalId: 'k' }, {}],
  ])('with %s counts once, also when many send it at once', async (_, body, headers) => {
    await waiting();
    const id = await start(door);
    const answers = await Promise.all(Array.from({ length: 10 }, () => send(id, { name: 'go', payload: 1, ...body }, headers)));
    expect(answers.map(({ status }) => status)).toEqual(Array(10).fill(200));
    expect(await outputs(id)).toEqual([1, undefined]);
  });

  it('that comes again after the end of its run is still no news, a new one is refused', async () => {
    await deploy(door, workflow({ nodes: [{ id: 'w', wait: { signal: 'go' } }] }));
    const id = await start(door);
    await send(id, { name: 'go', signalId: 'k' });
    expect((await send(id, { name: 'go', signalId: 'k' })).status).toBe(200);
    expect(await send(id, { name: 'go', signalId: 'other' })).toMatchObject({ status: 409, body: { error: { code: 'RUN_FINISHED' } } });
  });

  it('with another key than the wait’s is kept and wakes nobody', async () => {
    await waiting({ key: '{{ context.target }}' });
    const id = await start(door);
    await send(id, { name: 'go', key: '/other', payload: 1 });
    expect(await outputs(id)).toEqual([undefined, undefined]);
    await send(id, { name: 'go', key: '/repo', payload: 2 });
    expect(await outputs(id)).toEqual([2, undefined]);
  });

  it('larger than a run may keep is refused', async () => {
    await waiting();
    const id = await start(door);
    expect((await send(id, { name: 'go', payload: 'x'.repeat(300_000) })).body.error.code).toBe('BODY_TOO_LARGE');
  });
});

describe('an order', () => {
  it.each(orders)('to %s an ended run is refused', async (verb, body) => {
    await deploy(door);
    await register(door);
    const id = await start(door);
    await workOnce(door);
    expect(await door.call(`POST /v1/runs/${id}/${verb}`, { body })).toMatchObject({
      status: 409,
      body: { error: { code: 'RUN_FINISHED' } },
    });
  });

  it.each(orders)('to %s finds no run of another tenant', async (verb, body) => {
    await deploy(door);
    const id = await start(door);
    const before = commitCount(id);
    expect((await door.call(`POST /v1/runs/${id}/${verb}`, { body, key: door.keys.foreign })).status).toBe(404);
    expect(commitCount(id)).toBe(before);
  });
});
