import {
  canaryTenantId,
  type JsonValue,
  type MemoEntry,
  type RunId,
  type TenantId,
  type TicketId,
  ticketIdOf,
  type WorkerId,
} from '@hivekeeper/contract';
import type { IssuedTicket, Throttle, TicketProgress, TicketStore } from '../../flow/tickets/index.ts';
import type { Sql } from './connection.ts';

interface TicketRow {
  readonly id: TicketId;
  readonly tenant_id: TenantId;
  readonly run_id: RunId;
  readonly node_id: string;
  readonly slot: number;
  readonly attempt: number;
  readonly agent: string;
  readonly action: string | null;
  readonly input: JsonValue;
  readonly memo: MemoEntry[] | null;
  readonly is_held: boolean;
  readonly timeout_ms: number;
  readonly requirement: string;
  readonly throttles: Throttle[] | null;
  readonly rank_ms: number;
  readonly worker_id: WorkerId | null;
  readonly token: string | null;
  readonly leased_at: Date | null;
  readonly lease_until: Date | null;
  readonly progress: JsonValue | null;
  readonly progressed_at: Date | null;
}

/** Tells the control planes that tickets are ready which nobody holds. */
export const ticketsChannel = 'hive_tickets';

/** What holders do with their tickets. */
const holderCalls = (sql: Sql): Pick<TicketStore, 'renew' | 'release'> => ({
  async renew(workerId, tickets, leaseMs) {
    const rows = await sql<{ id: TicketId }[]>`
      UPDATE tickets SET lease_until = now() + ${leaseMs} * interval '1 millisecond', progress = coalesce(h.progress::json, tickets.progress),
        progressed_at = CASE WHEN h.progress <> coalesce(tickets.progress::text, '') THEN now() ELSE tickets.progressed_at END
      FROM unnest(${tickets.map((ticket) => ticket.ticketId)}::text[], ${tickets.map((ticket) => ticket.token)}::bigint[],
        ${tickets.map((ticket) => (ticket.progress === undefined ? null : JSON.stringify(ticket.progress)))}::text[]) AS h (id, token, progress)
      WHERE tickets.id = h.id AND tickets.token = h.token AND tickets.worker_id IS NOT DISTINCT FROM ${workerId}
      RETURNING tickets.id`;
    return new Set(rows.map((row) => row.id));
  },

  async release(workerId, tickets) {
    const rows = await sql<TicketRow[]>`
      WITH free AS (
        UPDATE tickets SET worker_id = NULL, token = NULL, leased_at = NULL, lease_until = NULL, progress = NULL, progressed_at = NULL,
          reservation = NULL
        FROM unnest(${tickets.map((ticket) => ticket.ticketId)}::text[], ${tickets.map((ticket) => ticket.token)}::bigint[]) AS h (id, token)
        WHERE tickets.id = h.id AND tickets.token = h.token AND tickets.worker_id IS NOT DISTINCT FROM ${workerId}
        RETURNING tickets.*
      ), told AS (SELECT pg_notify(${ticketsChannel}, '') WHERE EXISTS (SELECT FROM free))
      SELECT free.* FROM free CROSS JOIN told`;
    return rows.map(ticketOf);
  },
});

/** Live tickets in PostgreSQL. Times are the database's own. */
export function postgresTicketStore(sql: Sql): TicketStore {
  return {
    ...holderCalls(sql),

    async expired() {
      const rows = await sql<TicketRow[]>`
        SELECT id, run_id, worker_id, token FROM tickets WHERE token IS NOT NULL AND lease_until < now() ORDER BY lease_until LIMIT 1000`;
      return rows.flatMap(({ id, run_id, worker_id, token }) =>
        worker_id === null ? [] : [{ ticketId: id, runId: run_id, workerId: worker_id, token: String(token) }],
      );
    },

    async ready(most, workers, fullKeys) {
      const rows = await sql<TicketRow[]>`
        SELECT * FROM tickets WHERE worker_id IS NULL AND NOT is_held
          AND EXISTS (SELECT FROM unnest(${workers}::text[]) AS has WHERE string_to_array(requirement, ' ') <@ string_to_array(has, ' '))
          AND (throttles IS NULL OR NOT EXISTS (
            SELECT FROM json_array_elements(throttles) AS throttle WHERE tenant_id || ' ' || (throttle->>'key') = ANY (${fullKeys}::text[])))
        ORDER BY rank_ms LIMIT ${most}`;
      return rows.map(ticketOf);
    },

    async heldBy(workerId) {
      const rows = await sql<
        TicketRow[]
      >`SELECT * FROM tickets WHERE token IS NOT NULL AND worker_id = ${workerId} AND lease_until > now()`;
      return rows.map((row) => ({ ...ticketOf(row), token: String(row.token) }));
    },

    async ofRun(runId) {
      const { first, end } = idsOf(runId);
      const rows = await sql<TicketRow[]>`
        SELECT id, requirement, worker_id, leased_at, lease_until, progress, progressed_at FROM tickets WHERE id >= ${first} AND id < ${end}`;
      return rows.map((row) => ({
        ticketId: row.id,
        requirement: row.requirement,
        workerId: row.worker_id ?? undefined,
        leasedAtMs: row.leased_at?.getTime(),
        leaseUntilMs: row.lease_until?.getTime(),
        progress: row.progress ?? undefined,
        progressedAtMs: row.progressed_at?.getTime(),
      }));
    },

    async progressOf(runIds) {
      const rows = await sql<Pick<TicketRow, 'id' | 'progress'>[]>`
        SELECT t.id, t.progress
        FROM unnest(${runIds.map((runId) => idsOf(runId).first)}::text[], ${runIds.map((runId) => idsOf(runId).end)}::text[]) AS r (first, "end")
        JOIN tickets t ON t.id >= r.first COLLATE "C" AND t.id < r."end" COLLATE "C"
        WHERE t.token IS NOT NULL AND t.progress IS NOT NULL`;
      return rows.map(({ id, progress }): TicketProgress => ({ ticketId: id, progress }));
    },

    async counts() {
      const [row] = await sql<{ ready: number; leased: number }[]>`
        SELECT count(*) FILTER (WHERE worker_id IS NULL)::integer AS ready, count(worker_id)::integer AS leased FROM tickets
        WHERE tenant_id <> ${canaryTenantId}`;
      return row ?? { ready: 0, leased: 0 };
    },
  };
}

/** Bounds of a run's ids in the primary key's bytewise order: "/" comes right after the "." before the ordinal. */
const idsOf = (runId: RunId) => ({ first: ticketIdOf(runId, 0), end: ticketIdOf(runId, 0).replace('.0', '/') });

const ticketOf = (row: TicketRow): IssuedTicket => ({
  ticketId: row.id,
  tenantId: row.tenant_id,
  runId: row.run_id,
  nodeId: row.node_id,
  slot: row.slot,
  attempt: row.attempt,
  agent: row.agent,
  action: row.action ?? undefined,
  input: row.input,
  memo: row.memo ?? [],
  isHeld: row.is_held,
  timeoutMs: Number(row.timeout_ms),
  requirement: row.requirement,
  throttles: row.throttles ?? undefined,
  rankMs: row.rank_ms,
});
