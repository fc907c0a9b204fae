import type { EventId, EventView, JsonValue, RunId, TenantId } from '@hivekeeper/contract';

/** An event as stored. */
export interface StoredEvent extends EventView {
  readonly tenantId: TenantId;
}

/** An event that somebody publishes. */
export interface NewEvent {
  readonly id: EventId;
  readonly tenantId: TenantId;
  readonly type: string;
  readonly key?: string | undefined;
  readonly payload: JsonValue;
  readonly subject?: string | undefined;
  readonly source?: string | undefined;
  /** Runs begin because of it: it is found by {@link EventStore.toStart} until they have. */
  readonly startsRuns: boolean;
  readonly by: string;
  /** The publisher's own name for it; the digest tells whether the same was said under it before. */
  readonly dedupe?: { readonly key: string; readonly bodySha256: string } | undefined;
}

/** A slot of a run that waits for an event. */
export interface EventWait {
  readonly runId: RunId;
  readonly slotAt: number;
}

/** The port to the database; it keeps events for 30 days. Waits are stored and removed by the commits of their runs. Times are the database's own. */
export interface EventStore {
  /** Stores an event with its audit entry, once per dedupe key: then gives the one from before. @throws HiveError IDEMPOTENCY_KEY_REUSED */
  add(event: NewEvent): Promise<{ readonly event: StoredEvent; readonly isReplay: boolean }>;
  find(tenantId: TenantId, id: EventId): Promise<StoredEvent | undefined>;
  /** The newest first. */
  list(
    tenantId: TenantId,
    filter: {
      readonly type?: string | undefined;
      readonly key?: string | undefined;
      readonly before?: EventId | undefined;
      readonly limit: number;
    },
  ): Promise<readonly StoredEvent[]>;
  /** For the engine: the runs of the event are stored. */
  started(id: EventId): Promise<void>;
  /** For the engine: events whose runs were not stored within five seconds, in the order of their ids, from behind `after`. */
  toStart(after: EventId | undefined, most: number): Promise<readonly StoredEvent[]>;
  /** For the engine: who waits for the event, and began no later than it came. */
  waitsFor(event: StoredEvent, most: number): Promise<readonly EventWait[]>;
  /** For the engine: what a wait may get, from its run's beginning on, the oldest first, without the first `skipped`. */
  eventsFor(wait: EventWait, page: { readonly skipped: number; readonly most: number }): Promise<readonly StoredEvent[]>;
  /** For the engine: waits for which there are events, whether or not their runs have had them, after the one given; with the newest. */
  waitsWithEvents(after: EventWait | undefined, most: number): Promise<readonly (EventWait & { readonly newestEventId: EventId })[]>;
}
