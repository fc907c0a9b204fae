import {
  type CarriedNode,
  type CompensationTask,
  HiveError,
  isTerminal,
  riskLevelOf,
  type JsonObject,
  type Outcome,
  type RunEvent,
  type RunId,
  runIdOfTicket,
  type RunView,
  type SettleRequest,
  type SuspendRequest,
  type Suspension,
  type TenantId,
  type TicketId,
  type Turn,
  type WorkerId,
  type WorkflowDefinition,
  type WorkflowId,
} from '@hivekeeper/contract';
import type { Clock } from '@hivekeeper/kernel';
import type { FindAgent, Lease, TicketDesk, TicketStore } from '../tickets/index.ts';
import { carriedFrom, nodeViewsOf, runStatusOf, turnOf, workOfTicket } from './core/index.ts';
import type { RunLane } from './lane.ts';
import type { LiveRuns } from './live-runs.ts';
import type { RunOrigin, RunStore, StoredRun } from './run-store.ts';
import type { NoticeBoard, Watcher } from './watching/index.ts';

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
  /** What an earlier run did already. */
  readonly carried?: readonly CarriedNode[] | undefined;
  /** Nothing is to be done but this: what an earlier run did is undone. */
  readonly compensation?: readonly CompensationTask[] | undefined;
  /** What it takes its turn at where its workflow says nothing of that. */
  readonly turn?: Turn | undefined;
}

/** A worker's word about a ticket it holds. */
interface WorkerWord {
  readonly workerId: WorkerId;
  readonly ticketId: TicketId;
  readonly token: string;
}

type WorkerEvent = Extract<RunEvent, { readonly type: 'ticket.settled' | 'ticket.suspended' }>;

/** Everything that may be done to runs. Each call returns once its effect is stored. */
export class Runs {
  readonly #options: RunsOptions;

  constructor(options: RunsOptions) {
    this.#options = options;
  }

