import { type EventId, HiveError, type JsonValue, type RunId, type TenantId } from '@hivekeeper/contract';
import type { EventStore, EventWait, NewEvent, StoredEvent } from '../../flow/triggers/index.ts';
import { audit } from './audit.ts';
import { type Pool, type Sql, withTenant } from './connection.ts';

interface EventRow {
  readonly id: EventId;
  readonly tenant_id: TenantId;
  readonly type: string;
  readonly key: string;
  readonly payload: JsonValue;
  readonly subject: string | null;
  readonly source: string | null;
  readonly published_by: string;
  readonly received_at: Date;
  readonly body_sha256: string | null;
}

interface WaitRow {
  readonly run_id: RunId;
  readonly slot_at: number;
}

const mostEvents = 1_000_000;

/** Events in PostgreSQL: the engine's own pool for bringing them to runs, the request pool, confined to a tenant, for people. */
export const postgresEventStore = (engine: Pool, requests: Pool): EventStore => ({ ...personCalls(requests), ...engineCalls(engine) });

type EngineCalls = Pick<EventStore, 'started' | 'toStart' | 'waitsFor' | 'eventsFor' | 'waitsWithEvents'>;

const personCalls = (requests: Pool): Omit<EventStore, keyof EngineCalls> => ({
  add: (event) => withTenant(requests, event.tenantId, (sql) => add(sql, event)),

  find: (tenantId, id) =>
    withTenant(requests, tenantId, async (sql) => {
      const [row] = await sql<EventRow[]>`SELECT * FROM events WHERE tenant_id = ${tenantId} AND id = ${id}`;
      return row === undefined ? undefined : eventOf(row);
    }),

  list: (tenantId, { type, key, before, limit }) =>
    withTenant(requests, tenantId, async (sql) => {
      const rows = await sql<EventRow[]>`
        SELECT * FROM events WHERE tenant_id = ${tenantId}
          ${type === undefined ? sql`` : sql`AND type = ${type}`}
          ${key === undefined ? sql`` : sql`AND key = ${key}`}
          ${before === undefined ? sql`` : sql`AND id < ${before}`}
        ORDER BY id DESC LIMIT ${limit}`;
      return rows.map(eventOf);
    }),
});

interface Added {
  readonly event: StoredEvent;
  readonly isReplay: boolean;
}

async function add(sql: Sql, event: NewEvent): Promise<Added> {
  const { id, tenantId, type, key = '', payload, subject = null, source = null, startsRuns, by, dedupe } = event;
  const { key: dedupeKey, bodySha256 } = dedupe ?? { key: null, bodySha256: null };
  const [added] = await sql<EventRow[]>`
    INSERT INTO events (id, tenant_id, type, key, payload, subject, source, published_by, dedupe_key, body_sha256, started_at)
    VALUES (${id}, ${tenantId}, ${type}, ${key}, ${sql.json(payload)}, ${subject}, ${source}, ${by}, ${dedupeKey}, ${bodySha256},
      ${startsRuns ? null : sql`now()`})
    ON CONFLICT (tenant_id, dedupe_key) DO NOTHING RETURNING *`;
  if (added === undefined) return earlier(sql, tenantId, { key: dedupeKey, bodySha256 });
  await audit(sql, { tenantId, actor: by, action: 'event.published', object: id, payload: { type, key, payload, subject, source } });
  return { event: eventOf(added), isReplay: false };
}

async function earlier(
  sql: Sql,
  tenantId: TenantId,
  dedupe: { readonly key: string | null; readonly bodySha256: string | null },
): Promise<Added> {
  const [known] = await sql<EventRow[]>`SELECT * FROM events WHERE tenant_id = ${tenantId} AND dedupe_key = ${dedupe.key}`;
  if (known === undefined) throw new HiveError('DATABASE_UNAVAILABLE', 'the event of that id was forgotten a moment ago');
  if (known.body_sha256 !== dedupe.bodySha256)
    throw new HiveError('IDEMPOTENCY_KEY_REUSED', `another event was published as ${dedupe.key}`);
  return { event: eventOf(known), isReplay: true };
}

const engineCalls = (engine: Pool): EngineCalls => ({
  async started(id) {
    await engine`UPDATE events SET started_at = now() WHERE id = ${id}`;
  },

  async toStart(after, most) {
    const rows = await engine<EventRow[]>`
      SELECT * FROM events WHERE started_at IS NULL AND received_at < now() - interval '5 seconds' AND id > ${after ?? ''}
      ORDER BY id LIMIT ${most}`;
    return rows.map(eventOf);
  },

  async waitsFor({ id }, most) {
    const rows = await engine<WaitRow[]>`
      SELECT w.run_id, w.slot_at FROM events e JOIN event_waits w ON w.tenant_id = e.tenant_id AND w.name = e.type AND w.key = e.key
      WHERE e.id = ${id} AND w.since <= e.received_at LIMIT ${most}`;
    return rows.map(waitOf);
  },

  async eventsFor({ runId, slotAt }, { skipped, most }) {
    const rows = await engine<EventRow[]>`
      SELECT e.* FROM event_waits w JOIN events e ON e.tenant_id = w.tenant_id AND e.type = w.name AND e.key = w.key AND e.received_at >= w.since
      WHERE w.run_id = ${runId} AND w.slot_at = ${slotAt} ORDER BY e.received_at, e.id OFFSET ${skipped} LIMIT ${most}`;
    return rows.map(eventOf);
  },

  async waitsWithEvents(after, most) {
    const rows = await engine<(WaitRow & { newest_event_id: EventId })[]>`
      SELECT w.run_id, w.slot_at, newest.id AS newest_event_id FROM event_waits w
      CROSS JOIN LATERAL (SELECT e.id FROM events e
        WHERE e.tenant_id = w.tenant_id AND e.type = w.name AND e.key = w.key AND e.received_at >= w.since
        ORDER BY e.received_at DESC, e.id DESC LIMIT 1) AS newest
      WHERE (w.run_id, w.slot_at) > (${after?.runId ?? ''}, ${after?.slotAt ?? 0})
      ORDER BY w.run_id, w.slot_at LIMIT ${most}`;
    return rows.map((row) => ({ ...waitOf(row), newestEventId: row.newest_event_id }));
  },
});

/** Forgets events after 30 days, and the oldest where there are too many. */
export async function forgetOldEvents(engine: Sql): Promise<void> {
  await engine`DELETE FROM events WHERE received_at < now() - interval '30 days'`;
  await engine`
    DELETE FROM events WHERE received_at < (SELECT received_at FROM events ORDER BY received_at DESC OFFSET ${mostEvents} LIMIT 1)`;
}

const waitOf = (row: WaitRow): EventWait => ({ runId: row.run_id, slotAt: row.slot_at });

const eventOf = (row: EventRow): StoredEvent => ({
  id: row.id,
  tenantId: row.tenant_id,
  type: row.type,
  payload: row.payload,
  receivedAtMs: row.received_at.getTime(),
  publishedBy: row.published_by,
  ...(row.key !== '' && { key: row.key }),
  ...(row.subject !== null && { subject: row.subject }),
  ...(row.source !== null && { source: row.source }),
});
