import {
  type AgentSpec,
  agentManifestSchema,
  defaultTenantId,
  HiveError,
  type LeasedTicket,
  type Outcome,
  type RunEvent,
  type RunId,
  type TicketId,
  type WorkerId,
  type WorkflowDefinition,
  workflowDefinitionSchema,
  type WorkflowId,
  type WorkflowInput,
} from '@hivekeeper/contract';
import { type Clock, newLog } from '@hivekeeper/kernel';
import { type IssuedTicket, type Observation, TicketDesk, type TicketStore } from '../tickets/index.ts';
import type { RunConsequences } from './consequences.ts';
import { RunLane } from './lane.ts';
import { LiveRuns } from './live-runs.ts';
import type { CommitResult, LeaseClaim, RunCommit, RunStore, StoredRun } from './run-store.ts';
import { RunOrders } from './orders.ts';
import { type NewRun, Runs } from './runs.ts';
import { NoticeBoard } from './watching/index.ts';

/** What becomes of a commit: `lost` was not stored and `unsure` was, and nobody can tell them apart. */
export type Fate = 'stored' | 'lost' | 'unsure';
interface CommitBatch {
  readonly runs: readonly RunCommit[];
  readonly leases: readonly LeaseClaim[];
}
type TicketRow = IssuedTicket & { workerId?: WorkerId | undefined; counter: string };

/** A database in memory that refuses as the real one does, and fails as it is told. */
export class FakeDatabase {
  readonly runs = new Map<RunId, StoredRun>();
  readonly tickets = new Map<TicketId, TicketRow>();
  readonly keys = new Map<string, { runId: RunId; bodySha256: string }>();
  readonly definitions = new Map<WorkflowId, WorkflowDefinition>();
  /** Every commit that was asked for. */
  readonly asked: CommitBatch[] = [];
  fateOf: (batch: CommitBatch) => Fate = () => 'stored';
  /** A run whose commits PostgreSQL cannot take. */
  poison: RunId | undefined;
  /** What every commit waits for. */
  gate: Promise<void> = Promise.resolve();
  loadFault: HiveError | undefined;
  #counter = 0;

  readonly runStore: RunStore = {
    commit: async (batch) => {
      this.asked.push(batch);
      await this.gate;
      const fate = this.fateOf(batch);
      if (fate === 'lost') throw new HiveError('DATABASE_UNAVAILABLE');
      if (batch.runs.some(({ runId }) => runId === this.poison)) throw new TypeError('invalid byte sequence for encoding "UTF8": 0x00');
      const result = this.#refusal(batch.runs) ?? this.#store(batch);
      if (fate === 'unsure') throw new HiveError('DATABASE_UNAVAILABLE');
      return result;
    },
    load: async (runId) => {
      if (this.loadFault !== undefined) throw this.loadFault;
      return this.runs.get(runId);
    },
    commitsAfter: async (runs) =>
      runs.flatMap(({ runId, version }) =>
        (this.runs.get(runId)?.commits ?? []).slice(version).map((events, index) => ({ runId, version: version + index + 1, events })),
      ),
    due: async () => ({ runIds: [] }),
    findByKey: async (_tenantId, route, key) => this.keys.get(`${route} ${key}`),
    summary: async (tenantId, id) => {
      const run = this.runs.get(id);
      return run?.tenantId === tenantId
        ? { id, workflowId: run.workflowId, workflowName: 'w', workflowVersion: 1, status: 'RUNNING', trigger: 'api', createdAtMs: 0 }
        : undefined;
    },
    list: async () => [],
    select: async () => ({ count: 0, runIds: [] }),
    approvals: async () => [],
    approval: async () => undefined,
  };

  readonly ticketStore: TicketStore = {
    renew: async () => new Set(),
    release: async () => [],
    expired: async () => [],
    ready: async () => [...this.tickets.values()].filter(({ workerId }) => workerId === undefined),
    heldBy: async () => [],
    ofRun: async () => [],
    progressOf: async () => [],
    counts: async () => ({ ready: 0, leased: 0 }),
  };

