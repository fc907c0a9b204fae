import {
  type ApprovalId,
  HiveError,
  type JsonObject,
  type NodeDefinition,
  type Outcome,
  type RunId,
  type RunView,
  type SettleRequest,
  type TenantId,
  type WorkflowDefinition,
  type WorkflowId,
  isTerminal,
  riskLevelOf,
  runIdOfApproval,
  runIdOfTicket,
} from '@hivekeeper/contract';
import type { Clock } from '@hivekeeper/kernel';
import type { FindAgent, Lease, TicketDesk, TicketStore } from '../tickets/index.ts';
import { decide, nodeViewsOf, runStatusOf } from './core/index.ts';
import type { RunLane } from './lane.ts';
import type { LiveRuns } from './live-runs.ts';
import { isAfter, numberNotices, type NoticeBoard, type NumberedNotice } from './notices.ts';
import type { RunOrigin, RunStore, StoredRun } from './run-store.ts';

/** What {@link Runs} needs. */
export interface RunsOptions {
  readonly store: RunStore;
  readonly tickets: TicketStore;
  readonly desk: TicketDesk;
  readonly runs: LiveRuns;
  readonly lane: RunLane;
  readonly board: NoticeBoard;
  readonly clock: Clock;
  readonly newRunId: () => RunId;
  readonly findAgent: FindAgent;
}

/** A run to be started. */
export interface NewRun extends RunOrigin {
  readonly tenantId: TenantId;
  readonly workflowId: WorkflowId;
  readonly definition: WorkflowDefinition;
  readonly context: JsonObject;
  /** Who started it. */
  readonly by: string;
}

/** Everything that may be done to runs. Each call returns once its effect is stored. */
export class Runs {
  readonly #options: RunsOptions;

  constructor(options: RunsOptions) {
    this.#options = options;
  }

