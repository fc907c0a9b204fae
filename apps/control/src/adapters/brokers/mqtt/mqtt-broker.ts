import { openBus } from '@hivekeeper/bus';
import { everyStatusFilter } from '@hivekeeper/contract/agent2389';
import { type Clock, type Log, systemRandom } from '@hivekeeper/kernel';
import type { OpenBroker } from '../../../flow/gateway/index.ts';

/** How to reach the broker. */
export interface MqttBrokerOptions {
  readonly url: string;
  readonly username?: string | undefined;
  readonly password?: string | undefined;
  /** The broker keeps answers for it while it is away: the same after a restart, and never that of another control plane. */
  readonly clientId: string;
  readonly clock: Clock;
  readonly log: Log;
}

const sessionSeconds = 3_600;
// As much as an agent that is a process may print where its manifest says nothing, and its envelope.
const maximumPacketBytes = 9 * 1024 * 1024;

/** A broker over MQTT 5, or 3.1.1 where it speaks no other. */
export const mqttBroker =
  ({ url, username, password, clientId, clock, log }: MqttBrokerOptions): OpenBroker =>
  (listener) => {
    const credentials = username === undefined ? {} : { credentials: { username, ...(password !== undefined && { password }) } };
    const bus = openBus({
      ...{ url, clientId, ...credentials, session: { expirySeconds: sessionSeconds }, maximumPacketBytes, clock, random: systemRandom },
      subscriptions: [
        {
          ...{ filter: everyStatusFilter, qos: 1, wantsRetained: true },
          take: ({ topic, payload }) => listener.heardStatus(topic, payload),
        },
        {
          ...{ filter: '/conversations/+/+', qos: 1, wantsRetained: false },
          take: ({ topic, payload }) => listener.heardAnswer(topic, payload),
        },
      ],
      onEvent: (event) => {
        if (event.kind === 'ready') {
          log.info({ event }, 'the MQTT broker is there');
          listener.connected();
        } else if (event.kind === 'lost') {
          log.warn({ event }, 'the MQTT broker is away');
          listener.lost();
        }
      },
    });
    return {
      send: (topic, payload) => bus.publish({ topic, payload, qos: 1 }),
      [Symbol.asyncDispose]: () => bus.close({ endsSession: false }),
    };
  };
