/** Agents and workers that are registered as running, over real PostgreSQL and several control planes. */
import { isDeepStrictEqual } from 'node:util';
import { defaultTenantId, discoverSchema, type InstanceId, registerInstanceSchema, type RunId } from '@hivekeeper/contract';
import { idMaker, systemClock, systemRandom } from '@hivekeeper/kernel';
import { afterEach, describe, expect, test, vi } from 'vitest';
import type { Engine } from '../../apps/control/src/engine.ts';
import { builtin, engineOn, ownDatabase, seatWorker } from './fixture.ts';

const { database, sql } = await ownDatabase();
afterEach(() => sql`TRUNCATE instances, instance_rounds`);

const register = ({ services: { instances } }: Engine, name: string, more: object = {}) =>
  instances.register({ tenantId: defaultTenantId, description: registerInstanceSchema.parse({ name, ...more }), by: 'test' });
const found = ({ services: { instances } }: Engine) =>
  instances.discover(defaultTenantId, discoverSchema.parse({ limit: 1_000 })).instances.map(({ name }) => name);
const beat = ({ services: { instances } }: Engine, id: InstanceId, more: object = {}) =>
  instances.beat({ tenantId: defaultTenantId, id, ...more });
const patiently = { timeout: 10_000, interval: 20 };

describe('a registration', () => {
  test('made twice at once, at two control planes, is one instance', async () => {
    await using one = await engineOn(database.url);
    await using other = await engineOn(database.url);
    const all = await Promise.all(Array.from({ length: 10 }, (_, index) => register(index % 2 === 0 ? one : other, 'twin')));
    expect(new Set(all.map(({ id }) => id)).size).toBe(1);
    expect(Math.max(...all.map(({ registrationCount }) => registrationCount))).toBe(10);
  });

  test('is on record with who made it, and so is every order', async () => {
    await using engine = await engineOn(database.url);
    const { id } = await register(engine, 'audited');
    const call = { tenantId: defaultTenantId, id, by: 'key:ann' };
    await engine.services.instances.order({ ...call, duty: 'cordoned', reason: 'noisy' });
    await engine.services.instances.deregister(call);
    const entries = await sql`SELECT actor, action FROM audit_log WHERE object = ${id} ORDER BY seq`;
    expect(entries.map(({ actor, action }) => `${actor} ${action}`)).toEqual([
      'test instance.registered',
      'key:ann instance.cordoned',
      'key:ann instance.deregistered',
    ]);
  });
});

describe('a control plane', () => {
  test('that starts knows who was registered, and what was ordered; whoever was unhealthy is not found before a beat', async () => {
    const first = await engineOn(database.url);
    const { id } = await register(first, 'stays');
    const sick = await register(first, 'sick');
    await first.services.instances.order({ tenantId: defaultTenantId, id, by: 'test', duty: 'cordoned' });
    await first[Symbol.asyncDispose]();
    await sql`UPDATE instances SET health = 'unhealthy' WHERE id = ${sick.id}`;
    await using next = await engineOn(database.url);
    expect(next.services.instances.get(defaultTenantId, id)).toMatchObject({ duty: 'cordoned', registrationCount: 1 });
    expect(found(next)).toEqual([]);
    beat(next, sick.id);
    expect(found(next)).toEqual(['sick']);
  });

  test('hears of what another one registers, orders and takes out', async () => {
    await using here = await engineOn(database.url);
    await using there = await engineOn(database.url);
    const { id } = await register(here, 'shared');
    await vi.waitUntil(() => found(there).includes('shared'), patiently);
    await there.services.instances.order({ tenantId: defaultTenantId, id, by: 'test', duty: 'cordoned' });
    await vi.waitUntil(() => here.services.instances.dutyOf(id) === 'cordoned', patiently);
    await here.services.instances.deregister({ tenantId: defaultTenantId, id, by: 'test' });
    await vi.waitUntil(() => !there.services.instances.isKnown(id), patiently);
  });

  test('counts who beats at another one as alive, and who falls silent there as dead', async () => {
    await using here = await engineOn(database.url);
    await using there = await engineOn(database.url);
    const living = await register(there, 'living');
    const dying = await register(there, 'dying');
    await vi.waitUntil(() => found(here).length === 2, patiently);
    beat(there, dying.id);
    const beats = setInterval(() => beat(there, living.id), 500);
    try {
      await vi.waitUntil(() => !found(here).includes('dying'), patiently);
      expect(found(here)).toEqual(['living']);
      expect(here.services.instances.get(defaultTenantId, dying.id).health).toBe('unhealthy');
      await vi.waitUntil(
        async () => (await sql`SELECT health FROM instances WHERE id = ${dying.id}`)[0]?.['health'] === 'unhealthy',
        patiently,
      );
    } finally {
      clearInterval(beats);
    }
  });

  test('writes one row of its own for the beats of everybody, and none per beat', async () => {
    await using engine = await engineOn(database.url);
    const all = await Promise.all(Array.from({ length: 100 }, (_, number) => register(engine, `many-${number}`)));
    const versions = async () => (await sql`SELECT DISTINCT xmin::text FROM instances ORDER BY 1`).map(({ xmin }) => xmin);
    const before = await versions();
    const rounds = async () => (await sql`SELECT told_at::text, cardinality(ids) AS count FROM instance_rounds`)[0];
    const [first] = [await vi.waitUntil(rounds, patiently)];
    for (const { id } of all) beat(engine, id, { telemetry: { executionCount: 1 } });
    await vi.waitUntil(async () => (await rounds())?.['told_at'] !== first['told_at'], patiently);
    expect((await rounds())?.['count']).toBe(100);
    expect(await versions()).toEqual(before);
  });
});

