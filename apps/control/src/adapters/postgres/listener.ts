import { type Clock, type Log, pause, type Timer } from '@hivekeeper/kernel';
import pg from 'pg';
import { translated } from './connection-errors.ts';

/** Who wants to hear of a channel. */
export interface Subscriber {
  readonly onNotify: (payload: string) => void;
  readonly onListen?: (() => void) | undefined;
}

/** A subscription. */
export interface Listening {
  unlisten(): Promise<void>;
}

/** What a {@link NotificationListener} needs. */
export interface ListenerOptions {
  readonly newClient: () => pg.Client;
  readonly clock: Clock;
  readonly log: Log;
}

const minBackoffMs = 100;
const maxBackoffMs = 5_000;
// A connection that only listens would not notice that the other side is gone.
const heartbeatMs = 15_000;
const patienceMs = 5_000;

/**
 * One connection for every channel; opened for the first subscriber, opened again when it is lost.
 *
 *   closed --listen--> open --lost--> reopening --listening again--> open
 *   any --end()--> ended
 */
export class NotificationListener {
  readonly #options: ListenerOptions;
  readonly #subscribers = new Map<string, Set<Subscriber>>();
  readonly #ending = new AbortController();
  #client: Promise<pg.Client> | undefined;
  #heartbeat: Timer | undefined;
  /** Resolves when the last query was answered. */
  #answered: Promise<unknown> = Promise.resolve();

  constructor(options: ListenerOptions) {
    this.#options = options;
  }

  /** Resolves when it listens. Rejects when the first connection cannot be made; later ones are tried until they can. */
  async listen(channel: string, subscriber: Subscriber): Promise<Listening> {
    const client = await (this.#client ??= this.#openFirst());
    await this.#query(client, { text: `LISTEN ${pg.escapeIdentifier(channel)}` }).catch((error: unknown) => {
      throw translated(error);
    });
    const subscribers = this.#subscribers.get(channel) ?? new Set();
    this.#subscribers.set(channel, subscribers.add(subscriber));
    subscriber.onListen?.();
    return { unlisten: () => this.#unlisten(channel, subscriber) };
  }

  /** Notifies everybody else: subscribers here do not hear it. Rejects where it was not sent. */
  async notify(channel: string, payloads: readonly string[]): Promise<void> {
    const client = await (this.#client ??= this.#openFirst());
    const text = 'SELECT pg_notify($1, payload) FROM unnest($2::text[]) AS payload';
    await this.#query(client, { text, values: [channel, payloads] }).catch((error: unknown) => {
      throw translated(error);
    });
  }

  async end(): Promise<void> {
    this.#ending.abort();
    this.#heartbeat?.cancel();
    const client = await this.#client?.catch(() => undefined);
    if (client !== undefined) await Promise.race([client.end(), pause(this.#options.clock, patienceMs)]);
  }

  async #unlisten(channel: string, subscriber: Subscriber): Promise<void> {
    this.#subscribers.get(channel)?.delete(subscriber);
    if (this.#subscribers.get(channel)?.size !== 0) return;
    this.#subscribers.delete(channel);
    // A connection that is lost meanwhile comes back without the channel.
    await this.#client?.then((client) => this.#query(client, { text: `UNLISTEN ${pg.escapeIdentifier(channel)}` })).catch(() => {});
  }

  async #openFirst(): Promise<pg.Client> {
    try {
      return await this.#open();
    } catch (error) {
      this.#client = undefined;
      throw translated(error);
    }
  }

  async #open(): Promise<pg.Client> {
    const client = this.#options.newClient();
    client.on('error', () => {}); // `end` follows
    await client.connect();
    const { rows } = await client.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
    client.on('notification', ({ processId, channel, payload }) => {
      if (processId === rows[0]?.pid) return;
      for (const { onNotify } of this.#subscribers.get(channel) ?? []) onNotify(payload ?? '');
    });
    for (const channel of this.#subscribers.keys()) await client.query(`LISTEN ${pg.escapeIdentifier(channel)}`);
    client.once('end', () => this.#lost());
    this.#heartbeat = this.#options.clock.every(heartbeatMs, () => void this.#beat(client));
    return client;
  }

  async #beat(client: pg.Client): Promise<void> {
    await this.#query(client, { text: 'SELECT 1' }).catch(() => client.end());
  }

  /** One after the other: a connection takes no query while it is busy with another. */
  #query(client: pg.Client, query: pg.QueryConfig): Promise<unknown> {
    const patient = { ...query, query_timeout: patienceMs };
    const answer = this.#answered.then(() => client.query(patient));
    this.#answered = answer.catch(() => {});
    return answer;
  }

  #lost(): void {
    this.#heartbeat?.cancel();
    if (this.#ending.signal.aborted) return;
    this.#options.log.warn('the connection for notifications was lost, opening it again');
    this.#client = this.#reopen();
    this.#client.catch(() => {}); // only `end` makes it fail
  }

  async #reopen(): Promise<pg.Client> {
    for (let backoffMs = minBackoffMs; ; backoffMs = Math.min(backoffMs * 2, maxBackoffMs)) {
      await pause(this.#options.clock, backoffMs, this.#ending.signal);
      const client = await this.#open().catch(() => undefined);
      if (client === undefined) continue;
      for (const subscribers of this.#subscribers.values()) for (const { onListen } of subscribers) onListen?.();
      return client;
    }
  }
}
