import { HiveError } from '@hivekeeper/contract';
import type { Timer } from '@hivekeeper/kernel';
import type { IPublishPacket } from 'mqtt';
import { backoffMs } from './backoff.ts';
import { Link, type Protocol } from './link.ts';
import type { BusOptions, OutgoingMessage } from './message.ts';
import { matchesTopic } from './topic-filter.ts';
import { type Publication, Window } from './window.ts';

/** A connection to a broker that comes back by itself, for ever. */
export interface Bus {
  /**
   * QoS 1: resolves when the broker has it, over as many connections as that takes; the broker, and so whoever listens,
   * may get it twice. QoS 0: resolves when it is sent, or dropped because there is no connection.
   *
   * @throws HiveError BROKER_REFUSED where the broker will not take it (rights, quota)
   */
  publish(message: OutgoingMessage): Promise<void>;
  /** No message of the shared subscriptions comes any more: others get them. Does nothing while there is no connection. */
  unsubscribe(): Promise<void>;
  /** Says goodbye: no will is published. `endsSession`: what the broker would have kept for us goes too. Idempotent. */
  close(how: { readonly endsSession: boolean }): Promise<void>;
}

/** Opens a bus. It connects in the background; `onEvent` tells when it is ready. */
export const openBus = (options: BusOptions): Bus => new MqttBus(options);

// Fixed header, lengths, packet id and the properties that are used here.
const headerBytes = 32;

/** Not thrown; its text is why a message was refused. */
class TooLarge extends Error {}

class MqttBus implements Bus {
  readonly #options: BusOptions;
  readonly #window = new Window();
  #link: Link;
  #protocol: Protocol = 5;
  #failures = 0;
  #isReady = false;
  #isShared = false;
  #maximumPacketBytes = Number.POSITIVE_INFINITY;
  #isClosed = false;
  #timer: Timer | undefined;

  constructor(options: BusOptions) {
    this.#options = options;
    this.#link = this.#connect();
  }

  async publish(message: OutgoingMessage): Promise<void> {
    if (message.qos === 0) return this.#sendOnce(message);
    return new Promise((resolve, reject) => {
      this.#window.add({ message, done: resolve, fail: reject });
      this.#send();
    });
  }

  async unsubscribe(): Promise<void> {
    if (!this.#isReady) return;
    for (const subscription of this.#options.subscriptions)
      if (subscription.sharedBy !== undefined) await this.#link.unsubscribe(subscription, this.#isShared);
  }

  async close({ endsSession }: { readonly endsSession: boolean }): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#timer?.cancel();
    await this.#link.leave(endsSession);
  }

  #connect(): Link {
    this.#options.onEvent({ kind: 'connecting' });
    return new Link(this.#options, this.#protocol, {
      ready: ({ receiveMaximum, maximumPacketBytes, isShared }) => {
        this.#failures = 0;
        this.#isReady = true;
        this.#isShared = isShared;
        this.#maximumPacketBytes = maximumPacketBytes;
        this.#window.open(receiveMaximum);
        this.#options.onEvent({ kind: 'ready', isShared });
        this.#send();
      },
      gone: (reason, isProtocolUnknown) => this.#lose(reason, isProtocolUnknown),
      take: (packet) => this.#take(packet),
    });
  }

  #lose(reason: string, isProtocolUnknown: boolean): void {
    const wasReady = this.#isReady;
    this.#isReady = false;
    this.#window.close();
    if (this.#isClosed) return;
    if (isProtocolUnknown) this.#protocol = 4;
    this.#failures += 1;
    const { clock, random, onEvent } = this.#options;
    const retryInMs = backoffMs(this.#failures, random);
    onEvent({ kind: 'lost', reason, retryInMs, wasReady });
    this.#timer = clock.after(retryInMs, () => (this.#link = this.#connect()));
  }

  #send(): void {
    for (const publication of this.#window.next()) {
      const { topic, payload } = publication.message;
      // A broker ends the connection over a larger one, and would again each time it is sent.
      const isTooLarge = Buffer.byteLength(topic) + Buffer.byteLength(payload) + headerBytes > this.#maximumPacketBytes;
      if (isTooLarge) this.#settle(publication, new TooLarge(`larger than the ${this.#maximumPacketBytes} bytes that the broker takes`));
      else this.#link.publish(publication.message, (error) => this.#settle(publication, error));
    }
  }

  #settle(publication: Publication, error: Error | undefined): void {
    if (!this.#window.remove(publication)) return;
    const { topic } = publication.message;
    if (error === undefined) {
      this.#options.onEvent({ kind: 'published', topic });
      publication.done();
    } else {
      this.#options.onEvent({ kind: 'publishFailed', topic, reason: error.message });
      publication.fail(new HiveError('BROKER_REFUSED', `${topic}: ${error.message}`));
    }
    this.#send();
  }

  #sendOnce(message: OutgoingMessage): void {
    const { onEvent } = this.#options;
    const { topic } = message;
    if (!this.#isReady) return onEvent({ kind: 'publishFailed', topic, reason: 'there is no connection' });
    this.#link.publish(message, (error) =>
      onEvent(error === undefined ? { kind: 'published', topic } : { kind: 'publishFailed', topic, reason: error.message }),
    );
  }

  async #take(packet: IPublishPacket): Promise<void> {
    const { onEvent, subscriptions } = this.#options;
    const { topic, payload, retain } = packet;
    onEvent({ kind: 'received', topic });
    const message = { topic, payload: typeof payload === 'string' ? Buffer.from(payload) : payload, isRetained: retain };
    try {
      for (const { filter, take } of subscriptions) if (matchesTopic(filter, topic)) await take(message);
    } catch (error) {
      onEvent({ kind: 'notTaken', topic, reason: error instanceof Error ? error.message : String(error) });
      throw error;
    }
  }
}