test('a worker is registered by sitting at the desk', async () => {
  await using engine = await engineOn(database.url);
  const { workerId } = seatWorker(engine, () => undefined, 1);
  const worker = await vi.waitUntil(() => engine.services.instances.list(defaultTenantId, { kind: 'worker' })[0], patiently);
  expect(worker).toMatchObject({ id: workerId, health: 'healthy', duty: 'active' });
});

test('a rollout is known to every control plane, and a run gets one version at all of them', async () => {
  await using here = await engineOn(database.url);
  await using there = await engineOn(database.url);
  const canary = builtin('noop', { version: '2.0.0' });
  const { id } = await here.services.agents.get(defaultTenantId, { name: 'noop' });
  await sql`UPDATE agents SET versions = ${sql.json({ '2.0.0': canary } as never)} WHERE id = ${id}`;
  const order = { tenantId: defaultTenantId, name: 'noop', by: 'key:ann' };
  await here.services.agents.rollOut({ ...order, weights: { '1.0.0': 1, '2.0.0': 1 }, nowMs: Date.now() - 5_000 });
  const newId = idMaker(systemClock, systemRandom);
  const runIds = Array.from({ length: 100 }, () => newId('run') as RunId);
  const versionsAt = ({ services }: Engine) => runIds.map((runId) => services.agents.specOf(defaultTenantId, 'noop', runId)?.version);
  expect(new Set(versionsAt(here))).toEqual(new Set(['1.0.0', '2.0.0']));
  await vi.waitUntil(() => isDeepStrictEqual(versionsAt(there), versionsAt(here)), patiently);
  const [entry] = await sql`SELECT actor, payload FROM audit_log WHERE action = 'agent.rolled-out'`;
  expect(entry).toMatchObject({ actor: 'key:ann', payload: { weights: { '1.0.0': 1, '2.0.0': 1 } } });
});

test('of rollouts the last hundred are kept, in their order', async () => {
  await using engine = await engineOn(database.url);
  const order = { tenantId: defaultTenantId, name: 'risky', by: 'test' };
  for (let nowMs = 1; nowMs <= 103; nowMs += 1) await engine.services.agents.rollOut({ ...order, weights: { '1.0.0': nowMs }, nowMs });
  const { rollouts } = await engine.services.agents.get(defaultTenantId, { name: 'risky' });
  expect(rollouts.map(({ weights }) => weights['1.0.0'])).toEqual(Array.from({ length: 100 }, (_, index) => index + 4));
});
