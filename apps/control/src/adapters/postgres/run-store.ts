import {
  type ApprovalId,
  type ApprovalView,
  type Blocker,
  type Failure,
  HiveError,
  type RunEvent,
  type RunId,
  type RunStatus,
  type RunSummary,
  type TenantId,
  type TicketId,
  type WorkflowDefinition,
  type WorkflowId,
} from '@hivekeeper/contract';
import type { CommitResult, JournalRow, RunCommit, RunFilter, RunStore, StoredRun } from '../../flow/runs/index.ts';
import type { LeaseRefusal } from '../../flow/tickets/index.ts';
import { commitColumns } from './commit-columns.ts';
import { isTransient, isUniqueViolation } from './connection-errors.ts';
import { type Pool, type Sql, withTenant } from './connection.ts';
import { selectRuns } from './run-selection.ts';

interface RunRow {
  readonly id: RunId;
  readonly workflow_id: WorkflowId;
  readonly workflow_name: string;
  readonly workflow_version: number;
  readonly status: RunStatus;
  readonly trigger: string;
  readonly created_at: Date;
  readonly finished_at: Date | null;
  readonly error: Failure | null;
  readonly origin_run_id: RunId | null;
}

interface LeaseRow {
  readonly ticket_id: TicketId;
  readonly ticket_token: string | null;
  readonly full_key: string | null;
  readonly room_in_ms: number | null;
}

interface ApprovalRow {
  readonly id: ApprovalId;
  readonly run_id: RunId;
  readonly node_id: string;
  readonly workflow_name: string;
  readonly agent: string;
  readonly action: string | null;
  readonly status: ApprovalView['status'];
  readonly message: string | null;
  readonly input: ApprovalView['input'];
  readonly input_sha256: string;
  readonly requested_at: Date;
  readonly expires_at: Date;
  readonly exclude_requester: boolean;
  readonly responded_at: Date | null;
  readonly responded_by: string | null;
  readonly notes: string | null;
}

type EngineCalls = Pick<RunStore, 'commit' | 'load' | 'commitsAfter' | 'due'>;

/** Runs in PostgreSQL: the engine's own pool for commits and folds, the request pool, confined to a tenant, for reads. */
export const postgresRunStore = (engine: Pool, requests: Pool): RunStore => ({ ...engineCalls(engine), ...requestCalls(requests) });

const engineCalls = (engine: Pool): EngineCalls => ({
  async commit({ runs, leases, leaseMs }) {
    try {
      const rows = await engine.unsafe<LeaseRow[]>(commitColumns.query, commitColumns.values({ runs, leases, leaseMs }), { prepare: true });
      const counters = new Map<TicketId, string>();
      const refusals = new Map<TicketId, LeaseRefusal>();
      for (const { ticket_id, ticket_token, full_key, room_in_ms } of rows) {
        if (ticket_token !== null) counters.set(ticket_id, String(ticket_token));
        else if (full_key !== null) refusals.set(ticket_id, { key: full_key, roomInMs: room_in_ms ?? undefined });
      }
      return { stored: true, counters, refusals };
    } catch (error) {
      return refusalOf(error, runs);
    }
  },

  async load(runId) {
    const [head] = await engine<
      { tenant_id: TenantId; workflow_id: WorkflowId; workflow_version: number; definition: WorkflowDefinition }[]
    >`
      SELECT r.tenant_id, r.workflow_id, r.workflow_version, v.definition
      FROM runs r JOIN workflow_versions v ON v.workflow_id = r.workflow_id AND v.version = r.workflow_version
      WHERE r.id = ${runId}`;
    if (head === undefined) return undefined;
    const journal = await engine<{ events: RunEvent[] }[]>`SELECT events FROM run_journal WHERE run_id = ${runId} ORDER BY version`;
    return {
      runId,
      tenantId: head.tenant_id,
      version: journal.length,
      workflowId: head.workflow_id,
      workflowVersion: head.workflow_version,
      definition: head.definition,
      commits: journal.map((row) => row.events),
    } satisfies StoredRun;
  },

  async commitsAfter(runs) {
    const rows = await engine<{ run_id: RunId; version: number; events: RunEvent[] }[]>`
      SELECT j.run_id, j.version, j.events
      FROM unnest(${runs.map(({ runId }) => runId)}::text[], ${runs.map(({ version }) => version)}::integer[]) AS told (run_id, version)
      JOIN run_journal j ON j.run_id = told.run_id AND j.version > told.version ORDER BY j.run_id, j.version`;
    return rows.map(({ run_id, version, events }): JournalRow => ({ runId: run_id, version, events }));
  },

  async due(nowMs, most) {
    const rows = await engine<{ id: RunId; is_due: boolean; wake_at: Date }[]>`
      SELECT id, wake_at <= ${new Date(nowMs)} AS is_due, wake_at FROM runs WHERE wake_at IS NOT NULL ORDER BY wake_at LIMIT ${most + 1}`;
    const runIds = rows.filter((row) => row.is_due).map((row) => row.id);
    return { runIds: runIds.slice(0, most), nextAtMs: rows[Math.min(runIds.length, most)]?.wake_at.getTime() };
  },
});

