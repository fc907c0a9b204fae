import type { EffectId, EffectState, JsonValue, Outcome, RunId, TenantId, TicketId, WorkerId } from '@hivekeeper/contract';
import type { Effect } from '../../records/effects/index.ts';

/** A row of `effects`, as row_to_json gives it: timestamps are text. */
export interface EffectRow {
  readonly id: EffectId;
  readonly tenant_id: TenantId;
  readonly run_id: RunId;
  readonly node_id: string;
  readonly slot: number;
  readonly step: string;
  readonly tool: string;
  readonly args: JsonValue;
  readonly args_sha256: string;
  readonly has_probe: boolean;
  readonly state: EffectState;
  readonly outcome: Outcome | null;
  readonly reason: string | null;
  readonly ticket_id: TicketId | null;
  readonly worker_id: WorkerId | null;
  readonly token: number | null;
  readonly dispatch_count: number;
  readonly begun_at: string;
  readonly dispatched_at: string | null;
  readonly ended_at: string | null;
  readonly resolved_by: string | null;
  readonly notes: string | null;
  readonly awaited_by: TicketId | null;
  readonly version: number;
}

const msOf = (time: string | null): number | undefined => (time === null ? undefined : Date.parse(time));

/** The row as the rules know it. */
export const effectOf = (row: EffectRow): Effect => ({
  id: row.id,
  tenantId: row.tenant_id,
  runId: row.run_id,
  nodeId: row.node_id,
  slot: row.slot,
  step: row.step,
  tool: row.tool,
  args: row.args,
  argsSha256: row.args_sha256,
  hasProbe: row.has_probe,
  state: row.state,
  outcome: row.outcome ?? undefined,
  reason: row.reason ?? undefined,
  dispatchedBy:
    row.ticket_id === null || row.worker_id === null
      ? undefined
      : { ticketId: row.ticket_id, workerId: row.worker_id, counter: String(row.token) },
  dispatchCount: row.dispatch_count,
  begunAtMs: Date.parse(row.begun_at),
  dispatchedAtMs: msOf(row.dispatched_at),
  endedAtMs: msOf(row.ended_at),
  resolvedBy: row.resolved_by ?? undefined,
  notes: row.notes ?? undefined,
  awaitedBy: row.awaited_by ?? undefined,
  version: row.version,
});

/** The effect as `store_effects` reads it. */
export const elementOf = ({ dispatchedBy, ...effect }: Effect): object => ({ ...effect, ...dispatchedBy });
