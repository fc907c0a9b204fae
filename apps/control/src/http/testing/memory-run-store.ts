import { createHash } from 'node:crypto';
import { type ApprovalView, HiveError, isTerminal, type RunId, type TenantId, type TicketId, type WorkerId } from '@hivekeeper/contract';
import type { CommitResult, RunCommit, RunSelection, RunStore, StoredRun } from '../../flow/runs/index.ts';
import type { IssuedTicket } from '../../flow/tickets/index.ts';
import type { MemoryTables, RunRow } from './memory-tables.ts';

/** {@link RunStore} over the tables. */
export function memoryRunStore(tables: MemoryTables): RunStore {
  const visible = (tenantId: TenantId) =>
    [...tables.runs.values()]
      .filter((run) => run.tenantId === tenantId)
      .map(({ summary }) => summary)
      .reverse();
  return {
    commit: async (batch) => commit(tables, batch),
    load: async (runId) => storedRunOf(tables, runId),
    commitsAfter: async (runs) =>
      runs.flatMap(({ runId, version }) =>
        (tables.runs.get(runId)?.commits ?? []).slice(version).map((events, index) => ({ runId, version: version + index + 1, events })),
      ),
    due: async () => ({ runIds: [] }),
    findByKey: async (tenantId, route, key) => tables.idempotency.get(JSON.stringify([tenantId, route, key])),
    summary: async (tenantId, runId) => visible(tenantId).find(({ id }) => id === runId),
    list: async (tenantId, { workflow, workflowId, status, before, limit }) =>
      visible(tenantId)
        .filter(
          (run) =>
            (workflow ?? run.workflowName) === run.workflowName &&
            (workflowId ?? run.workflowId) === run.workflowId &&
            (status ?? run.status) === run.status &&
            (before === undefined || run.id < before),
        )
        .slice(0, limit)
        .map(({ blocker: _, ...run }) => run),
    select: async (tenantId, selection, most) => {
      const runIds = visible(tenantId)
        .filter((run) => isSelected(run, selection, visible(tenantId)))
        .map(({ id }) => id)
        .reverse();
      return { count: runIds.length, runIds: runIds.slice(0, most) };
    },
    approvals: async (tenantId, { status, runId }) =>
      [...tables.approvals.values()]
        .filter(
          (approval) =>
            approval.tenantId === tenantId &&
            (status ?? approval.status) === approval.status &&
            (runId ?? approval.runId) === approval.runId,
        )
        .map(withoutTenant)
        .reverse(),
    approval: async (tenantId, approvalId) => {
      const approval = tables.approvals.get(approvalId);
      return approval?.tenantId === tenantId ? withoutTenant(approval) : undefined;
    },
  };
}

function isSelected(run: RunRow['summary'], selection: RunSelection, all: readonly RunRow['summary'][]): boolean {
  const { workflow = run.workflowName, statuses, isPaused, isUnretried, createdBeforeMs = Infinity, createdAfterMs = 0 } = selection;
  return (
    workflow === run.workflowName &&
    statuses.includes(run.status) &&
    (isPaused === undefined || isPaused === (run.blocker?.kind === 'paused')) &&
    (isUnretried !== true || !all.some(({ originRunId, trigger }) => originRunId === run.id && trigger === 'retry')) &&
    run.createdAtMs < createdBeforeMs &&
    run.createdAtMs >= createdAfterMs
  );
}

function commit(tables: MemoryTables, { runs, leases }: Parameters<RunStore['commit']>[0]): CommitResult {
  const refusal = refusalOf(tables, runs);
  if (refusal !== undefined) return refusal;
  const counters = new Map<TicketId, string>();
  const lease = (ticket: IssuedTicket, workerId: WorkerId) => {
    const token = tables.nextCounter();
    tables.tickets.set(ticket.ticketId, { ...ticket, workerId, token, leasedAtMs: tables.nowMs() });
    counters.set(ticket.ticketId, token);
  };
  for (const run of runs) {
    storeRun(tables, run);
    for (const { workerId, ...ticket } of run.issued) {
      if (workerId === undefined) tables.tickets.set(ticket.ticketId, { ...ticket, token: '', leasedAtMs: 0 });
      else lease(ticket, workerId);
    }
  }
  for (const { ticketId, workerId } of leases) {
    const ticket = tables.tickets.get(ticketId);
    if (ticket !== undefined && ticket.workerId === undefined) lease(ticket, workerId);
  }
  return { stored: true, counters, refusals: new Map() };
}

function withoutTenant({ tenantId: _, ...approval }: ApprovalView & { tenantId: TenantId }): ApprovalView {
  return approval;
}

function refusalOf(tables: MemoryTables, runs: readonly RunCommit[]): CommitResult | undefined {
  const moved = runs.filter((run) => (tables.runs.get(run.runId)?.version ?? 0) !== run.version - 1);
  if (moved.length > 0) return { stored: false, reason: 'moved-on', runIds: new Set(moved.map(({ runId }) => runId)) };
  const strange = runs
    .flatMap(({ settled }) => settled)
    .filter(
      ({ ticketId, counter, workerId }) =>
        tables.tickets.get(ticketId)?.token !== counter || tables.tickets.get(ticketId)?.workerId !== workerId,
    );
  if (strange.length > 0) return { stored: false, reason: 'not-held', ticketIds: new Set(strange.map(({ ticketId }) => ticketId)) };
  const keys = runs.map(keyOf);
  const taken = runs.filter(
    (_, index) => keys[index] !== undefined && (tables.idempotency.has(keys[index]) || keys.indexOf(keys[index]) < index),
  );
  return taken.length === 0 ? undefined : { stored: false, reason: 'key-taken', runIds: new Set(taken.map(({ runId }) => runId)) };
}

