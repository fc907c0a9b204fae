import {
  type Client,
  credentials,
  loadPackageDefinition,
  Metadata,
  type ServiceClientConstructor,
  type ServiceError,
  status,
} from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import { FakeClock, guardLeaks, seededRandom } from '@hivekeeper/testkit';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { memoryHouse, type MemoryHouse } from '../http/testing/memory-services.ts';
import { type GrpcDoor, openGrpcDoor } from './door.ts';

guardLeaks();

/** A client as anybody makes one from the text of the protocol. */
const proto = new URL('./service_registry.proto', import.meta.url).pathname;
const definition = loadSync(proto, { keepCase: true, longs: Number, enums: String, defaults: true });
// eslint-disable-next-line @typescript-eslint/no-explicit-any -- the client has no types, as that of a stranger
type Anything = any;
const { ServiceRegistry } = (loadPackageDefinition(definition) as Anything).neural_hive.service_registry as {
  ServiceRegistry: ServiceClientConstructor;
};

let clock: FakeClock;
let house: MemoryHouse;
let door: GrpcDoor;
let client: Client;
let stack: AsyncDisposableStack;
beforeEach(async () => {
  clock = new FakeClock();
  stack = new AsyncDisposableStack();
  house = await memoryHouse({ clock, random: seededRandom(1) });
  let count = 0;
  const newName = () => `agent-${(count += 1)}`;
  door = stack.use(await openGrpcDoor({ services: { ...house.services, newName }, host: '127.0.0.1', port: 0 }));
  stack.use(house.keepWatch());
  client = new ServiceRegistry(`127.0.0.1:${door.port}`, credentials.createInsecure());
  stack.defer(() => client.close());
});
afterEach(() => stack.disposeAsync());

const metadataOf = (entries: Readonly<Record<string, string>>) => {
  const metadata = new Metadata();
  for (const [name, value] of Object.entries(entries)) metadata.set(name, value);
  return metadata;
};
const withKey = (key = house.keys.worker) => metadataOf({ authorization: `Bearer ${key}` });
const call = (method: string, message: object, metadata = withKey()): Promise<Anything> =>
  new Promise((resolve, reject) =>
    (client as Anything)[method](message, metadata, (error: ServiceError | null, answer: Anything) =>
      error === null ? resolve(answer) : reject(error),
    ),
  );

const scout = {
  agent_type: 'SCOUT',
  capabilities: ['scan'],
  metadata: { name: 'scout-1', zone: 'a', beat_interval_ms: '1000' },
  namespace: 'prod',
  telemetry: { success_rate: 0, total_executions: 0 },
};

