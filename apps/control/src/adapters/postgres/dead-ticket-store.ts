import type { DeadTicketView, JsonValue, RunId, TenantId, TicketId } from '@hivekeeper/contract';
import type { DeadTicketFilter, DeadTicketStore } from '../../records/dead-tickets/index.ts';
import { audit } from './audit.ts';
import { type Pool, type Sql, withTenant } from './connection.ts';

interface DeadTicketRow {
  readonly ticket_id: TicketId;
  readonly run_id: RunId;
  readonly workflow_name: string;
  readonly node_id: string;
  readonly slot: number;
  readonly attempt: number;
  readonly agent: string;
  readonly action: string | null;
  readonly input: JsonValue;
  readonly error: DeadTicketView['error'];
  readonly died_at: Date;
  readonly resolution: 'REDRIVEN' | 'DISCARDED' | null;
  readonly resolved_at: Date | null;
  readonly resolved_by: string | null;
  readonly redriven_run_id: RunId | null;
  readonly reason: string | null;
}

/** Dead tickets in PostgreSQL. */
export const postgresDeadTicketStore = (requests: Pool): DeadTicketStore => ({
  list: (tenantId, filter) => withTenant(requests, tenantId, (sql) => list(sql, tenantId, filter)),

  get: (tenantId, ticketId) =>
    withTenant(requests, tenantId, async (sql) => {
      const [row] = await sql<DeadTicketRow[]>`${all(sql)} WHERE d.tenant_id = ${tenantId} AND d.ticket_id = ${ticketId}`;
      return row === undefined ? undefined : viewOf(row);
    }),

  markRedriven: ({ tenantId, runId, redrivenRunId, by }) =>
    withTenant(requests, tenantId, async (sql) => {
      const rows = await sql<{ ticket_id: TicketId }[]>`
        UPDATE dead_tickets SET resolution = 'REDRIVEN', resolved_at = now(), resolved_by = ${by}, redriven_run_id = ${redrivenRunId}, reason = NULL
        WHERE tenant_id = ${tenantId} AND run_id = ${runId} AND resolution IS DISTINCT FROM 'REDRIVEN' RETURNING ticket_id`;
      for (const { ticket_id } of rows)
        await audit(sql, { tenantId, actor: by, action: 'ticket.redriven', object: ticket_id, payload: { redrivenRunId } });
    }),

  markDiscarded: ({ tenantId, ticketId, reason, by }) =>
    withTenant(requests, tenantId, async (sql) => {
      const { count } = await sql`
        UPDATE dead_tickets SET resolution = 'DISCARDED', resolved_at = now(), resolved_by = ${by}, reason = ${reason}
        WHERE tenant_id = ${tenantId} AND ticket_id = ${ticketId} AND resolution IS NULL`;
      if (count > 0) await audit(sql, { tenantId, actor: by, action: 'ticket.discarded', object: ticketId, payload: { reason } });
    }),
});

const all = (sql: Sql) => sql`
  SELECT d.*, w.name AS workflow_name FROM dead_tickets d JOIN runs r ON r.id = d.run_id JOIN workflows w ON w.id = r.workflow_id`;

async function list(sql: Sql, tenantId: TenantId, { state, workflow, before, limit }: DeadTicketFilter): Promise<DeadTicketView[]> {
  const rows = await sql<DeadTicketRow[]>`
    ${all(sql)} WHERE d.tenant_id = ${tenantId}
      ${state === 'open' ? sql`AND d.resolution IS NULL` : sql``}
      ${state === 'resolved' ? sql`AND d.resolution IS NOT NULL` : sql``}
      ${workflow === undefined ? sql`` : sql`AND w.name = ${workflow}`}
      ${before === undefined ? sql`` : sql`AND d.ticket_id < ${before}`}
    ORDER BY d.ticket_id DESC LIMIT ${limit}`;
  return rows.map(viewOf);
}

const viewOf = (row: DeadTicketRow): DeadTicketView => ({
  ticketId: row.ticket_id,
  runId: row.run_id,
  workflowName: row.workflow_name,
  nodeId: row.node_id,
  slot: row.slot,
  attempt: row.attempt,
  agent: row.agent,
  input: row.input,
  error: row.error,
  diedAtMs: row.died_at.getTime(),
  ...(row.action !== null && { action: row.action }),
  ...(row.resolution !== null && { resolution: row.resolution }),
  ...(row.resolved_at !== null && { resolvedAtMs: row.resolved_at.getTime() }),
  ...(row.resolved_by !== null && { resolvedBy: row.resolved_by }),
  ...(row.redriven_run_id !== null && { redrivenRunId: row.redriven_run_id }),
  ...(row.reason !== null && { reason: row.reason }),
});
