import {
  defaultTenantId,
  discoverSchema,
  type InstanceChange,
  type InstanceId,
  type InstanceView,
  registerInstanceSchema,
} from '@hivekeeper/contract';
import { FakeClock, guardLeaks, seededRandom } from '@hivekeeper/testkit';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Door, openDoor } from '../testing/door.ts';
import { deploy, poll, register, start, workerId } from '../testing/scenes.ts';

guardLeaks();

/** A clock whose owner may stand still: time passes, and no timer fires. */
class StallingClock extends FakeClock {
  stalledMs = 0;
  override monotonicMs = () => super.monotonicMs() + this.stalledMs;
  override nowMs = () => super.nowMs() + this.stalledMs;
}

let clock: StallingClock;
let door: Door;
let stack: AsyncDisposableStack;
beforeEach(async () => {
  clock = new StallingClock();
  stack = new AsyncDisposableStack();
  door = stack.use(await openDoor({ clock, random: seededRandom(1) }));
  stack.use(door.keepWatch());
});
afterEach(() => stack.disposeAsync());

const key = () => door.keys.worker;
const scout = { name: 'scout-1', role: 'scout', capabilities: ['scan', 'report'], metadata: { zone: 'a' } };
const enrol = (body: object = scout) => door.call('POST /v1/registry/instances', { body, key: key() });
const beat = (id: string, body: object = {}) => door.call(`POST /v1/registry/instances/${id}/heartbeat`, { body, key: key() });
const discover = async (body: object = {}) => (await door.call('POST /v1/registry/discover', { body, key: key() })).body;
const names = async (body: object = {}) => (await discover(body)).instances.map(({ name }: InstanceView) => name);
const show = async (id: string): Promise<InstanceView> => (await door.call(`GET /v1/registry/instances/${id}`)).body;

describe('a registration', () => {
  it('of the same name is the same instance, under the same id, told with the count', async () => {
    const first = await enrol();
    const again = await enrol({ ...scout, capabilities: ['scan'] });
    expect([first.status, again.status]).toEqual([201, 200]);
    expect(again.body).toMatchObject({ id: first.body.id, registration: 2, registrationCount: 2, capabilities: ['scan'] });
    const elsewhere = await enrol({ ...scout, namespace: 'staging' });
    expect([elsewhere.status, elsewhere.body.id === first.body.id]).toEqual([201, false]);
  });

  it('replaces the one before: beats of that one are refused', async () => {
    const { id } = (await enrol()).body;
    await enrol();
    expect((await beat(id, { registration: 1 })).body.error.code).toBe('INSTANCE_REPLACED');
    expect((await beat(id, { registration: 2 })).status).toBe(200);
  });

  it('is one tenant’s: another one neither sees nor beats nor orders it', async () => {
    const { id } = (await enrol()).body;
    const foreign = { key: door.keys.foreign };
    expect((await door.call('GET /v1/registry/instances', foreign)).body).toEqual([]);
    expect((await door.call('POST /v1/registry/discover', { ...foreign, body: {} })).body.instances).toEqual([]);
    for (const [request, body] of [
      [`GET /v1/registry/instances/${id}`, undefined],
      [`POST /v1/registry/instances/${id}/heartbeat`, {}],
      [`POST /v1/registry/instances/${id}/drain`, {}],
      [`DELETE /v1/registry/instances/${id}`, undefined],
    ] as const)
      expect((await door.call(request, { ...foreign, ...(body !== undefined && { body }) })).body.error.code).toBe('NOT_FOUND');
  });

  it('ends when it is taken out', async () => {
    const { id } = (await enrol()).body;
    expect((await door.call(`DELETE /v1/registry/instances/${id}`, { key: key() })).status).toBe(204);
    expect((await beat(id)).body.error.code).toBe('NOT_FOUND');
    expect(await names()).toEqual([]);
  });
});

