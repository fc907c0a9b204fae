import { type Bus, openBus, type Subscription } from '@hivekeeper/bus';
import { HiveError } from '@hivekeeper/contract';
import { type Clock, pause, type Random } from '@hivekeeper/kernel';

/** Which broker a command talks to. */
export interface Broker {
  readonly url: string;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly clock: Clock;
  readonly random: Random;
}

const patienceMs = 5_000;

/** Opens a bus for as long as a command takes, and waits until it listens. @throws HiveError BROKER_UNREACHABLE */
export async function callBroker({ url, environment, clock, random }: Broker, subscriptions: readonly Subscription[]): Promise<Bus> {
  const { MQTT_USERNAME: username, MQTT_PASSWORD: password } = environment;
  const ready = Promise.withResolvers<void>();
  let reason = 'it does not answer';
  const bus = openBus({
    ...{ url, subscriptions, clock, random, maximumPacketBytes: 1_048_576, session: { expirySeconds: 0 } },
    clientId: `hive-${Buffer.from(random.bytes(6)).toString('hex')}`,
    ...(username !== undefined && { credentials: { username, ...(password !== undefined && { password }) } }),
    onEvent: (event) => {
      if (event.kind === 'ready') ready.resolve();
      if (event.kind === 'lost') reason = event.reason;
    },
  });
  const isLate = await Promise.race([ready.promise.then(() => false), pause(clock, patienceMs).then(() => true)]);
  if (!isLate) return bus;
  await bus.close({ endsSession: true });
  throw new HiveError('BROKER_UNREACHABLE', `${url}: ${reason}`);
}
