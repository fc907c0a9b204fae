import { Socket } from 'node:net';
import { connect, type IClientOptions, type IConnackPacket, type IPublishPacket, type MqttClient } from 'mqtt';
import type { BusOptions, OutgoingMessage, Subscription } from './message.ts';

/** MQTT 5, or 3.1.1 for brokers that do not speak it. */
export type Protocol = 5 | 4;

/** What the broker says of itself. */
export interface Broker {
  readonly receiveMaximum: number;
  readonly maximumPacketBytes: number;
  readonly isShared: boolean;
}

/** What a link tells. `gone` comes once, and nothing after it. */
export interface LinkListener {
  ready(broker: Broker): void;
  gone(reason: string, isProtocolUnknown: boolean): void;
  /** One message at a time; the next comes when this one is done with. */
  take(packet: IPublishPacket): Promise<void>;
}

/** One connection, from its first byte to its last. A new one is a new link. */
export class Link {
  readonly #client: MqttClient;
  readonly #protocol: Protocol;
  #isGone = false;

  constructor(options: BusOptions, protocol: Protocol, listener: LinkListener) {
    this.#protocol = protocol;
    this.#client = connect(options.url, clientOptions(options, protocol));
    const client = this.#client;
    const gone = (reason: string, isProtocolUnknown = false) => {
      if (this.#isGone) return;
      this.#isGone = true;
      client.end(true);
      listener.gone(reason, isProtocolUnknown);
    };
    let fault: Error | undefined;
    client.handleMessage = (packet, done) => {
      listener.take(packet).then(
        () => done(),
        // Without an acknowledgement the broker delivers it again, to the next link.
        () => gone('a message could not be taken'),
      );
    };
    client.on('error', (error) => {
      fault = error;
      if (isRefusal(error)) gone(error.message, isProtocolRefusal(error));
    });
    client.on('disconnect', (packet) => {
      fault = new BrokerSaysGoodbye(`the broker ended the connection (reason ${packet.reasonCode ?? 'unknown'})`);
    });
    client.on('close', () => gone(fault?.message ?? 'the connection was closed'));
    client.on('connect', (packet) => {
      // Small messages that wait for each other's acknowledgement took 40 ms where the kernel gathered them.
      if (client.stream instanceof Socket) client.stream.setNoDelay(true);
      const isShared = protocol === 5 && packet.properties?.sharedSubscriptionAvailable !== false;
      subscribeAll(client, options.subscriptions, { isShared, protocol }).then(
        () => listener.ready({ isShared, ...limitsOf(packet) }),
        (error: unknown) => gone(`a subscription was refused: ${String(error)}`),
      );
    });
  }

  /** Calls back when the broker has it (QoS 1) or it is written (QoS 0). Never, where the link goes before that. */
  publish(message: OutgoingMessage, done: (error: Error | undefined) => void): void {
    const { topic, payload, qos, isRetained = false, expirySeconds } = message;
    const isExpiring = this.#protocol === 5 && expirySeconds !== undefined;
    const properties = isExpiring ? { properties: { messageExpiryInterval: expirySeconds } } : {};
    this.#client.publish(topic, payload, { qos, retain: isRetained, ...properties }, (error) => {
      if (!this.#isGone) done(error ?? undefined);
    });
  }

  /** No message of the filter comes any more. */
  async unsubscribe(subscription: Subscription, isShared: boolean): Promise<void> {
    await this.#client.unsubscribeAsync(filterOf(subscription, isShared));
  }

  /** Says goodbye, so that no will is published; `endsSession`: the broker forgets this client. */
  async leave(endsSession: boolean): Promise<void> {
    if (this.#isGone) return;
    this.#isGone = true;
    const properties = this.#protocol === 5 && endsSession ? { properties: { sessionExpiryInterval: 0 } } : {};
    // The client waits for what the broker has not acknowledged, also where the connection is gone and nothing can come.
    const closed = new Promise<void>((resolve) => this.#client.once('close', () => resolve()));
    await Promise.race([this.#client.endAsync(false, { reasonCode: 0, ...properties }).catch(() => {}), closed]);
  }

  /** Cuts the connection: the broker publishes the will. */
  cut(): void {
    this.#client.end(true);
  }
}

/** Not thrown; its text is why a link ended. */
class BrokerSaysGoodbye extends Error {}

function clientOptions({ clientId, credentials, session, will, ...options }: BusOptions, protocol: Protocol): IClientOptions {
  const { topic, payload, qos, isRetained = false } = will?.() ?? { topic: '', payload: '', qos: 0 };
  return {
    protocolVersion: protocol,
    clientId,
    ...credentials,
    clean: session.expirySeconds === 0,
    keepalive: options.keepAliveSeconds ?? 30,
    connectTimeout: 10_000,
    // The bus connects again by itself: with jitter, and a will that is of its time.
    reconnectPeriod: 0,
    resubscribe: false,
    ...(protocol === 5 && {
      properties: { sessionExpiryInterval: session.expirySeconds, maximumPacketSize: options.maximumPacketBytes, receiveMaximum: 100 },
    }),
    ...(will !== undefined && { will: { topic, payload: Buffer.from(payload), qos, retain: isRetained } }),
  };
}

const filterOf = ({ filter, sharedBy }: Subscription, isShared: boolean): string =>
  isShared && sharedBy !== undefined ? `$share/${sharedBy}/${filter}` : filter;

async function subscribeAll(
  client: MqttClient,
  subscriptions: readonly Subscription[],
  { isShared, protocol }: { readonly isShared: boolean; readonly protocol: Protocol },
): Promise<void> {
  if (subscriptions.length === 0) return;
  const wanted = subscriptions.map((subscription) => [
    filterOf(subscription, isShared),
    { qos: subscription.qos, ...(protocol === 5 && { rh: subscription.wantsRetained ? 0 : 2 }) },
  ]);
  await client.subscribeAsync(Object.fromEntries(wanted) as Parameters<MqttClient['subscribeAsync']>[0]);
}

// What a broker allows where it says nothing (MQTT 5, 3.2.2.3); 3.1.1 knows no such limits.
const limitsOf = ({ properties }: IConnackPacket) => ({
  receiveMaximum: properties?.receiveMaximum ?? 65_535,
  maximumPacketBytes: properties?.maximumPacketSize ?? 268_435_455,
});

const codeOf = (error: Error): number | undefined => ('code' in error && typeof error.code === 'number' ? error.code : undefined);
const isRefusal = (error: Error): boolean => codeOf(error) !== undefined;
// 132 as MQTT 5 says it, 1 as brokers do that know only what was before.
const isProtocolRefusal = (error: Error): boolean => codeOf(error) === 132 || codeOf(error) === 1;
