import { type EventId, type EventView, HiveError, type JsonValue, type Published, type RunId, type TenantId } from '@hivekeeper/contract';
import type { Log } from '@hivekeeper/kernel';
import { LRUCache } from 'lru-cache';
import type { RunConsequences, RunOrders } from '../../runs/index.ts';
import { digestOf } from '../digest.ts';
import type { EventStore, EventWait, StoredEvent } from './event-store.ts';
import type { EventStarts } from './starts.ts';

/** What {@link Events} needs. */
export interface EventsOptions {
  readonly store: EventStore;
  readonly orders: RunOrders;
  readonly starts: EventStarts;
  readonly newId: () => EventId;
  readonly log: Log;
}

/** What somebody publishes. */
export interface Publication {
  readonly tenantId: TenantId;
  readonly type: string;
  readonly key?: string | undefined;
  readonly payload: JsonValue;
  readonly subject?: string | undefined;
  readonly source?: string | undefined;
  readonly by: string;
  /** The same again is no news. */
  readonly dedupeKey?: string | undefined;
}

const page = 100;
const mostWaits = 10_000;
const waitsRemembered = 10_000;

/**
 * Brings published events to the runs that wait for them, each once per run. Whoever stores an event looks for waits
 * afterwards, and whoever stores a wait looks for events afterwards: each looks after its own commit, so one of the two
 * sees the other, on whichever control planes they are. The run itself knows what it has had.
 */
export class Events implements AsyncDisposable {
  readonly #options: EventsOptions;
  readonly #underWay = new Set<Promise<void>>();
  /** The newest event of a wait whose run has had them all: there is nothing to look for until a newer one comes. */
  readonly #hadAll = new LRUCache<string, EventId>({ max: waitsRemembered });

  constructor(options: EventsOptions) {
    this.#options = options;
  }

  /** Stores an event; returns then, while it is brought to who waits. @throws HiveError IDEMPOTENCY_KEY_REUSED */
  async publish({ dedupeKey, ...publication }: Publication): Promise<Published & { readonly isReplay: boolean }> {
    const { store, starts, newId } = this.#options;
    const { type, key, payload, subject, source } = publication;
    // Of an event without a subject the digest is the one it had before there were any.
    const said = subject === undefined && source === undefined ? [type, key, payload] : [type, key, payload, subject, source];
    const bodySha256 = digestOf(said);
    const dedupe = dedupeKey === undefined ? undefined : { key: dedupeKey, bodySha256 };
    const meant = await starts.meant(publication);
    const { event, isReplay } = await store.add({ ...publication, id: newId(), dedupe, startsRuns: meant.length > 0 });
    // A repeat starts nothing: the first one did, or is found by the sweep; the keys of its runs are forgotten before the event is.
    if (meant.length > 0 && !isReplay) void this.#track(this.#start(event));
    const waits = await store.waitsFor(event, mostWaits);
    void this.#track(Promise.all(waits.map((wait) => this.#safely(wait, () => this.#offer(wait, [event])))));
    const waitingRunCount = new Set(waits.map(({ runId }) => runId)).size;
    return { ...viewOf(event), isReplay, waitingRunCount, startedWorkflows: meant.map(({ name }) => name) };
  }

  /** The newest first. */
  list(tenantId: TenantId, filter: Parameters<EventStore['list']>[1]): Promise<readonly EventView[]> {
    return this.#options.store.list(tenantId, filter).then((events) => events.map(viewOf));
  }

  async find(tenantId: TenantId, id: EventId): Promise<EventView | undefined> {
    const event = await this.#options.store.find(tenantId, id);
    return event === undefined ? undefined : viewOf(event);
  }

  /** A run began to wait: what came before counts too. Returns at once. */
  notice(runId: RunId, awaited: RunConsequences['awaited']): void {
    for (const { slotAt } of awaited) void this.#track(this.#safely({ runId, slotAt }, () => this.#serve({ runId, slotAt })));
  }

  /** Serves every wait for which there are events: what a control plane that was killed did not look after. Never rejects. */
  sweep(): Promise<void> {
    return this.#track(this.#sweep());
  }

  async #sweep(): Promise<void> {
    const { store, log } = this.#options;
    try {
      const toStart = inPages((last: StoredEvent | undefined) => store.toStart(last?.id, page));
      for await (const event of toStart) await this.#start(event);
      const waits = inPages((last: Awaited<ReturnType<EventStore['waitsWithEvents']>>[number] | undefined) =>
        store.waitsWithEvents(last, page),
      );
      for await (const wait of waits) await this.#safely(wait, () => this.#serveAnew(wait));
    } catch (error) {
      log.warn({ err: error }, 'waits for events could not be read; trying again');
    }
  }

  /** Resolves when what is under way is done. */
  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#underWay);
  }

  async #serveAnew(wait: EventWait & { readonly newestEventId: EventId }): Promise<void> {
    const name = `${wait.runId} ${wait.slotAt}`;
    if (this.#hadAll.get(name) === wait.newestEventId) return;
    if (!(await this.#serve(wait))) this.#hadAll.set(name, wait.newestEventId);
  }

  /** Gives the wait the oldest event that its run has not had; false where it has had all. */
  async #serve(wait: EventWait): Promise<boolean> {
    for (let skipped = 0; ; skipped += page) {
      const events = await this.#options.store.eventsFor(wait, { skipped, most: page });
      if (events.length > 0 && (await this.#offer(wait, events))) return true;
      if (events.length < page) return false;
    }
  }

  #offer({ runId, slotAt }: EventWait, events: readonly StoredEvent[]): Promise<boolean> {
    const offered = events.map(({ id, type, key, payload, publishedBy }) => ({ id, type, key, payload, by: publishedBy }));
    return this.#options.orders.offerEvents({ runId, slotAt, events: offered });
  }

  /** What cannot be started now is found by the sweep: the event is marked once its runs are stored. */
  async #start(event: StoredEvent): Promise<void> {
    const { starts, store, log } = this.#options;
    await starts
      .start(event)
      .then(() => store.started(event.id))
      .catch((error: unknown) => log.warn({ err: error, eventId: event.id }, 'an event could not start its runs; trying again'));
  }

  /** What cannot be brought now is found by the sweep. */
  async #safely({ runId }: EventWait, work: () => Promise<unknown>): Promise<void> {
    await work().catch((error: unknown) => {
      if (HiveError.is(error) && error.code === 'NOT_FOUND') return;
      this.#options.log.warn({ err: error, runId }, 'an event could not be brought to a run; trying again');
    });
  }

  #track(work: Promise<unknown>): Promise<void> {
    const done = work.then(() => {}).finally(() => this.#underWay.delete(done));
    this.#underWay.add(done);
    return done;
  }
}

/** Everything there is, also where what came first stays where it is because it cannot be dealt with now. */
async function* inPages<Item>(read: (last: Item | undefined) => Promise<readonly Item[]>): AsyncGenerator<Item> {
  let last: Item | undefined;
  do {
    const items = await read(last);
    yield* items;
    last = items.length < page ? undefined : items.at(-1);
  } while (last !== undefined);
}

const viewOf = ({ tenantId: _, ...event }: StoredEvent): EventView => event;