  /** Starts a run. @throws HiveError IDEMPOTENCY_KEY_REUSED where its key is taken: look the run up by the key. */
  async start(run: NewRun): Promise<RunId> {
    const runId = this.#options.newRunId();
    const live = this.#options.runs.begin({ ...run, runId });
    const gatedNodeIds = run.definition.nodes.filter((node) => this.#asksFirst(run.tenantId, node)).map((node) => node.id);
    await this.#options.lane.submit({
      runId,
      begin: { live, origin: run },
      actor: run.by,
      judge: (_state, atMs) => ({
        type: 'run.created',
        atMs,
        context: run.context,
        ...(run.definition.timeoutMs !== undefined && { deadlineAtMs: atMs + run.definition.timeoutMs }),
        ...(gatedNodeIds.length > 0 && { gatedNodeIds }),
      }),
    });
    return runId;
  }

  /** Records what an attempt came to. Idempotent per ticket and token. @throws HiveError TICKET_NOT_HELD for any other token. */
  async settle({ workerId, ticketId, token, outcome }: SettleRequest & { readonly outcome: Outcome }): Promise<void> {
    const { desk, lane } = this.#options;
    const counter = desk.counterOf(token);
    if (counter === undefined) throw new HiveError('TICKET_NOT_HELD', 'the token is from before a restore');
    const lease = desk.leaseOf(ticketId);
    await lane.submit({
      runId: runIdOfTicket(ticketId),
      actor: `worker:${workerId}`,
      settles: { ticketId, workerId, counter },
      judge: (_state, atMs) => ({
        type: 'ticket.settled',
        atMs,
        ticketId,
        outcome,
        token,
        workerId,
        ...(lease?.token === token && { leasedAtMs: lease.leasedAtMs }),
      }),
      isRecorded: (run) =>
        run.commits.some((events) =>
          events.some(
            (event) =>
              event.type === 'ticket.settled' && event.ticketId === ticketId && event.token === token && event.workerId === workerId,
          ),
        ),
    });
  }

  /** Gives up a lease that ran out. Does nothing where the ticket was settled meanwhile. */
  async lose({ ticketId, token, runId, workerId }: Lease): Promise<void> {
    const counter = this.#options.desk.counterOf(token);
    if (counter === undefined) return;
    await this.#options.lane.submit({
      runId,
      actor: 'platform',
      settles: { ticketId, workerId, counter },
      judge: (_state, atMs) => ({ type: 'ticket.lost', atMs, ticketId, workerId }),
      isRecorded: () => true,
    });
  }

  /** Lets a run notice that a due time has come. */
  async wake(runId: RunId): Promise<void> {
    await this.#options.lane.submit({
      runId,
      actor: 'platform',
      judge: (state, atMs) => (isTerminal(runStatusOf(state)) ? undefined : { type: 'run.woken', atMs }),
    });
  }

  /** Cancels a run: terminal at once. Idempotent. @throws HiveError NOT_FOUND, RUN_FINISHED. */
  async cancel({
    tenantId,
    runId,
    by,
    reason,
  }: {
    tenantId: TenantId;
    runId: RunId;
    by: string;
    reason?: string | undefined;
  }): Promise<void> {
    await this.#mustExist(tenantId, runId);
    await this.#options.lane.submit({
      runId,
      actor: by,
      judge: (state, atMs) => {
        const status = runStatusOf(state);
        if (status === 'CANCELLED') return undefined;
        if (isTerminal(status)) throw new HiveError('RUN_FINISHED', `the run is ${status}`);
        return { type: 'run.cancelled', atMs, by, ...(reason !== undefined && { reason }) };
      },
    });
  }

  /** Decides an approval. @throws HiveError NOT_FOUND, APPROVAL_ALREADY_DECIDED. */
  async decideApproval(decision: {
    tenantId: TenantId;
    approvalId: ApprovalId;
    approved: boolean;
    by: string;
    notes?: string | undefined;
  }): Promise<void> {
    const { tenantId, approvalId, approved, by, notes } = decision;
    const approval = await this.#options.store.approval(tenantId, approvalId);
    if (approval === undefined) throw new HiveError('NOT_FOUND', `there is no approval ${approvalId}`);
    await this.#options.lane.submit({
      runId: runIdOfApproval(approvalId),
      actor: by,
      judge: (state, atMs) => {
        const isPending = state.approvals.some((asked) => asked.approvalId === approvalId && asked.isPending);
        if (!isPending)
          throw new HiveError(
            'APPROVAL_ALREADY_DECIDED',
            `the approval is ${approval.status === 'PENDING' ? 'no longer pending' : approval.status}`,
          );
        return { type: 'approval.decided', atMs, approvalId, approved, by, ...(notes !== undefined && { notes }) };
      },
    });
  }

  /** A run with its nodes and attempts. @throws HiveError NOT_FOUND. */
  async view(tenantId: TenantId, runId: RunId): Promise<RunView> {
    const summary = await this.#mustExist(tenantId, runId);
    const [stored, live] = await Promise.all([this.#options.store.load(runId), this.#options.tickets.ofRun(runId)]);
    if (stored === undefined) throw new HiveError('NOT_FOUND', `there is no run ${runId}`);
    const run = this.#options.runs.fold(stored);
    const liveById = new Map(live.map((ticket) => [ticket.ticketId, ticket]));
    const nodes = nodeViewsOf(run.state, run.rules.plan).map((node) => ({
      ...node,
      attempts: node.attempts.map((attempt) => {
        const ticket = liveById.get(attempt.ticketId);
        if (ticket?.workerId === undefined) return attempt;
        const { workerId, leasedAtMs, progress } = ticket;
        return {
          ...attempt,
          status: 'RUNNING' as const,
          workerId,
          ...(leasedAtMs !== undefined && { leasedAtMs }),
          ...(progress !== undefined && progress !== null && { progress }),
        };
      }),
    }));
    const { blocker, ...rest } = summary;
    return { ...rest, context: contextOf(stored), nodes, ...(blocker !== undefined && { blocker }) };
  }

  /** Every notice after `lastId`, oldest first, from the journal; then, through `onMore`, what is committed from now on. */
  async notices(watch: {
    tenantId: TenantId;
    runId: RunId;
    lastId?: string | undefined;
    onMore: (notices: readonly NumberedNotice[]) => void;
  }): Promise<{ past: NumberedNotice[]; stop: () => void }> {
    await this.#mustExist(watch.tenantId, watch.runId);
    // Watch first, read second: what is committed in between comes twice, and the second copy is dropped by its number.
    const early: NumberedNotice[] = [];
    let tell = (notices: readonly NumberedNotice[]): void => {
      early.push(...notices);
    };
    const stop = this.#options.board.watch(watch.runId, (notices) => tell(notices));
    const all = await this.#recorded(watch.runId).catch((error: unknown) => {
      stop();
      throw error;
    });
    const past = all.filter(({ id }) => watch.lastId === undefined || isAfter(id, watch.lastId));
    const last = past.at(-1)?.id ?? watch.lastId ?? '0.0';
    past.push(...early.filter(({ id }) => isAfter(id, last)));
    tell = watch.onMore;
    return { past, stop };
  }

  #asksFirst(tenantId: TenantId, { agent, action }: NodeDefinition): boolean {
    const spec = this.#options.findAgent(tenantId, agent);
    return spec !== undefined && riskLevelOf(spec, action) === 'APPROVAL_REQUIRED';
  }

  async #recorded(runId: RunId): Promise<NumberedNotice[]> {
    const stored = await this.#options.store.load(runId);
    return stored === undefined ? [] : this.#replay(stored);
  }

  #replay(stored: StoredRun): NumberedNotice[] {
    let run = this.#options.runs.begin(stored);
    return stored.commits.flatMap((events, index) => {
      const notices = events.flatMap((event) => {
        const decision = decide(run.state, event, run.rules);
        run = { ...run, state: decision.state };
        return decision.notices;
      });
      return numberNotices(index + 1, notices);
    });
  }

  async #mustExist(tenantId: TenantId, runId: RunId) {
    const summary = await this.#options.store.summary(tenantId, runId);
    if (summary === undefined) throw new HiveError('NOT_FOUND', `there is no run ${runId}`);
    return summary;
  }
}

function contextOf(stored: StoredRun): JsonObject {
  const first = stored.commits[0]?.[0];
  return first?.type === 'run.created' ? first.context : {};
}