  /**
   * Starts a run; one that takes turns with others begins when it is its turn.
   * @throws HiveError IDEMPOTENCY_KEY_REUSED where its key is taken: look the run up by the key; TEMPLATE_UNRESOLVED where
   *   the context lacks what the concurrency key names.
   */
  async start(run: NewRun): Promise<RunId> {
    const runId = this.#options.newRunId();
    const live = this.#options.runs.begin({ ...run, runId });
    const { by, context, carried = [], compensation, definition } = run;
    const gatedNodeIds = this.#gatedNodeIdsOf({ ...run, runId });
    // What undoes a run does not wait for its like.
    const queue = compensation === undefined ? (turnOf(live.rules, { runId, context }) ?? run.turn) : undefined;
    await this.#options.lane.submit({
      runId,
      begin: { live, origin: run },
      actor: by,
      judge: (_state, atMs) => ({
        type: 'run.created',
        atMs,
        by,
        context,
        ...(definition.timeoutMs !== undefined && { deadlineAtMs: atMs + definition.timeoutMs }),
        ...(gatedNodeIds.length > 0 && { gatedNodeIds }),
        ...(carried.length > 0 && { carried }),
        ...(compensation !== undefined && { compensation }),
        ...(queue !== undefined && { queue }),
      }),
    });
    return runId;
  }

  #gatedNodeIdsOf({ tenantId, runId, definition, compensation }: NewRun & { readonly runId: RunId }): string[] {
    const works = compensation ?? definition.nodes.map(({ id, agent, action }) => ({ nodeId: id, agent, action }));
    return works.filter((work) => this.#asksFirst({ tenantId, runId }, work)).map(({ nodeId }) => nodeId);
  }

  #asksFirst(
    { tenantId, runId }: { readonly tenantId: TenantId; readonly runId: RunId },
    { agent, action }: { readonly agent?: string | undefined; readonly action?: string | undefined },
  ): boolean {
    const spec = agent === undefined ? undefined : this.#options.findAgent(tenantId, agent, runId);
    return spec !== undefined && riskLevelOf(spec, action) === 'APPROVAL_REQUIRED';
  }

  /** Records what an attempt came to. Idempotent per ticket and token. @throws HiveError TICKET_NOT_HELD for any other token. */
  settle({ outcome, costMicroUsd, ...word }: SettleRequest & { readonly outcome: Outcome }): Promise<void> {
    const cost = costMicroUsd === undefined ? {} : { costMicroUsd };
    return this.#end(word, (from) => ({ ...from, type: 'ticket.settled', outcome, ...cost }));
  }

  /** Ends a ticket whose agent waits for something. Idempotent, and refused, as {@link settle}. */
  async suspend({ suspension, ...word }: SuspendRequest & { readonly suspension: Suspension }): Promise<void> {
    const runId = runIdOfTicket(word.ticketId);
    const tenantId = (await this.#options.runs.load(runId))?.tenantId;
    const isGated = suspension.kind === 'agent' && tenantId !== undefined && this.#asksFirst({ tenantId, runId }, suspension);
    await this.#end(word, (from) => ({ ...from, type: 'ticket.suspended', suspension: isGated ? { ...suspension, isGated } : suspension }));
  }

  async #end(
    word: WorkerWord,
    eventOf: (from: WorkerWord & { readonly atMs: number; readonly leasedAtMs?: number }) => WorkerEvent,
  ): Promise<void> {
    const { desk, lane } = this.#options;
    const { workerId, ticketId, token } = word;
    const counter = desk.counterOf(token);
    if (counter === undefined) throw new HiveError('TICKET_NOT_HELD', 'the token is from before a restore');
    const lease = desk.leaseOf(ticketId);
    const leasedAtMs = lease?.token === token ? { leasedAtMs: lease.leasedAtMs } : {};
    await lane.submit({
      runId: runIdOfTicket(ticketId),
      actor: `worker:${workerId}`,
      settles: { ticketId, workerId, counter },
      judge: (_state, atMs) => eventOf({ ...word, atMs, ...leasedAtMs }),
      isRecorded: (run) => run.commits.some((events) => events.some((event) => isWord(event, word))),
    });
    if (lease !== undefined) desk.moved(lease.requirement);
  }

  /**
   * Names a live ticket's work: the same where the ticket repeats one whose lease was lost, and never that of another attempt.
   * Undefined where the ticket is not live.
   */
  async workOf(ticketId: TicketId): Promise<string | undefined> {
    const runId = runIdOfTicket(ticketId);
    const kept = this.#options.runs.get(runId);
    // A ticket that another control plane issued may be newer than what is in memory.
    const work = kept === undefined ? undefined : workOfTicket(kept.state, ticketId);
    if (work !== undefined) return `${runId}.${work}`;
    const stored = await this.#options.store.load(runId);
    const told = stored === undefined ? undefined : workOfTicket(this.#options.runs.fold(stored).state, ticketId);
    return told === undefined ? undefined : `${runId}.${told}`;
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

  /** Lets a run notice that a due time has come; one that ended and has something to undo is undone. */
  async wake(runId: RunId): Promise<void> {
    const phase = (await this.#options.runs.load(runId))?.state.phase;
    if (phase?.kind === 'ended' && phase.toUndo !== undefined) return this.#undo(runId, phase.toUndo);
    await this.#options.lane.submit({
      runId,
      actor: 'platform',
      judge: (state, atMs) => (isTerminal(runStatusOf(state)) ? undefined : { type: 'run.woken', atMs }),
    });
  }

  /** Starts the run that undoes another one, once: its idempotency key finds it where a crash came in between. */
  async #undo(runId: RunId, compensation: readonly CompensationTask[]): Promise<void> {
    const stored = await this.#options.store.load(runId);
    if (stored === undefined) return;
    const { tenantId, workflowId, workflowVersion, definition } = stored;
    const idempotency = { route: 'compensation', key: runId, bodySha256: '' };
    const origin = { tenantId, workflowId, workflowVersion, definition, trigger: 'compensation', originRunId: runId, idempotency };
    const find = async () => (await this.#options.store.findByKey(tenantId, idempotency.route, idempotency.key))?.runId;
    const begin = () => this.start({ ...origin, context: contextOf(stored), by: 'platform', compensation });
    // Whoever comes second finds what the first began; where that is not stored yet, the first tells.
    const byRunId = (await find()) ?? (await begin().catch(orIfTaken(find)));
    if (byRunId === undefined) return;
    await this.#options.lane.submit({
      runId,
      actor: 'platform',
      judge: (state, atMs) =>
        state.phase.kind === 'ended' && state.phase.toUndo !== undefined ? { type: 'run.compensated', atMs, byRunId } : undefined,
    });
  }

  /**
   * What a new run of the same version need not do again, `from` the node where it is named.
   * @throws HiveError RUN_COMPENSATED where what the run did was undone, or will be.
   */
  carriedOf(stored: StoredRun, from?: string): CarriedNode[] {
    const { state, rules } = this.#options.runs.fold(stored);
    const isUndone = state.phase.kind === 'ended' && state.phase.toUndo !== undefined;
    if (isUndone || stored.commits.some((events) => events.some(({ type }) => type === 'run.compensated')))
      throw new HiveError('RUN_COMPENSATED');
    return carriedFrom(state, rules.plan, from);
  }

  /** The ids of the nodes that succeeded. */
  succeededNodesOf(stored: StoredRun): ReadonlySet<string> {
    const { state, rules } = this.#options.runs.fold(stored);
    return new Set(nodeViewsOf(state, rules.plan).flatMap(({ id, status }) => (status === 'SUCCESS' ? [id] : [])));
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

  /**
   * Tells a watcher every notice after `lastId`, oldest first, beginning before it returns; then, whichever control plane
   * commits it, what comes; and how far running attempts are. The returned function ends it. @throws HiveError NOT_FOUND
   */
  async watch(watch: { tenantId: TenantId; runId: RunId; lastId?: string | undefined; onNews: Watcher }): Promise<() => void> {
    await this.#mustExist(watch.tenantId, watch.runId);
    return this.#options.board.watch(watch);
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

const isWord = (event: RunEvent, { workerId, ticketId, token }: WorkerWord): boolean =>
  (event.type === 'ticket.settled' || event.type === 'ticket.suspended') &&
  event.ticketId === ticketId &&
  event.token === token &&
  event.workerId === workerId;

const orIfTaken =
  <T>(instead: () => Promise<T>) =>
  (error: unknown): Promise<T> => {
    if (HiveError.is(error) && error.code === 'IDEMPOTENCY_KEY_REUSED') return instead();
    throw error;
  };
