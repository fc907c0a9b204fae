import { type BusOptions, type IncomingMessage, openBus } from '@hivekeeper/bus';
import { inputTopic } from '@hivekeeper/contract/agent2389';
import { systemRandom } from '@hivekeeper/kernel';
import type { OpenTaskLine } from '../../../flow/triggers/tasks/index.ts';
import type { MqttBrokerOptions } from './mqtt-broker.ts';

/** How long the broker keeps tasks while no control plane is there. */
const sessionSeconds = 3_600;
const maximumPacketBytes = 1024 * 1024;

/**
 * A line over MQTT 5, or 3.1.1 where the broker speaks no other. It is two connections: while a task is taken nothing else is read from its
 * connection, so that what is published there meanwhile would wait for ever to be acknowledged.
 */
export const mqttTaskLine =
  ({ url, username, password, clientId, clock, log }: MqttBrokerOptions): OpenTaskLine =>
  (agentIds, listener) => {
    const ready = new Set<string>();
    const credentials = username === undefined ? {} : { credentials: { username, ...(password !== undefined && { password }) } };
    const open = (name: string, more: Pick<BusOptions, 'session' | 'subscriptions'>) =>
      openBus({
        ...{ url, ...credentials, clientId: `${clientId}-${name}`, maximumPacketBytes, clock, random: systemRandom, ...more },
        onEvent: (event) => {
          if (event.kind === 'lost') ready.delete(name);
          if (event.kind === 'lost' && event.wasReady) log.warn({ event }, 'the MQTT broker is away: no tasks come');
          if (event.kind !== 'ready') return;
          ready.add(name);
          if (ready.size === 2) listener.connected();
        },
      });
    const take = ({ topic, payload }: IncomingMessage) => listener.take(topic, payload);
    const tasks = open('tasks', {
      session: { expirySeconds: sessionSeconds },
      subscriptions: agentIds.map((agentId) => ({ filter: inputTopic(agentId), qos: 1, wantsRetained: false, take })),
    });
    const answers = open('answers', { session: { expirySeconds: 0 }, subscriptions: [] });
    return {
      isConnected: () => ready.size === 2,
      publish: ({ topic, payload, keptSeconds }) =>
        answers.publish({ topic, payload, qos: 1, ...(keptSeconds !== undefined && { isRetained: true, expirySeconds: keptSeconds }) }),
      [Symbol.asyncDispose]: async () => {
        await tasks.close({ endsSession: false });
        await answers.close({ endsSession: true });
      },
    };
  };
