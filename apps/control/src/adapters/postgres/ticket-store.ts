import type { JsonValue, RunId, TenantId, TicketId, WorkerId } from '@hivekeeper/contract';
import type { IssuedTicket, TicketStore } from '../../flow/tickets/index.ts';
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
  readonly timeout_ms: number;
  readonly requirement: string;
  readonly rank_ms: number;
  readonly worker_id: WorkerId | null;
  readonly token: string | null;
  readonly leased_at: Date | null;
  readonly lease_until: Date | null;
  readonly progress: JsonValue | null;
}

/** Tells the control planes that tickets are ready which nobody holds. */
export const ticketsChannel = 'hive_tickets';

/** Live tickets in PostgreSQL. Times are the database's own. */
export function postgresTicketStore(sql: Sql): TicketStore {
  return {
    async renew(workerId, tickets, leaseMs) {
      const rows = await sql<{ id: TicketId }[]>`
        UPDATE tickets SET lease_until = now() + ${leaseMs} * interval '1 millisecond', progress = coalesce(h.progress::json, tickets.progress)
        FROM unnest(${tickets.map((ticket) => ticket.ticketId)}::text[], ${tickets.map((ticket) => ticket.token)}::bigint[],
          ${tickets.map((ticket) => (ticket.progress === undefined ? null : JSON.stringify(ticket.progress)))}::text[]) AS h (id, token, progress)
        WHERE tickets.id = h.id AND tickets.token = h.token AND tickets.worker_id IS NOT DISTINCT FROM ${workerId}
        RETURNING tickets.id`;
      return new Set(rows.map((row) => row.id));
    },

    async release(workerId, tickets) {
      const rows = await sql<TicketRow[]>`
        WITH free AS (
          UPDATE tickets SET worker_id = NULL, token = NULL, leased_at = NULL, lease_until = NULL, progress = NULL
          FROM unnest(${tickets.map((ticket) => ticket.ticketId)}::text[], ${tickets.map((ticket) => ticket.token)}::bigint[]) AS h (id, token)
          WHERE tickets.id = h.id AND tickets.token = h.token AND tickets.worker_id IS NOT DISTINCT FROM ${workerId}
          RETURNING tickets.*
        ), told AS (SELECT pg_notify(${ticketsChannel}, '') WHERE EXISTS (SELECT FROM free))
        SELECT free.* FROM free CROSS JOIN told`;
      return rows.map(ticketOf);
    },

    async expired() {
      const rows = await sql<TicketRow[]>`
        SELECT id, run_id, worker_id, token FROM tickets WHERE worker_id IS NOT NULL AND lease_until < now() ORDER BY lease_until LIMIT 1000`;
      return rows.flatMap(({ id, run_id, worker_id, token }) =>
        worker_id === null ? [] : [{ ticketId: id, runId: run_id, workerId: worker_id, token: String(token) }],
      );
    },

    async ready(most, workers) {
      const rows = await sql<TicketRow[]>`
        SELECT * FROM tickets WHERE worker_id IS NULL
          AND EXISTS (SELECT FROM unnest(${workers}::text[]) AS has WHERE string_to_array(requirement, ' ') <@ string_to_array(has, ' '))
        ORDER BY rank_ms LIMIT ${most}`;
      return rows.map(ticketOf);
    },

    async heldBy(workerId) {
      const rows = await sql<TicketRow[]>`SELECT * FROM tickets WHERE worker_id = ${workerId} AND lease_until > now()`;
      return rows.map((row) => ({ ...ticketOf(row), token: String(row.token) }));
    },

    async ofRun(runId) {
      const rows = await sql<
        TicketRow[]
      >`SELECT id, requirement, worker_id, leased_at, lease_until, progress FROM tickets WHERE run_id = ${runId}`;
      return rows.map((row) => ({
        ticketId: row.id,
        requirement: row.requirement,
        workerId: row.worker_id ?? undefined,
        leasedAtMs: row.leased_at?.getTime(),
        leaseUntilMs: row.lease_until?.getTime(),
        progress: row.progress ?? undefined,
      }));
    },

    async counts() {
      const [row] = await sql<{ ready: number; leased: number }[]>`
        SELECT count(*) FILTER (WHERE worker_id IS NULL)::integer AS ready, count(worker_id)::integer AS leased FROM tickets`;
      return row ?? { ready: 0, leased: 0 };
    },
  };
}

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
  timeoutMs: Number(row.timeout_ms),
  requirement: row.requirement,
  rankMs: row.rank_ms,
});