  /** The events of a run, in order. */
  eventsOf(runId: RunId): readonly RunEvent[] {
    return this.runs.get(runId)?.commits.flat() ?? [];
  }

  /** Another control plane did something to the run. */
  moveOn(runId: RunId, event: RunEvent): void {
    const run = this.runs.get(runId);
    if (run !== undefined) this.runs.set(runId, { ...run, version: run.version + 1, commits: [...run.commits, [event]] });
  }

  #refusal(runs: readonly RunCommit[]): CommitResult | undefined {
    const taken = runs.filter(
      ({ runId, origin }) => origin?.idempotency !== undefined && (this.keys.get(keyOf(origin.idempotency))?.runId ?? runId) !== runId,
    );
    if (taken.length > 0) return { stored: false, reason: 'key-taken', runIds: new Set(taken.map(({ runId }) => runId)) };
    const endings = runs.flatMap(({ settled }) => settled);
    const strange = endings.filter(({ ticketId, workerId, counter }, index) => {
      const row = this.tickets.get(ticketId);
      return row?.workerId !== workerId || row.counter !== counter || endings.findIndex((other) => other.ticketId === ticketId) < index;
    });
    if (strange.length > 0) return { stored: false, reason: 'not-held', ticketIds: new Set(strange.map(({ ticketId }) => ticketId)) };
    const moved = runs.filter(({ runId, version }) => (this.runs.get(runId)?.version ?? 0) !== version - 1);
    return moved.length > 0 ? { stored: false, reason: 'moved-on', runIds: new Set(moved.map(({ runId }) => runId)) } : undefined;
  }

  #store({ runs, leases }: CommitBatch): CommitResult {
    const counters = new Map<TicketId, string>();
    const lease = (ticket: IssuedTicket, workerId: WorkerId) => {
      this.#counter += 1;
      counters.set(ticket.ticketId, String(this.#counter));
      this.tickets.set(ticket.ticketId, { ...ticket, workerId, counter: String(this.#counter) });
    };
    for (const run of runs) {
      this.#storeRun(run);
      for (const { workerId, ...ticket } of run.issued) {
        if (workerId === undefined) this.tickets.set(ticket.ticketId, { ...ticket, counter: '' });
        else lease(ticket, workerId);
      }
    }
    for (const { ticketId, workerId } of leases) {
      const row = this.tickets.get(ticketId);
      if (row !== undefined && row.workerId === undefined) lease(row, workerId);
    }
    return { stored: true, counters, refusals: new Map() };
  }

  #storeRun({ runId, tenantId, version, origin, events, settled, revoked }: RunCommit): void {
    const before = this.runs.get(runId);
    const { workflowId, workflowVersion } = before ?? (origin as NonNullable<typeof origin>);
    const definition = this.definitions.get(workflowId) as WorkflowDefinition;
    this.runs.set(runId, {
      runId,
      tenantId,
      version,
      workflowId,
      workflowVersion,
      definition,
      commits: [...(before?.commits ?? []), events],
    });
    if (origin?.idempotency !== undefined) this.keys.set(keyOf(origin.idempotency), { runId, bodySha256: origin.idempotency.bodySha256 });
    for (const ticketId of [...settled.map((ending) => ending.ticketId), ...revoked]) this.tickets.delete(ticketId);
  }
}

const keyOf = ({ route, key }: { readonly route: string; readonly key: string }): string => `${route} ${key}`;

const spec: AgentSpec = { ...agentManifestSchema.parse({ name: 'noop', version: '1.0.0', kind: 'builtin' }), trust: 'trusted' };

/** A lane over a fake database, with workers that do what the test says. */
export class LaneUnderTest {
  readonly database = new FakeDatabase();
  readonly board: NoticeBoard;
  readonly desk: TicketDesk;
  readonly lane: RunLane;
  readonly runs: Runs;
  readonly orders: RunOrders;
  readonly wakeUps: { readonly runId: RunId; readonly atMs: number }[] = [];
  /** What workers were given, in order. */
  readonly given: (LeasedTicket & { readonly workerId: WorkerId })[] = [];
  readonly revoked: TicketId[] = [];
  /** What was said of agents. */
  readonly observed: Observation[] = [];
  /** What others were told of. */
  readonly followed: RunConsequences[] = [];
  #runCount = 0;

  constructor(clock: Clock) {
    const log = newLog({ level: 'silent', component: 'test' });
    const findAgent = () => spec;
    const { runStore: store, ticketStore: tickets } = this.database;
    this.desk = new TicketDesk({ store: tickets, clock, log, findAgent, epoch: 1, leaseMs: 10_000, silentAfterMs: 5_000 });
    const live = new LiveRuns(store, () => null, 1_000);
    const peers = { announce: () => {}, tell: () => {} };
    this.board = new NoticeBoard({ store, tickets, runs: live, peers, clock, log });
    const driver = {
      wake: () => {},
      wakeAt: (runId: RunId, atMs: number) => void this.wakeUps.push({ runId, atMs }),
      [Symbol.asyncDispose]: async () => {},
    };
    const breakers = { observe: (verdict: Observation) => void this.observed.push(verdict) };
    this.lane = new RunLane({
      store,
      runs: live,
      desk: this.desk,
      board: this.board,
      driver: () => driver,
      findAgent,
      breakers,
      follow: (consequences) => void this.followed.push(consequences),
      clock,
      log,
    });
    const newRunId = () => `run_${String((this.#runCount += 1)).padStart(26, '0')}` as RunId;
    this.runs = new Runs({ store, tickets, desk: this.desk, runs: live, lane: this.lane, board: this.board, clock, newRunId, findAgent });
    this.orders = new RunOrders({ store, lane: this.lane, newSignalId: () => 'sig_1' });
    this.desk.listen({ ticketLost: () => {}, capacityChanged: () => this.lane.pump(), progressed: () => {}, roomMade: () => {} });
  }

  /** Seats a worker. */
  seat(number: number, credits: number): WorkerId {
    const workerId = `wrk_${number}` as WorkerId;
    this.desk.attach({
      workerId,
      name: `w${number}`,
      capabilities: ['builtin'],
      maxParallel: 1_000,
      isListening: true,
      deliver: (tickets) => void this.given.push(...tickets.map((ticket) => ({ ...ticket, workerId }))),
      revoke: (ticketIds) => void this.revoked.push(...ticketIds),
    });
    this.desk.setCredits(workerId, credits);
    return workerId;
  }

  /** Starts a run of `nodeCount` nodes, one after the other unless they are to start together. */
  start(
    nodeCount: number,
    { isWide = false, timeoutMs, ...more }: Partial<NewRun> & { readonly isWide?: boolean; readonly timeoutMs?: number } = {},
  ): Promise<RunId> {
    const nodes: WorkflowInput['nodes'] = Array.from({ length: nodeCount }, (_, index) => ({
      id: `n${index}`,
      agent: 'noop',
      needs: index === 0 || isWide ? [] : [`n${index - 1}`],
    }));
    const definition = workflowDefinitionSchema.parse({ name: 'w', nodes, ...(timeoutMs !== undefined && { timeoutMs }) });
    const workflowId = `wfl_${nodeCount}${String(isWide)}${timeoutMs}` as WorkflowId;
    this.database.definitions.set(workflowId, definition);
    return this.runs.start({
      tenantId: defaultTenantId,
      workflowId,
      workflowVersion: 1,
      definition,
      context: {},
      trigger: 'api',
      by: 'test',
      ...more,
    });
  }

  /** Reports a ticket as done. */
  settle(
    { workerId, ticketId, token }: Pick<LaneUnderTest['given'][number], 'workerId' | 'ticketId' | 'token'>,
    outcome: Outcome = { ok: true, output: null },
  ): Promise<void> {
    return this.runs.settle({ workerId, ticketId, token, outcome });
  }
}