describe('Neural Hive’s ServiceRegistry', () => {
  it('registers, hears, finds and lets go an agent; the same name is the same agent', async () => {
    const { agent_id, registration_token, registered_at } = await call('Register', scout);
    expect([agent_id, registration_token, registered_at]).toEqual([expect.stringMatching(/^ins_/), '1', clock.nowMs()]);
    expect(await call('Heartbeat', { agent_id, telemetry: { total_executions: 8, failed_executions: 2 } })).toEqual({
      status: 'HEALTHY',
      last_seen: clock.nowMs(),
    });
    const { agents, ranked } = await call('DiscoverAgents', { capabilities: ['scan'], filters: { namespace: 'prod', zone: 'a' } });
    expect(ranked).toBe(true);
    expect(agents).toMatchObject([
      { agent_id, agent_type: 'SCOUT', namespace: 'prod', status: 'HEALTHY', telemetry: { success_rate: 0.75, total_executions: 8 } },
    ]);
    expect((await call('DiscoverAgents', { capabilities: ['fly'] })).agents).toEqual([]);
    expect((await call('GetAgent', { agent_id })).agent.metadata).toMatchObject({ name: 'scout-1', zone: 'a' });
    expect((await call('ListAgents', { agent_type: 'GUARD' })).agents).toEqual([]);
    expect((await call('ListAgents', { agent_type: 'SCOUT' })).agents).toHaveLength(1);
    expect(await call('Register', scout)).toMatchObject({ agent_id, registration_token: '2' });
    expect(await call('Deregister', { agent_id })).toEqual({ success: true });
    await expect(call('GetAgent', { agent_id })).rejects.toMatchObject({ code: status.NOT_FOUND });
  });

  it('does not find the dead, nor takes a fresh agent’s success rate of 0 for failure', async () => {
    const { agent_id } = await call('Register', scout);
    await call('Heartbeat', { agent_id, telemetry: { success_rate: 0 } });
    expect((await call('DiscoverAgents', {})).agents).toHaveLength(1);
    await clock.advance(4_000);
    expect((await call('DiscoverAgents', {})).agents).toEqual([]);
    expect((await call('GetAgent', { agent_id })).agent.status).toBe('UNHEALTHY');
  });

  it('gives agents half a minute between beats where they agree on nothing', async () => {
    const { agent_id } = await call('Register', { agent_type: 'GUARD' });
    await clock.advance(59_000);
    expect((await call('GetAgent', { agent_id })).agent).toMatchObject({
      status: 'HEALTHY',
      namespace: 'default',
      metadata: { name: 'agent-1' },
    });
  });

  it('tells what changes to who watches, of the type asked for', async () => {
    const stream = (client as Anything).WatchAgents({ agent_type: 'SCOUT' }, withKey());
    const seen: string[] = [];
    const told = new Promise<void>((resolve) =>
      stream.on('data', ({ event_type, agent }: Anything) => {
        seen.push(`${event_type} ${agent.status}`);
        if (event_type === 'DEREGISTERED') resolve();
      }),
    );
    stream.on('error', () => undefined);
    // The stream stands when a call that was made after it is answered.
    await call('ListAgents', {});
    await call('Register', { agent_type: 'GUARD', metadata: { name: 'guard' } });
    const { agent_id } = await call('Register', scout);
    await clock.advance(2_000);
    await call('Deregister', { agent_id });
    await told;
    stream.cancel();
    expect(seen).toEqual(['REGISTERED HEALTHY', 'STATUS_CHANGED DEGRADED', 'DEREGISTERED DEGRADED']);
  });

  it('publishes a notification as an event that workflows can wait for', async () => {
    const { agent_id } = await call('Register', scout);
    const note = { agent_id, notification_type: 'REBALANCE', message: 'now', metadata: { by: 'queen' } };
    await expect(call('NotifyAgent', note)).rejects.toMatchObject({ code: status.PERMISSION_DENIED });
    expect(await call('NotifyAgent', note, withKey(house.keys.admin))).toEqual({ success: true, error: '' });
    expect([...house.tables.events.values()].map(({ event }) => event)).toMatchObject([
      { type: 'agent.notified', key: agent_id, payload: { notificationType: 'REBALANCE', message: 'now', metadata: { by: 'queen' } } },
    ]);
  });

  it('refuses who has no key, and what is no agent’s business', async () => {
    await expect(call('Register', scout, new Metadata())).rejects.toMatchObject({ code: status.UNAUTHENTICATED });
    await expect(call('Register', scout, withKey('hive_unknown'))).rejects.toMatchObject({ code: status.UNAUTHENTICATED });
    const { agent_id } = await call('Register', scout, metadataOf({ 'x-api-key': house.keys.worker }));
    await expect(call('GetAgent', { agent_id }, withKey(house.keys.foreign))).rejects.toMatchObject({ code: status.NOT_FOUND });
  });

  it.each([
    ['Register', { ...scout, namespace: 'no namespace' }, status.INVALID_ARGUMENT, 'INVALID_REQUEST', '/namespace'],
    ['Register', { ...scout, metadata: { beat_interval_ms: 'soon' } }, status.INVALID_ARGUMENT, 'INVALID_REQUEST', '/beatIntervalMs'],
    ['Register', { ...scout, telemetry: { success_rate: 7 } }, status.INVALID_ARGUMENT, 'INVALID_REQUEST', '/telemetry/successRatio'],
    ['Register', { ...scout, capabilities: ['a\u0000b'] }, status.INVALID_ARGUMENT, 'UNSTORABLE_VALUE', '/capabilities/0'],
    ['Heartbeat', { agent_id: 'token-7' }, status.INVALID_ARGUMENT, 'INVALID_REQUEST', 'agent_id'],
    ['Heartbeat', { agent_id: 'ins_01JD0000000000000000000000' }, status.NOT_FOUND, 'NOT_FOUND', 'ins_01JD'],
    ['DiscoverAgents', { max_results: -1 }, status.INVALID_ARGUMENT, 'INVALID_REQUEST', '/limit'],
  ])('%s of %j is refused, naming the field, and nothing is stored', async (...[method, message, code, hiveCode, path]) => {
    const error: ServiceError = await call(method, message).then(
      () => expect.fail('it was accepted'),
      (refusal: ServiceError) => refusal,
    );
    expect([error.code, error.metadata.get('hive-error-code')]).toEqual([code, [hiveCode]]);
    expect(error.details).toContain(path);
    expect(house.tables.instances.size).toBe(0);
  });

  it('refuses beats of an earlier registration, where the token is shown', async () => {
    const { agent_id, registration_token } = await call('Register', scout);
    await call('Register', scout);
    const metadata = metadataOf({ authorization: `Bearer ${house.keys.worker}`, 'registration-token': registration_token });
    await expect(call('Heartbeat', { agent_id }, metadata)).rejects.toMatchObject({ code: status.FAILED_PRECONDITION });
  });
});
