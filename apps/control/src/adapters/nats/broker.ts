import {
  AckPolicy,
  JetStreamApiCodes,
  JetStreamApiError,
  type JetStreamClient,
  type JetStreamManager,
  type JsMsg,
  jetstream,
  jetstreamManager,
} from '@nats-io/jetstream';
import { deadline, headers, type NatsConnection, nanos } from '@nats-io/nats-core';
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
const connectAgainAfterMs = 500;
const connectTimeoutMs = 2_000;
/** A server that does not answer for twice as long is gone. */
const pingMs = 5_000;
const publishTimeoutMs = 5_000;
const duplicateWindowMs = 600_000;

/** A connection on which everything is set up. */
interface Line {
  readonly connection: NatsConnection;
  /** Absent where the server has no JetStream. */
  readonly stream: JetStreamClient | undefined;
}

/**
 * NATS, for as long as it is there. Each connection is set up from the start, and one that is lost is followed by a new one: there is
 * none that is open and half set up. Messages are kept by a stream of the server until they are stored here, so none is lost while no
 * control plane is there; without JetStream they come as they do, to one control plane each.
 */
export class NatsBroker implements AsyncDisposable {
  readonly #options: NatsOptions;
  readonly #ending = new AbortController();
  readonly #listening: Promise<void>;
  #line: Line | undefined;

  constructor(options: NatsOptions) {
    this.#options = options;
    this.#listening = this.#listen();
  }

  isConnected(): boolean {
    return this.#line !== undefined;
  }

  /** Resolves when the server has it. Rejects where that is not known, in 5 s at most: it may be told again, under the same id. */
  async publish({ subject, id, body }: Announcement): Promise<void> {
    if (this.#line === undefined) throw new NatsIsAway('NATS is not connected');
    const { connection, stream } = this.#line;
    const data = JSON.stringify(body);
    if (stream !== undefined) {
      await stream.publish(subject, data, { msgID: id, timeout: publishTimeoutMs });
      return;
    }
    const named = headers();
    named.set('Nats-Msg-Id', id);
    connection.publish(subject, data, { headers: named });
    await deadline(connection.flush(), publishTimeoutMs);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#ending.abort();
    await this.#listening;
  }

  async #listen(): Promise<void> {
    const { clock, log } = this.#options;
    let isTold = false;
    while (!this.#ending.signal.aborted) {
      const hadLine = await this.#connectOnce().catch((error: unknown) => {
        if (!isTold && !this.#ending.signal.aborted) log.warn({ err: error }, 'NATS cannot be used; trying again');
        isTold = true;
        return false;
      });
      if (hadLine) isTold = false;
      await pause(clock, connectAgainAfterMs, this.#ending.signal).catch(() => undefined);
    }
  }

  /** One connection, from its beginning to its end; true where it was set up. */
  async #connectOnce(): Promise<boolean> {
    const connection = await connectTo(this.#options.url);
    try {
      const manager = await this.#jetStreamOf(connection);
      if (manager === undefined) await this.#subscribe(connection);
      else await this.#consume(connection, manager);
      return true;
    } finally {
      this.#line = undefined;
      await connection.close();
    }
  }

  /** Another fault must not be taken for its absence: what is sent without it may be lost. */
  #jetStreamOf(connection: NatsConnection): Promise<JetStreamManager | undefined> {
    return jetstreamManager(connection).catch((error: unknown) => {
      const isAbsent = error instanceof Error && error.name === 'JetStreamNotEnabled' && connection.info?.jetstream !== true;
      if (!isAbsent) throw error;
      this.#options.log.warn('NATS has no JetStream: what is sent while no control plane is connected is lost');
      return undefined;
    });
  }

  /** Takes messages of the stream until the connection is over, or we are. */
  async #consume(connection: NatsConnection, manager: JetStreamManager): Promise<void> {
    await this.#ensureStreams(manager);
    const stream = jetstream(connection);
    const consumer = await stream.consumers.get(incoming, durable);
    // Where somebody deletes the stream or the consumer, the connection is set up anew, and both with it.
    const messages = await consumer.consume({ expires: pullMs, abort_on_missing_resource: true });
    this.#begin({ connection, stream }, () => messages.stop());
    for await (const message of messages) await this.#handle(message);
  }

  /** Takes messages as they come until the connection is over, or we are. */
  async #subscribe(connection: NatsConnection): Promise<void> {
    const subscriptions = this.#options.subjects.map((subject) => connection.subscribe(subject, { queue: durable }));
    this.#begin({ connection, stream: undefined }, () => subscriptions.forEach((subscription) => subscription.unsubscribe()));
    await Promise.all(
      subscriptions.map(async (subscription) => {
        for await (const { subject, headers: named, data: bytes } of subscription)
          await this.#judge({ subject, messageId: named?.get('Nats-Msg-Id') || undefined, bytes });
      }),
    );
  }

  #begin(line: Line, stop: () => void): void {
    const { signal } = this.#ending;
    if (signal.aborted) return stop();
    this.#line = line;
    const over = () => {
      this.#line = undefined;
      stop();
    };
    signal.addEventListener('abort', over, { once: true });
    void line.connection.closed().then(() => {
      signal.removeEventListener('abort', over);
      over();
    });
  }

  async #ensureStreams(manager: JetStreamManager): Promise<void> {
    const kept = { max_age: nanos(keepMs) };
    const wanted = [
      { name: incoming, subjects: [...this.#options.subjects], ...kept },
      { name: outgoing, subjects: announced, duplicate_window: nanos(duplicateWindowMs), ...kept },
    ];
    for (const stream of wanted)
      await manager.streams.update(stream.name, stream).catch((error: unknown) => {
        if (error instanceof JetStreamApiError && error.code === JetStreamApiCodes.StreamNotFound) return manager.streams.add(stream);
        throw error;
      });
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

  async #judge(message: ArrivedMessage): Promise<Verdict> {
    const read = eventIn(message);
    if ('event' in read) return this.#options.take(read.event);
    this.#options.log.warn({ subject: message.subject, fault: read.fault }, 'a message is no event');
    return 'useless';
  }
}

/** Not connected, or not set up yet. */
class NatsIsAway extends Error {}

function connectTo(url: string): Promise<NatsConnection> {
  const { username, password, host } = new URL(url);
  return connect({
    servers: host,
    name: 'hivekeeper',
    timeout: connectTimeoutMs,
    pingInterval: pingMs,
    reconnect: false,
    ...(username !== '' && { user: decodeURIComponent(username), pass: decodeURIComponent(password) }),
  });
}
