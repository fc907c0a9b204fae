import { hash } from 'node:crypto';
import { isTerminal } from '@hivekeeper/contract';
import type { DeadTicket, LeaseClaim, RunCommit } from '../../flow/runs/index.ts';

/** What one call of `commit_runs` stores. */
export interface CommitBatch {
  readonly runs: readonly RunCommit[];
  readonly leases: readonly LeaseClaim[];
  readonly leaseMs: number;
}

interface Column {
  readonly name: string;
  readonly type: string;
  /** The column's values, one per row of its group; null stands for absent. */
  readonly of: (batch: CommitBatch) => unknown;
}

type ColumnsOf<Row> = Readonly<Record<string, readonly [type: string, of: (row: Row) => unknown]>>;

/** Columns of one group: the rows it has, and per column how a row gives its value. */
function group<Row>(prefix: string, rowsOf: (batch: CommitBatch) => readonly Row[], columns: ColumnsOf<Row>): Column[] {
  return Object.entries(columns).map(([name, [type, of]]) => ({
    name: `${prefix}_${name}`,
    type: `${type}[]`,
    of: (batch) => rowsOf(batch).map((row) => of(row) ?? null),
  }));
}

const json = (value: unknown): string | null => (value === undefined ? null : JSON.stringify(value));
const perRun =
  <Part>(of: (run: RunCommit) => readonly Part[]) =>
  (batch: CommitBatch) =>
    batch.runs.flatMap((run) => of(run).map((part) => ({ run, part })));

/** What commit_rare in migrations/0017_attempt_costs.sql does; null, as nearly always, where there is nothing. */
function rareOf({ runs }: CommitBatch): string | null {
  const groups = {
    held: runs.flatMap(({ runId, holding }) => (holding === undefined ? [] : [{ run_id: runId, is_held: holding === 'hold' }])),
    ranked: runs.flatMap(({ runId, rankShiftMs }) => (rankShiftMs === 0 ? [] : [{ run_id: runId, shift_ms: rankShiftMs }])),
    forgotten: runs.flatMap(({ runId, forgotten }) => forgotten.map((slotAt) => ({ run_id: runId, slot_at: slotAt }))),
    awaited: runs.flatMap(({ runId, tenantId, awaited }) =>
      awaited.map(({ slotAt, name, key }) => ({ run_id: runId, slot_at: slotAt, tenant_id: tenantId, name, key })),
    ),
    dead: runs.flatMap(({ runId, tenantId, atMs, dead }) => dead.map((ticket) => deadRow(ticket, { runId, tenantId, atMs }))),
    costs: runs.flatMap(({ costs }) => costs.map(({ ticketId, microUsd }) => ({ ticket_id: ticketId, micro_usd: microUsd }))),
    turns: runs.flatMap(turnRow),
    turned_away: runs.flatMap(({ runId, turn }) => (turn === 'ended' ? [{ run_id: runId }] : [])),
  };
  const rare = Object.fromEntries(Object.entries(groups).filter(([, rows]) => rows.length > 0));
  return Object.keys(rare).length === 0 ? null : JSON.stringify(rare);
}

const deadRow = (ticket: DeadTicket, { runId, tenantId, atMs }: Pick<RunCommit, 'runId' | 'tenantId' | 'atMs'>) => ({
  ticket_id: ticket.ticketId,
  tenant_id: tenantId,
  run_id: runId,
  node_id: ticket.nodeId,
  slot: ticket.slot,
  attempt: ticket.attempt,
  agent: ticket.agent,
  action: ticket.action,
  input: ticket.input,
  error: ticket.error,
  at_ms: atMs,
});

function turnRow({ runId, tenantId, turn }: RunCommit) {
  if (turn === undefined || turn === 'ended') return [];
  const { key, limit, overlap, priority, isPaused } = turn;
  return [{ run_id: runId, tenant_id: tenantId, key, most: limit, overlap, priority, is_paused: isPaused }];
}

/** What the run's row says about where it stands. */
const standing: ColumnsOf<{ readonly run: RunCommit }> = {
  status: ['text', ({ run }) => run.status],
  finished_at_ms: ['double precision', ({ run }) => (isTerminal(run.status) ? run.atMs : undefined)],
  wake_at_ms: ['double precision', ({ run }) => run.wakeAtMs],
  error: ['json', ({ run }) => json(run.error)],
};

const leaseColumns: ColumnsOf<LeaseClaim> = { id: ['text', (lease) => lease.ticketId], worker: ['text', (lease) => lease.workerId] };

