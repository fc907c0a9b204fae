import { defaultTenantId } from '@hivekeeper/contract';
import { FakeClock, guardLeaks, seededRandom } from '@hivekeeper/testkit';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { type Door, openDoor } from '../testing/door.ts';
import { deploy } from '../testing/scenes.ts';

guardLeaks();

let door: Door;
beforeEach(async () => {
  door = await openDoor({ clock: new FakeClock(), random: seededRandom(1) });
});
afterEach(() => door[Symbol.asyncDispose]());

describe('events', () => {
  const paid = { type: 'order.paid', key: '42', payload: { amount: 7 } };
  const publish = (body: object = paid, headers: Readonly<Record<string, string>> = {}) => door.call('POST /v1/events', { body, headers });

  it('are stored, listed, and read by their id', async () => {
    const { status, body } = await publish();
    expect([status, body.waitingRunCount, body.publishedBy]).toEqual([201, 0, 'key:first']);
    expect((await door.call('GET /v1/events?type=order.paid&key=42')).body).toMatchObject([{ id: body.id, payload: { amount: 7 } }]);
    expect((await door.call('GET /v1/events?key=other')).body).toEqual([]);
    expect((await door.call(`GET /v1/events/${body.id}`)).body).toMatchObject({ type: 'order.paid' });
    expect((await door.call(`GET /v1/events/${body.id}`, { key: door.keys.foreign })).body.error.code).toBe('NOT_FOUND');
  });

  it.each([
    ['eventId', { ...paid, eventId: 'e-1' }, {}],
    ['Idempotency-Key', paid, { 'idempotency-key': 'e-1' }],
  ])('count once per %s', async (_name, body, headers) => {
    const first = await publish(body, headers);
    const again = await publish(body, headers);
    expect([first.status, again.status, again.body.id]).toEqual([201, 200, first.body.id]);
    expect(again.headers['idempotent-replayed']).toBe('true');
    expect((await publish({ ...body, payload: 8 }, headers)).body.error.code).toBe('IDEMPOTENCY_KEY_REUSED');
  });
});

describe('an event that a workflow’s trigger means', () => {
  const publish = (event: object, headers: Readonly<Record<string, string>> = {}) => door.call('POST /v1/events', { body: event, headers });
  const runs = async () => (await door.call('GET /v1/runs')).body;
  const contextOf = async (id: string) => (await door.call(`GET /v1/runs/${id}`)).body.context;
  const startedRuns = () => vi.waitUntil(async () => ((await runs()).length > 0 ? runs() : false), { timeout: 5_000, interval: 1 });
  const on = (trigger: object) => deploy(door, { name: 'indexer', nodes: [{ id: 'scan', agent: 'scanner' }], trigger: trigger as never });

  it('starts a run with the payload as its event, once per event id', async () => {
    await on({ event: { pattern: 'graph.indexed.*' } });
    const event = { type: 'graph.indexed.7', payload: { files: 3 }, eventId: 'm-1' };
    expect((await publish(event)).body.startedWorkflows).toEqual(['indexer']);
    const [run] = await startedRuns();
    expect(run).toMatchObject({ workflowName: 'indexer', trigger: 'event:graph.indexed.7' });
    expect(await contextOf(run.id)).toMatchObject({ event: { files: 3 }, type: 'graph.indexed.7' });
    await publish(event);
    await door.services.events[Symbol.asyncDispose]();
    expect(await runs()).toHaveLength(1);
  });

  it('is found by its subject, too', async () => {
    await on({ event: [{ pattern: 'never' }, { pattern: 'hub.>' }] });
    await publish({ type: 'moved', subject: 'hub.north.file.moved', payload: 1 });
    expect(await contextOf((await startedRuns())[0].id)).toMatchObject({ subject: 'hub.north.file.moved' });
  });

  it('counts as CommandCenter’s workflows declare it', async () => {
    await on({ type: 'event', pattern: 'graph.file.*' });
    expect((await publish({ type: 'graph.file.updated' })).body.startedWorkflows).toEqual(['indexer']);
    await startedRuns();
  });

  it('starts nothing where the condition is not true, or cannot be judged', async () => {
    await on({ event: { pattern: 'order.paid', when: 'event.amount > 100' } });
    expect((await publish({ type: 'order.paid', payload: { amount: 7 } })).body.startedWorkflows).toEqual([]);
    expect((await publish({ type: 'order.paid', payload: 'seven' })).body.startedWorkflows).toEqual([]);
    expect((await publish({ type: 'order.paid', payload: { amount: 700 } })).body.startedWorkflows).toEqual(['indexer']);
    await startedRuns();
  });

  it('starts nothing of a workflow that is archived, nor of another tenant', async () => {
    await on({ event: { pattern: '>' } });
    const foreign = await door.call('POST /v1/events', { body: { type: 'a' }, key: door.keys.foreign });
    expect(foreign.body.startedWorkflows).toEqual([]);
    const { workflows } = door.services;
    const { id } = await workflows.get(defaultTenantId, { name: 'indexer' });
    await workflows.update({ tenantId: defaultTenantId, id, status: 'ARCHIVED', by: 'test' });
    expect((await publish({ type: 'a' })).body.startedWorkflows).toEqual([]);
  });

  it.each([
    [{ event: { pattern: 'a..b' } }, 'INVALID_REQUEST', '/trigger/event/pattern'],
    [{ event: [{ pattern: 'a' }, { pattern: '>.a' }] }, 'INVALID_REQUEST', '/trigger/event/1/pattern'],
    [{ event: { pattern: 'a', whenever: 1 } }, 'INVALID_REQUEST', '/trigger/event'],
    [{ type: 'event', pattern: 'no spaces' }, 'INVALID_REQUEST', '/trigger/pattern'],
    [{ event: { pattern: 'a', when: '1 +' } }, 'WORKFLOW_INVALID', '/trigger/event/when'],
  ])('is refused where it is declared as %j', async (...[trigger, code, path]) => {
    const { error } = (await on(trigger)).body;
    expect([error.code, error.issues[0].path]).toEqual([code, path]);
  });
});

