import { defaultTenantId, type Duty, type InstanceId } from '@hivekeeper/contract';
import { newLog } from '@hivekeeper/kernel';
import { FakeClock } from '@hivekeeper/testkit';
import { expect, it } from 'vitest';
import { Attention } from './attention.ts';
import type { InstanceStore, StoredInstance } from './instance-store.ts';
import { Instances } from './instances.ts';
import { Presence } from './presence.ts';
import { InstanceWatch } from './watch.ts';
import { Watchfulness } from './watchfulness.ts';

const id = 'ins_1' as InstanceId;
const tickMs = 250;

const stored = (duty: Duty): StoredInstance => ({
  ...{ id, duty, tenantId: defaultTenantId, kind: 'agent', registrationCount: 1, registeredAtMs: 0, health: 'healthy' },
  ...{ lastSeenAtMs: 0, telemetry: {} },
  description: { name: 'scout', namespace: 'default', capabilities: [], metadata: {}, beatIntervalMs: 1_000 },
});

/** A registry that reads what others changed by `some`. */
function watched(some: InstanceStore['some']) {
  const clock = new FakeClock();
  const attention = new Attention(clock, 300);
  const presence = new Presence(attention);
  const quiet = { tellRound: async () => {}, rounds: async () => [], mark: async () => {} };
  const store = { ...quiet, some } as unknown as InstanceStore;
  const instances = new Instances({ ...{ store, presence, clock }, watch: new InstanceWatch(), newId: () => id, dutyChanged: () => {} });
  const log = newLog({ level: 'silent', component: 'test' });
  const watchfulness = new Watchfulness({ ...{ instances, presence, attention, store, clock, log }, workers: () => [], planeId: 'us' });
  return { clock, instances, watchfulness };
}

it('what changes while it is being read is read once more', async () => {
  const first = Promise.withResolvers<StoredInstance[]>();
  const answers = [first.promise, Promise.resolve([stored('cordoned')])];
  const { clock, instances, watchfulness } = watched(() => answers.shift() ?? Promise.resolve([]));
  watchfulness.changed(id);
  await clock.advance(tickMs);
  // Another control plane cordons it: the answer on its way is from before.
  watchfulness.changed(id);
  first.resolve([stored('active')]);
  await clock.advance(2 * tickMs);
  expect(instances.dutyOf(id)).toBe('cordoned');
  await watchfulness[Symbol.asyncDispose]();
});

it('what could not be read is read again', async () => {
  let looks = 0;
  const { clock, instances, watchfulness } = watched(async () => {
    looks += 1;
    if (looks === 1) throw new RangeError('the database is away');
    return [stored('cordoned')];
  });
  watchfulness.changed(id);
  await clock.advance(3 * tickMs);
  expect(instances.dutyOf(id)).toBe('cordoned');
  await watchfulness[Symbol.asyncDispose]();
});