// The order and the names are those of the function's parameters in migrations/0006_limits.sql.
const columns: readonly Column[] = [
  ...group('n', (batch) => batch.runs.flatMap((run) => (run.origin === undefined ? [] : [{ run, origin: run.origin }])), {
    id: ['text', ({ run }) => run.runId],
    tenant: ['text', ({ run }) => run.tenantId],
    workflow: ['text', ({ origin }) => origin.workflowId],
    workflow_version: ['integer', ({ origin }) => origin.workflowVersion],
    trigger: ['text', ({ origin }) => origin.trigger],
    origin_run: ['text', ({ origin }) => origin.originRunId],
    route: ['text', ({ origin }) => origin.idempotency?.route],
    key: ['text', ({ origin }) => origin.idempotency?.key],
    body_sha256: ['text', ({ origin }) => origin.idempotency?.bodySha256],
    ...standing,
  }),
  ...group('h', (batch) => batch.runs.flatMap((run) => (run.origin === undefined && run.hasNewStanding ? [{ run }] : [])), {
    id: ['text', ({ run }) => run.runId],
    ...standing,
  }),
  ...group('r', (batch) => batch.runs, {
    id: ['text', (run) => run.runId],
    tenant: ['text', (run) => run.tenantId],
    version: ['integer', (run) => run.version],
    at_ms: ['double precision', (run) => run.atMs],
    events: ['json', (run) => JSON.stringify(run.events)],
    blocker: ['json', (run) => json(run.blocker)],
    actor: ['text', (run) => run.actor],
    action: ['text', (run) => run.action],
  }),
  ...group(
    's',
    perRun((run) => run.settled),
    {
      id: ['text', ({ part }) => part.ticketId],
      worker: ['text', ({ part }) => part.workerId],
      token: ['bigint', ({ part }) => part.counter],
    },
  ),
  ...group(
    'v',
    perRun((run) => run.revoked),
    { id: ['text', ({ part }) => part] },
  ),
  ...group(
    't',
    perRun((run) => run.issued),
    {
      id: ['text', ({ part }) => part.ticketId],
      tenant: ['text', ({ run }) => run.tenantId],
      run: ['text', ({ run }) => run.runId],
      node: ['text', ({ part }) => part.nodeId],
      slot: ['integer', ({ part }) => part.slot],
      attempt: ['integer', ({ part }) => part.attempt],
      agent: ['text', ({ part }) => part.agent],
      action: ['text', ({ part }) => part.action],
      input: ['json', ({ part }) => JSON.stringify(part.input)],
      memo: ['json', ({ part }) => (part.memo.length === 0 ? null : JSON.stringify(part.memo))],
      is_held: ['boolean', ({ part }) => part.isHeld],
      timeout_ms: ['bigint', ({ part }) => part.timeoutMs],
      requirement: ['text', ({ part }) => part.requirement],
      throttles: ['json', ({ part }) => json(part.throttles)],
      rank_ms: ['double precision', ({ part }) => part.rankMs],
      worker: ['text', ({ part }) => part.workerId],
    },
  ),
  ...group('l', (batch) => batch.leases.filter(({ isThrottled }) => !isThrottled), leaseColumns),
  ...group('q', (batch) => batch.leases.filter(({ isThrottled }) => isThrottled), leaseColumns),
  { name: 'lease_ms', type: 'integer', of: (batch) => batch.leaseMs },
  ...group(
    'a',
    perRun((run) => run.asked),
    {
      id: ['text', ({ part }) => part.id],
      tenant: ['text', ({ run }) => run.tenantId],
      run: ['text', ({ run }) => run.runId],
      node: ['text', ({ part }) => part.nodeId],
      agent: ['text', ({ part }) => part.agent],
      action: ['text', ({ part }) => part.action],
      message: ['text', ({ part }) => part.message],
      input: ['json', ({ part }) => JSON.stringify(part.input)],
      input_sha256: ['text', ({ part }) => hash('sha256', JSON.stringify(part.input))],
      at_ms: ['double precision', ({ run }) => run.atMs],
      expires_at_ms: ['double precision', ({ part }) => part.expiresAtMs],
      exclude_requester: ['boolean', ({ part }) => part.excludeRequester],
    },
  ),
  ...group(
    'c',
    perRun((run) => run.closed),
    {
      id: ['text', ({ part }) => part.id],
      status: ['text', ({ part }) => part.status],
      at_ms: ['double precision', ({ run }) => run.atMs],
      by: ['text', ({ part }) => part.by],
      notes: ['text', ({ part }) => part.notes],
    },
  ),
  { name: 'rare', type: 'json', of: rareOf },
];

/** The one statement of the hot path, and its parameters: a column each, so that a batch of any size is the same prepared statement. */
export const commitColumns = {
  query: `SELECT * FROM commit_runs(${columns.map(({ name, type }, index) => `${name} => $${index + 1}::${type}`).join(', ')})`,
  values: (batch: CommitBatch) => columns.map((column) => column.of(batch)) as never[],
};
