import { newLog, systemClock } from '@hivekeeper/kernel';
import type { FreshDatabase } from '@hivekeeper/testkit';
import { connectAsync } from 'mqtt';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startEmbeddedBroker, type EmbeddedBroker } from '../../apps/control/src/adapters/brokers/embedded/embedded-broker.ts';
import { mqttBroker } from '../../apps/control/src/adapters/brokers/mqtt/mqtt-broker.ts';
import { standIn } from '../e2e/agent2389/stand-in.ts';
import { deploy, ended, engineOn, migratedDatabase, start } from './fixture.ts';

let database: FreshDatabase;
let broker: EmbeddedBroker;

beforeAll(async () => {
  database = await migratedDatabase();
  broker = await startEmbeddedBroker(0);
});
afterAll(async () => {
  await broker[Symbol.asyncDispose]();
  await database.drop();
});

const log = newLog({ level: 'silent', component: 'test' });
const engineWith = (clientId: string) =>
  engineOn(database.url, { openBroker: mqttBroker({ url: broker.url, clientId, clock: systemClock, log }), leaseMs: 2_000 });

describe('the broker that comes along, and control planes at it', () => {
  test('speaks MQTT 3.1.1 and no other', async () => {
    const client = await connectAsync(broker.url, { protocolVersion: 4, reconnectPeriod: 0 });
    await client.endAsync(true);
    await expect(connectAsync(broker.url, { protocolVersion: 5, reconnectPeriod: 0 }, false)).rejects.toThrow(
      'Unacceptable protocol version',
    );
  });

  test('refuses a port that is taken, by a code', async () => {
    await expect(startEmbeddedBroker(Number(new URL(broker.url).port))).rejects.toMatchObject({ code: 'PORT_IN_USE' });
  });

  test('a control plane that stops hands its tasks back, and another one goes on with the same task', async () => {
    await using agent = await standIn(broker.url, 'writer', 4);
    const left = await engineWith('left');
    await deploy(left, { name: 'ask', nodes: [{ id: 'n', agent: 'mqtt/writer' }] });
    const runId = await start(left, 'ask');
    const task = await agent.task(1);
    await using right = await engineWith('right');
    while (right.services.gateway?.agent('mqtt/writer')?.state !== 'available') await new Promise((fulfil) => setImmediate(fulfil));
    await left[Symbol.asyncDispose]();
    expect(await agent.task(2)).toEqual(task);
    await agent.answer(task, 'once');
    expect(await ended(right, runId)).toBe('SUCCESS');
  });

  test('two control planes ask a question once, and each takes only its own answers', async () => {
    await using agent = await standIn(broker.url, 'twice', 4);
    await using left = await engineWith('left');
    await using right = await engineWith('right');
    await deploy(left, {
      name: 'many',
      nodes: [{ id: 'n', agent: 'mqtt/twice', map: '{{ context.items }}', input: { input: '{{ item }}' } }],
    });
    const items = Array.from({ length: 50 }, (_, index) => index);
    const runIds = [await start(left, 'many', { items }), await start(right, 'many', { items })];
    await agent.task(100);
    for (const task of agent.tasks) await agent.answer(task, String(task.input));
    expect(await Promise.all(runIds.map((runId) => ended(left, runId)))).toEqual(['SUCCESS', 'SUCCESS']);
    expect(new Set(agent.tasks.map(({ task_id: id }) => id)).size).toBe(100);
    expect(agent.tasks).toHaveLength(100);
  });
});