const requestCalls = (requests: Pool): Omit<RunStore, keyof EngineCalls> => ({
  findByKey: (tenantId, route, key) =>
    withTenant(requests, tenantId, async (sql) => {
      const [row] = await sql<{ run_id: RunId; body_sha256: string }[]>`
        SELECT run_id, body_sha256 FROM idempotency_keys WHERE tenant_id = ${tenantId} AND route = ${route} AND key = ${key}`;
      return row === undefined ? undefined : { runId: row.run_id, bodySha256: row.body_sha256 };
    }),

  summary: (tenantId, runId) =>
    withTenant(requests, tenantId, async (sql) => {
      const [row] = await sql<(RunRow & { readonly blocker: Blocker | null })[]>`
        SELECT r.*, w.name AS workflow_name,
          (SELECT j.blocker FROM run_journal j WHERE j.run_id = r.id ORDER BY j.version DESC LIMIT 1) AS blocker
        FROM runs r JOIN workflows w ON w.id = r.workflow_id WHERE r.tenant_id = ${tenantId} AND r.id = ${runId}`;
      return row === undefined ? undefined : { ...summaryOf(row), blocker: row.blocker ?? undefined };
    }),

  list: (tenantId, filter) => withTenant(requests, tenantId, (sql) => list(sql, tenantId, filter)),

  select: (tenantId, selection, most) => withTenant(requests, tenantId, (sql) => selectRuns(sql, tenantId, { selection, most })),

  approvals: (tenantId, { status, runId }) =>
    withTenant(requests, tenantId, async (sql) => {
      const rows = await sql<ApprovalRow[]>`
        SELECT a.*, w.name AS workflow_name FROM approvals a JOIN runs r ON r.id = a.run_id JOIN workflows w ON w.id = r.workflow_id
        WHERE a.tenant_id = ${tenantId}
          ${status === undefined ? sql`` : sql`AND a.status = ${status}`}
          ${runId === undefined ? sql`` : sql`AND a.run_id = ${runId}`}
        ORDER BY a.id DESC LIMIT 200`;
      return rows.map(approvalOf);
    }),

  approval: (tenantId, approvalId) =>
    withTenant(requests, tenantId, async (sql) => {
      const [row] = await sql<ApprovalRow[]>`
        SELECT a.*, w.name AS workflow_name FROM approvals a JOIN runs r ON r.id = a.run_id JOIN workflows w ON w.id = r.workflow_id
        WHERE a.tenant_id = ${tenantId} AND a.id = ${approvalId}`;
      return row === undefined ? undefined : approvalOf(row);
    }),
});

async function list(sql: Sql, tenantId: TenantId, { workflow, workflowId, status, before, limit }: RunFilter): Promise<RunSummary[]> {
  const rows = await sql<RunRow[]>`
    SELECT r.*, w.name AS workflow_name FROM runs r JOIN workflows w ON w.id = r.workflow_id
    WHERE r.tenant_id = ${tenantId}
      ${workflow === undefined ? sql`` : sql`AND w.name = ${workflow}`}
      ${workflowId === undefined ? sql`` : sql`AND r.workflow_id = ${workflowId}`}
      ${status === undefined ? sql`` : sql`AND r.status = ${status}`}
      ${before === undefined ? sql`` : sql`AND r.id < ${before}`}
    ORDER BY r.id DESC LIMIT ${limit}`;
  return rows.map(summaryOf);
}

/** The database's own refusals become values; anything else is thrown on. */
function refusalOf(error: unknown, runs: readonly RunCommit[]): CommitResult {
  const { code, constraint, detail } = error as { readonly code?: string; readonly constraint?: string; readonly detail?: string };
  const ids = (detail ?? '').split(',');
  // Which of them it was is not told: row security keeps the key out of the message.
  if (isUniqueViolation(error) && constraint === 'run_journal_pkey')
    return { stored: false, reason: 'moved-on', runIds: new Set(runs.map(({ runId }) => runId)) };
  if (code === 'HV002') return { stored: false, reason: 'not-held', ticketIds: new Set(ids as TicketId[]) };
  if (code === 'HV003') return { stored: false, reason: 'key-taken', runIds: new Set(ids as RunId[]) };
  if (isTransient(error)) throw new HiveError('DATABASE_UNAVAILABLE', 'a commit met a fault that may pass', { cause: error });
  throw error;
}

function summaryOf(row: RunRow): RunSummary {
  const createdAtMs = row.created_at.getTime();
  // One that ends as it begins was judged a moment before the database wrote down when it began.
  const finishedAtMs = row.finished_at === null ? undefined : Math.max(createdAtMs, row.finished_at.getTime());
  return {
    id: row.id,
    workflowId: row.workflow_id,
    workflowName: row.workflow_name,
    workflowVersion: row.workflow_version,
    status: row.status,
    trigger: row.trigger,
    createdAtMs,
    ...(row.status !== 'PENDING' && { startedAtMs: createdAtMs }),
    ...(finishedAtMs !== undefined && { finishedAtMs, durationMs: finishedAtMs - createdAtMs }),
    ...(row.error !== null && { error: row.error }),
    ...(row.origin_run_id !== null && { originRunId: row.origin_run_id }),
  };
}

function approvalOf(row: ApprovalRow): ApprovalView {
  return {
    id: row.id,
    runId: row.run_id,
    nodeId: row.node_id,
    workflowName: row.workflow_name,
    agent: row.agent,
    status: row.status,
    input: row.input,
    inputSha256: row.input_sha256,
    requestedAtMs: row.requested_at.getTime(),
    expiresAtMs: row.expires_at.getTime(),
    excludeRequester: row.exclude_requester,
    ...(row.action !== null && { action: row.action }),
    ...(row.message !== null && { message: row.message }),
    ...(row.responded_at !== null && { respondedAtMs: row.responded_at.getTime() }),
    ...(row.responded_by !== null && { respondedBy: row.responded_by }),
    ...(row.notes !== null && { notes: row.notes }),
  };
}