describe('who is found', () => {
  it('has every capability that is asked for, and everything the filter says', async () => {
    await enrol();
    await enrol({ name: 'guard-1', role: 'guard', capabilities: ['scan'] });
    expect(await names({ capabilities: ['scan'] })).toHaveLength(2);
    expect(await names({ capabilities: ['scan', 'report'] })).toEqual(['scout-1']);
    expect(await names({ capabilities: ['scan', 'fly'] })).toEqual([]);
    expect(await names({ filter: { role: 'guard' } })).toEqual(['guard-1']);
    expect(await names({ filter: { metadata: { zone: 'a' } } })).toEqual(['scout-1']);
    expect(await names({ filter: { metadata: { zone: 'b' } } })).toEqual([]);
  });

  it('comes in the order of its rank, which is told with its parts', async () => {
    await enrol({ name: 'failing', telemetry: { executionCount: 100, failureCount: 90 } });
    await enrol({ name: 'busy', telemetry: { executionCount: 100, failureCount: 0, loadRatio: 1 } });
    await enrol({ name: 'free', telemetry: { executionCount: 100, failureCount: 0, loadRatio: 0 } });
    expect(await names()).toEqual(['free', 'busy', 'failing']);
    const { instances, matchCount } = await discover({ limit: 1 });
    expect(matchCount).toBe(3);
    expect(instances[0].rank.parts.map(({ because }: { because: string }) => because)).toEqual([
      'healthy',
      '0 of 100 executions failed',
      '0 % of it is in use',
    ]);
  });

  it('ranks by what it told last', async () => {
    const { id } = (await enrol({ name: 'a' })).body;
    await enrol({ name: 'b' });
    await beat(id, { telemetry: { executionCount: 9, failureCount: 9 } });
    expect(await names()).toEqual(['b', 'a']);
  });

  it('is cordoned by nobody: a cordon outlives the process, a drain ends with it', async () => {
    const { id } = (await enrol()).body;
    const cordoned = await door.call(`POST /v1/registry/instances/${id}/cordon`, { body: { reason: 'noisy' } });
    expect(cordoned.body).toMatchObject({ duty: 'cordoned', order: { by: 'key:first', reason: 'noisy' } });
    expect((await beat(id)).body.duty).toBe('cordoned');
    expect(await names()).toEqual([]);
    expect((await enrol()).body.duty).toBe('cordoned');
    await door.call(`POST /v1/registry/instances/${id}/uncordon`, { body: {} });
    expect(await names()).toEqual(['scout-1']);
    expect((await door.call(`POST /v1/registry/instances/${id}/drain`, { body: {} })).body.duty).toBe('draining');
    expect(await names()).toEqual([]);
    expect((await enrol()).body.duty).toBe('active');
  });
});

