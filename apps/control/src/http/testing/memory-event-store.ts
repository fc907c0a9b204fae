import { HiveError } from '@hivekeeper/contract';
import type { EventStore } from '../../flow/triggers/index.ts';
import type { MemoryTables } from './memory-tables.ts';

/** Events over the tables; no run waits for any. */
export const memoryEventStore = ({ events, nowMs }: MemoryTables): EventStore => ({
  add: async ({ by, dedupe, startsRuns: _, ...event }) => {
    const known = [...events.values()].find((other) => dedupe !== undefined && other.dedupe?.key === dedupe.key);
    if (known !== undefined && known.dedupe?.bodySha256 !== dedupe?.bodySha256) throw new HiveError('IDEMPOTENCY_KEY_REUSED');
    const stored = known?.event ?? { ...event, publishedBy: by, receivedAtMs: nowMs() };
    if (known === undefined) events.set(event.id, { event: stored, dedupe });
    return { event: stored, isReplay: known !== undefined };
  },
  find: async (tenantId, id) => {
    const event = events.get(id)?.event;
    return event?.tenantId === tenantId ? event : undefined;
  },
  list: async (tenantId, { type, key, before, limit }) =>
    [...events.values()]
      .map(({ event }) => event)
      .filter(
        (event) =>
          event.tenantId === tenantId &&
          (type ?? event.type) === event.type &&
          (key ?? event.key) === event.key &&
          (before === undefined || event.id < before),
      )
      .reverse()
      .slice(0, limit),
  started: async () => undefined,
  toStart: async () => [],
  waitsFor: async () => [],
  eventsFor: async () => [],
  waitsWithEvents: async () => [],
});