describe('a CloudEvent', () => {
  const event = {
    specversion: '1.0',
    id: 'a-1',
    source: '/sensors/7',
    type: 'graph.indexed',
    subject: 'graph.indexed.7',
    data: { files: 3 },
  };
  const structured = { 'content-type': 'application/cloudevents+json; charset=utf-8' };
  const binary = {
    'ce-specversion': '1.0',
    'ce-id': 'a-1',
    'ce-source': '/sensors/7',
    'ce-type': 'graph.indexed',
    'ce-subject': 'graph.indexed.7',
  };
  const post = (body: unknown, headers: Readonly<Record<string, string>>) => door.call('POST /v1/events', { body, headers });

  it('is taken in structured and in binary mode, and is one event in both', async () => {
    const first = await post({ ...event, traceparent: '00-x' }, structured);
    expect(first).toMatchObject({
      status: 201,
      body: { type: 'graph.indexed', subject: 'graph.indexed.7', source: '/sensors/7', payload: { files: 3 } },
    });
    expect(await post({ files: 3 }, binary)).toMatchObject({ status: 200, body: { id: first.body.id } });
    expect((await post({ files: 4 }, binary)).body.error.code).toBe('IDEMPOTENCY_KEY_REUSED');
    expect((await post({ ...event, source: '/sensors/8' }, structured)).status).toBe(201);
  });

  it.each([
    [{ ...event, id: undefined }, structured, '/id'],
    [{ ...event, specversion: '0.3' }, structured, '/specversion'],
    [{ ...event, type: 'no type' }, structured, '/type'],
    [{ ...event, time: 'yesterday' }, structured, '/time'],
    [{ files: 3 }, { 'ce-specversion': '1.0', 'ce-id': 'a' }, '/source'],
  ] as const)('%j with %j is refused at its place, and nothing is stored', async (...[body, headers, path]) => {
    const { status, body: answer } = await post(body, headers);
    expect([status, answer.error.code, answer.error.issues[0].path]).toEqual([400, 'INVALID_REQUEST', path]);
    expect(door.tables.events.size).toBe(0);
  });

  it('is not taken elsewhere, and a batch nowhere', async () => {
    expect((await door.call('POST /v1/schedules', { body: event, headers: structured })).status).toBe(415);
    expect((await post([event], { 'content-type': 'application/cloudevents-batch+json' })).status).toBe(415);
  });
});