describe('silence', () => {
  it('makes an instance degraded, then unhealthy and not found any more, then gone; a beat of that one is refused', async () => {
    const { id } = (await enrol()).body;
    await clock.advance(2_500);
    expect([(await show(id)).health, await names()]).toEqual(['degraded', ['scout-1']]);
    await clock.advance(1_000);
    expect([(await show(id)).health, await names()]).toEqual(['unhealthy', []]);
    await beat(id);
    expect([(await show(id)).health, await names()]).toEqual(['healthy', ['scout-1']]);
    await clock.advance(31_000);
    expect((await beat(id)).body.error.code).toBe('INSTANCE_GONE');
    expect((await enrol()).body).toMatchObject({ id, health: 'healthy' });
  });

  it('of 200 in 1,000 is noticed within 5 s, and nobody else is dropped, also where the registry stands still for 5 s', async () => {
    const { instances } = door.services;
    const ids: InstanceId[] = [];
    for (let number = 0; number < 1_000; number += 1) {
      const description = registerInstanceSchema.parse({ name: `agent-${number}` });
      ids.push((await instances.register({ tenantId: defaultTenantId, description, by: 'test' })).id);
    }
    const [dying, living] = [ids.slice(0, 200), ids.slice(200)];
    const changes: InstanceChange[] = [];
    const stop = instances.follow(defaultTenantId, (change) => changes.push(change));
    const everyone = discoverSchema.parse({ limit: 1_000 });
    const found = () => new Set(instances.discover(defaultTenantId, everyone).instances.map(({ id }) => id));
    const live = (who: readonly InstanceId[]) => {
      for (const id of who) instances.beat({ tenantId: defaultTenantId, id });
    };
    for (let second = 0; second < 3; second += 1) {
      live(ids);
      await clock.advance(1_000);
    }
    // Beats wait in the sockets while the process stands still; whoever asks first is answered before they are read.
    clock.stalledMs += 5_000;
    expect(found().size).toBe(1_000);
    live(living);
    for (let second = 0; second < 5; second += 1) {
      await clock.advance(1_000);
      live(living);
    }
    const left = found();
    expect(dying.filter((id) => left.has(id))).toEqual([]);
    expect(living.filter((id) => !left.has(id))).toEqual([]);
    const dropped = changes.filter(({ instance: { health } }) => health === 'unhealthy' || health === 'gone');
    expect(new Set(dropped.map(({ instance }) => instance.id))).toEqual(new Set(dying));
    stop();
  });

  it('is told to who watches, once for each change', async () => {
    const told: string[] = [];
    const { id } = (await enrol()).body;
    const stop = door.services.instances.follow(defaultTenantId, ({ type, instance }) => told.push(`${type} ${instance.health}`));
    await clock.advance(4_000);
    await beat(id);
    await clock.advance(250);
    await door.call(`DELETE /v1/registry/instances/${id}`, { key: key() });
    stop();
    expect(told).toEqual([
      'instance.present healthy',
      'instance.health-changed degraded',
      'instance.health-changed unhealthy',
      'instance.health-changed healthy',
      'instance.deregistered healthy',
    ]);
  });
});

describe('a worker', () => {
  const isTold = async () => (await door.call('GET /v1/registry/instances?kind=worker')).body[0];

  it('is registered by pulling tickets, and found by what it can run', async () => {
    await register(door);
    await clock.advance(250);
    expect(await isTold()).toMatchObject({ id: workerId, kind: 'worker', name: 'w', capabilities: ['node'], health: 'healthy' });
    expect(await names({ capabilities: ['node'] })).toEqual(['w']);
    expect((await beat(workerId)).body.error.code).toBe('NOT_FOUND');
    expect((await door.call(`DELETE /v1/registry/instances/${workerId}`)).body.error.code).toBe('STILL_IN_USE');
  });

  it('that is cordoned gets no ticket until it is not, and then gets it at once', async () => {
    await deploy(door);
    await register(door);
    await clock.advance(250);
    await door.call(`POST /v1/registry/instances/${workerId}/cordon`, { body: {} });
    await start(door);
    expect((await poll(door, { waitMs: 0 })).tickets).toEqual([]);
    const waiting = poll(door);
    await clock.advance(1_000);
    await door.call(`POST /v1/registry/instances/${workerId}/uncordon`, { body: {} });
    expect(await waiting).toEqual({ tickets: [], revoked: [] });
    expect((await poll(door)).tickets).toHaveLength(1);
  });

  it('that drains is told to leave when it has finished what it holds, and not before', async () => {
    await deploy(door);
    await register(door);
    await clock.advance(250);
    await start(door);
    const { tickets } = await poll(door);
    await door.call(`POST /v1/registry/instances/${workerId}/drain`, { body: {} });
    await start(door);
    expect(await poll(door, { held: tickets, waitMs: 0 })).toEqual({ tickets: [], revoked: [] });
    const [{ ticketId, token }] = tickets as [(typeof tickets)[number]];
    await door.call('POST /v1/worker/settle', { key: key(), body: { workerId, ticketId, token, outcome: { ok: true, output: 1 } } });
    expect(await poll(door)).toEqual({ tickets: [], revoked: [], leave: true });
  });
});
