import { AckPolicy, type JetStreamClient, type JetStreamManager, type JsMsg, jetstream, jetstreamManager } from '@nats-io/jetstream';
import { headers, type NatsConnection, nanos } from '@nats-io/nats-core';
import { connect } from '@nats-io/transport-node';
import { type Clock, type Log, pause } from '@hivekeeper/kernel';
import type { Announcement } from '../../records/outbox/index.ts';
import { type ArrivedMessage, eventIn, type Read } from './message.ts';

/** What a message comes to: stored, of no use ever, or to be tried again. */
export type Verdict = 'stored' | 'useless' | 'later';

/** How to reach NATS, and what to do with what comes. */
export interface NatsOptions {
  readonly url: string;
  /** Whose messages are events. */
  readonly subjects: readonly string[];
  readonly take: (event: Extract<Read, { readonly event: unknown }>['event']) => Promise<Verdict>;
  readonly clock: Clock;
  readonly log: Log;
}

const incoming = 'HIVEKEEPER_IN';
const outgoing = 'HIVEKEEPER_OUT';
const announced = ['workflow.run.completed', 'workflow.approval.requested'];
const durable = 'hivekeeper';
const keepMs = 7 * 86_400_000;
const ackWaitMs = 30_000;
/** A pull that a restarted server forgot is noticed, and made again, within this time. */
const pullMs = 5_000;
const againAfterMs = 2_000;
const setUpAgainAfterMs = 5_000;
const publishTimeoutMs = 5_000;
const duplicateWindowMs = 600_000;

/**
 * A connection to NATS that comes back by itself. Messages are kept by a stream of the server until they are stored here, so none is
 * lost while no control plane is there; without JetStream they come as they do, to one control plane each.
 */
export class NatsBroker implements AsyncDisposable {
  readonly #options: NatsOptions;
  readonly #ending = new AbortController();
  readonly #listening: Promise<void>;
  #connection: NatsConnection | undefined;
  #stream: JetStreamClient | undefined;
  #isUp = false;

  constructor(options: NatsOptions) {
    this.#options = options;
    this.#listening = this.#listen();
  }

  isConnected(): boolean {
    return this.#isUp;
  }

  /** Resolves when the server has it. Rejects where that is not known: it may be told again, under the same id. */
  async publish({ subject, id, body }: Announcement): Promise<void> {
    const data = JSON.stringify(body);
    if (this.#stream !== undefined) await this.#stream.publish(subject, data, { msgID: id, timeout: publishTimeoutMs });
    else {
      const named = headers();
      named.set('Nats-Msg-Id', id);
      this.#connection?.publish(subject, data, { headers: named });
      await this.#connection?.flush();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#ending.abort();
    this.#isUp = false;
    await this.#connection?.close();
    await this.#listening;
  }

  async #listen(): Promise<void> {
    const { clock, log } = this.#options;
    while (!this.#ending.signal.aborted) {
      try {
        this.#connection ??= await connectTo(this.#options.url);
        void this.#watchStatus(this.#connection);
        await this.#consume(this.#connection);
      } catch (error) {
        if (!this.#ending.signal.aborted) log.warn({ err: error }, 'NATS cannot be used; trying again');
      }
      this.#isUp = false;
      if (this.#connection?.isClosed() === true) this.#connection = undefined;
      await pause(clock, setUpAgainAfterMs, this.#ending.signal).catch(() => undefined);
    }
    await this.#connection?.close();
  }

  /** Takes messages until the connection is over. */
  async #consume(connection: NatsConnection): Promise<void> {
    const manager = await jetstreamManager(connection).catch((error: unknown) => {
      this.#options.log.warn({ err: error }, 'NATS has no JetStream: what is sent while no control plane is connected is lost');
      return undefined;
    });
    if (manager === undefined) return this.#subscribe(connection);
    await this.#ensureStreams(manager);
    this.#stream = jetstream(connection);
    const consumer = await this.#stream.consumers.get(incoming, durable);
    const messages = await consumer.consume({ expires: pullMs });
    this.#ending.signal.addEventListener('abort', () => messages.stop(), { once: true });
    this.#isUp = true;
    for await (const message of messages) await this.#handle(message);
  }

  async #ensureStreams(manager: JetStreamManager): Promise<void> {
    const kept = { max_age: nanos(keepMs) };
    const wanted = [
      { name: incoming, subjects: [...this.#options.subjects], ...kept },
      { name: outgoing, subjects: announced, duplicate_window: nanos(duplicateWindowMs), ...kept },
    ];
    for (const stream of wanted) {
      const isThere = await manager.streams.info(stream.name).then(
        () => true,
        () => false,
      );
      await (isThere ? manager.streams.update(stream.name, stream) : manager.streams.add(stream));
    }
    await manager.consumers.add(incoming, {
      durable_name: durable,
      ack_policy: AckPolicy.Explicit,
      ack_wait: nanos(ackWaitMs),
    });
  }

  async #handle(message: JsMsg): Promise<void> {
    const { streamSequence, timestampNanos } = message.info;
    const verdict = await this.#judge({
      subject: message.subject,
      messageId: message.headers?.get('Nats-Msg-Id') || undefined,
      // Also another one than the first after the stream was made anew.
      fallbackId: `nats:${streamSequence}@${timestampNanos}`,
      bytes: message.data,
    });
    if (verdict === 'later') message.nak(againAfterMs);
    else if (verdict === 'useless') message.term();
    else message.ack();
  }

  async #subscribe(connection: NatsConnection): Promise<void> {
    this.#isUp = true;
    const subscriptions = this.#options.subjects.map(async (subject) => {
      for await (const message of connection.subscribe(subject, { queue: durable }))
        await this.#judge({
          subject: message.subject,
          messageId: message.headers?.get('Nats-Msg-Id') || undefined,
          bytes: message.data,
        });
    });
    await Promise.all(subscriptions);
  }

  async #judge(message: ArrivedMessage): Promise<Verdict> {
    const read = eventIn(message);
    if ('event' in read) return this.#options.take(read.event);
    this.#options.log.warn({ subject: message.subject, fault: read.fault }, 'a message is no event');
    return 'useless';
  }

  async #watchStatus(connection: NatsConnection): Promise<void> {
    for await (const { type } of connection.status()) {
      if (type === 'disconnect') this.#isUp = false;
      if (type === 'reconnect') this.#isUp = true;
    }
  }
}

function connectTo(url: string): Promise<NatsConnection> {
  const { username, password, host } = new URL(url);
  return connect({
    servers: host,
    name: 'hivekeeper',
    waitOnFirstConnect: true,
    maxReconnectAttempts: -1,
    reconnectTimeWait: 500,
    ...(username !== '' && { user: decodeURIComponent(username), pass: decodeURIComponent(password) }),
  });
}