const keyOf = ({ tenantId, origin }: RunCommit): string | undefined =>
  origin?.idempotency === undefined ? undefined : JSON.stringify([tenantId, origin.idempotency.route, origin.idempotency.key]);

function storeRun(tables: MemoryTables, run: RunCommit): void {
  const before = tables.runs.get(run.runId);
  tables.runs.set(run.runId, {
    tenantId: run.tenantId,
    version: run.version,
    commits: [...(before?.commits ?? []), run.events],
    summary: summaryOf(tables, run, before?.summary),
  });
  const key = keyOf(run);
  if (key !== undefined && run.origin?.idempotency !== undefined)
    tables.idempotency.set(key, { runId: run.runId, bodySha256: run.origin.idempotency.bodySha256 });
  storeTickets(tables, run);
  storeApprovals(tables, run);
}

function storeTickets(tables: MemoryTables, run: RunCommit): void {
  for (const { ticketId } of run.settled) tables.tickets.delete(ticketId);
  for (const ticketId of run.revoked) tables.tickets.delete(ticketId);
  if (run.holding !== undefined || run.rankShiftMs !== 0) {
    for (const ticket of [...tables.tickets.values()].filter(({ runId }) => runId === run.runId)) {
      const isHeld = run.holding === undefined ? ticket.isHeld : run.holding === 'hold';
      tables.tickets.set(ticket.ticketId, { ...ticket, isHeld, rankMs: ticket.rankMs + run.rankShiftMs });
    }
  }
  for (const dead of run.dead) {
    const { workflowName } = tables.runs.get(run.runId)?.summary ?? { workflowName: '' };
    const { ticketId, nodeId, slot, attempt, agent, action, input, error } = dead;
    tables.dead.set(ticketId, {
      ...{ ticketId, nodeId, slot, attempt, agent, input, error },
      ...defined({ action }),
      tenantId: run.tenantId,
      runId: run.runId,
      workflowName,
      diedAtMs: run.atMs,
    });
  }
}

function storeApprovals(tables: MemoryTables, run: RunCommit): void {
  for (const asked of run.asked) tables.approvals.set(asked.id, approvalOf(tables, run, asked));
  for (const { id, status, by, notes } of run.closed) {
    const asked = tables.approvals.get(id);
    if (asked !== undefined)
      tables.approvals.set(id, { ...asked, status, respondedAtMs: run.atMs, ...defined({ respondedBy: by, notes }) });
  }
}

function approvalOf(
  tables: MemoryTables,
  { runId, tenantId, atMs }: RunCommit,
  asked: RunCommit['asked'][number],
): ApprovalView & { tenantId: TenantId } {
  const { id, nodeId, agent, input, expiresAtMs, excludeRequester, action, message } = asked;
  const workflowName = tables.runs.get(runId)?.summary.workflowName ?? '';
  const inputSha256 = createHash('sha256').update(JSON.stringify(input)).digest('hex');
  return {
    id,
    runId,
    tenantId,
    nodeId,
    agent,
    workflowName,
    input,
    inputSha256,
    status: 'PENDING',
    requestedAtMs: atMs,
    expiresAtMs,
    excludeRequester,
    ...defined({ action, message }),
  };
}

function summaryOf(tables: MemoryTables, run: RunCommit, before: RunRow['summary'] | undefined): RunRow['summary'] {
  const { status, error, blocker, atMs } = run;
  const origin = before ?? run.origin;
  if (origin === undefined) throw new HiveError('INTERNAL', 'the first commit of a run names its origin');
  const { workflowId, workflowVersion, trigger, originRunId } = origin;
  const createdAtMs = before?.createdAtMs ?? atMs;
  const workflowName = tables.workflows.get(workflowId)?.head.name ?? before?.workflowName ?? '';
  const end = isTerminal(status) ? { finishedAtMs: atMs, durationMs: atMs - createdAtMs } : {};
  return {
    id: run.runId,
    workflowId,
    workflowName,
    workflowVersion,
    trigger,
    status,
    createdAtMs,
    startedAtMs: createdAtMs,
    blocker,
    ...end,
    ...defined({ error, originRunId }),
  };
}

type Defined<T> = { [Key in keyof T]?: Exclude<T[Key], undefined> };
const defined = <T extends object>(value: T): Defined<T> =>
  Object.fromEntries(Object.entries(value).filter(([, item]) => item !== undefined)) as Defined<T>;

function storedRunOf(tables: MemoryTables, runId: RunId): StoredRun | undefined {
  const run = tables.runs.get(runId);
  const definition =
    run === undefined ? undefined : tables.workflows.get(run.summary.workflowId)?.versions[run.summary.workflowVersion - 1]?.definition;
  if (run === undefined || definition === undefined) return undefined;
  const { workflowId, workflowVersion } = run.summary;
  return { runId, tenantId: run.tenantId, version: run.version, workflowId, workflowVersion, definition, commits: run.commits };
}
