import type {
  ApprovalId,
  ApprovalView,
  Blocker,
  Failure,
  JsonValue,
  RunEvent,
  RunId,
  RunStatus,
  RunSummary,
  TenantId,
  TicketId,
  Turn,
  WorkerId,
  WorkflowDefinition,
  WorkflowId,
} from '@hivekeeper/contract';
import type { IssuedTicket, LeaseAnswers } from '../tickets/index.ts';

/** What a run is besides its journal. */
export interface RunOrigin {
  readonly workflowId: WorkflowId;
  readonly workflowVersion: number;
  readonly trigger: string;
  readonly originRunId?: RunId | undefined;
  /** Commits with the run, so that a repeated trigger finds it. */
  readonly idempotency?: { readonly route: string; readonly key: string; readonly bodySha256: string } | undefined;
}

/** A ticket that ends, and by whom: refused where that worker does not hold it by that token. */
export interface Ending {
  readonly ticketId: TicketId;
  readonly workerId: WorkerId;
  /** Second half of the token. */
  readonly counter: string;
}

/** An approval that is asked for. */
export interface AskedApproval {
  readonly id: ApprovalId;
  readonly nodeId: string;
  readonly agent: string;
  readonly action?: string | undefined;
  readonly message?: string | undefined;
  readonly input: JsonValue;
  readonly excludeRequester: boolean;
  readonly expiresAtMs: number;
}

/** An approval that is over. */
export interface ClosedApproval {
  readonly id: ApprovalId;
  readonly status: 'APPROVED' | 'REJECTED' | 'EXPIRED' | 'CANCELLED';
  readonly by?: string | undefined;
  readonly notes?: string | undefined;
}

/** A slot that waits for an event that anybody may publish. */
export interface AwaitedEvent {
  readonly slotAt: number;
  readonly name: string;
  readonly key: string;
}

/** A ticket that failed for good, with its evidence. */
export interface DeadTicket {
  readonly ticketId: TicketId;
  readonly nodeId: string;
  readonly slot: number;
  readonly attempt: number;
  readonly agent: string;
  readonly action?: string | undefined;
  readonly input: JsonValue;
  readonly error: Failure;
}

/** A run's place among those that take turns with it. */
export interface QueuedTurn extends Turn {
  readonly priority: number;
  /** It is passed over until it goes on. */
  readonly isPaused: boolean;
}

/** Everything one commit changes of one run. */
export interface RunCommit {
  readonly runId: RunId;
  readonly tenantId: TenantId;
  /** The version this commit makes; the database must be at the one before. */
  readonly version: number;
  /** Present in the run's first commit only. */
  readonly origin?: RunOrigin | undefined;
  readonly atMs: number;
  readonly events: readonly RunEvent[];
  readonly status: RunStatus;
  readonly wakeAtMs?: number | undefined;
  readonly blocker?: Blocker | undefined;
  readonly error?: Failure | undefined;
  /** Whether status, wakeAtMs or error differ from the version before. */
  readonly hasNewStanding: boolean;
  /** For the audit: who, and what kind of thing happened. */
  readonly actor: string;
  readonly action: string;
  /** Tickets that end here, each with its holder and the counter of the token it showed. */
  readonly settled: readonly Ending[];
  readonly revoked: readonly TicketId[];
  readonly issued: readonly (IssuedTicket & { readonly workerId?: WorkerId | undefined })[];
  readonly asked: readonly AskedApproval[];
  readonly closed: readonly ClosedApproval[];
  /** What happens to the run's ready tickets that are not issued here: held, free again, or as before. */
  readonly holding?: 'hold' | 'free' | undefined;
  /** How much later the run's ready tickets that are not issued here come, in milliseconds of waiting. */
  readonly rankShiftMs: number;
  readonly awaited: readonly AwaitedEvent[];
  /** Slots that wait for no event any more. */
  readonly forgotten: readonly number[];
  readonly dead: readonly DeadTicket[];
  /** What attempts of settled tickets cost, where their workers know; of others the most they may cost is charged. */
  readonly costs: readonly { readonly ticketId: TicketId; readonly microUsd: number }[];
  /** Where the run waits for its turn: its place, or that it ended waiting. */
  readonly turn?: QueuedTurn | 'ended' | undefined;
}

/** A lease of a ticket that was ready before this commit; the more urgent come first among those with throttles. */
export interface LeaseClaim {
  readonly ticketId: TicketId;
  readonly workerId: WorkerId;
  /** Its throttles are asked. */
  readonly isThrottled: boolean;
}

/**
 * What became of a batch. All of it or nothing is stored. `moved-on`: one at least of the named runs is at another version; `not-held`:
 * the named tickets are held by another token or gone; `key-taken`: the named new runs repeat an idempotency key.
 */
export type CommitResult =
  | ({ readonly stored: true } & LeaseAnswers)
  | { readonly stored: false; readonly reason: 'moved-on' | 'key-taken'; readonly runIds: ReadonlySet<RunId> }
  | { readonly stored: false; readonly reason: 'not-held'; readonly ticketIds: ReadonlySet<TicketId> };

/** A run as stored: what a fold needs. */
export interface StoredRun {
  readonly runId: RunId;
  readonly tenantId: TenantId;
  readonly version: number;
  readonly workflowId: WorkflowId;
  readonly workflowVersion: number;
  readonly definition: WorkflowDefinition;
  /** One element per commit, oldest first; element i made version i + 1. */
  readonly commits: readonly (readonly RunEvent[])[];
}

/** One commit of a run, as the journal has it. */
export interface JournalRow {
  readonly runId: RunId;
  /** The version it made. */
  readonly version: number;
  readonly events: readonly RunEvent[];
}

/** Which runs to list. */
export interface RunFilter {
  readonly workflow?: string | undefined;
  readonly workflowId?: WorkflowId | undefined;
  readonly status?: RunStatus | undefined;
  readonly before?: RunId | undefined;
  readonly limit: number;
}

/** Which runs an order is for. */
export interface RunSelection {
  readonly workflow?: string | undefined;
  readonly statuses: readonly RunStatus[];
  /** Only those that are paused, or only those that are not; all where absent. */
  readonly isPaused?: boolean | undefined;
  /** Leaves out those that another run retries. */
  readonly isUnretried?: boolean | undefined;
  /** Exclusive. */
  readonly createdBeforeMs?: number | undefined;
  /** Inclusive. */
  readonly createdAfterMs?: number | undefined;
}

/** The port to the database. Reads are confined to the tenant they name. */
export interface RunStore {
  /**
   * Commits a batch in one transaction; see {@link CommitResult}.
   * @throws HiveError DATABASE_UNAVAILABLE when it is not known whether it was stored.
   */
  commit(batch: {
    readonly runs: readonly RunCommit[];
    readonly leases: readonly LeaseClaim[];
    readonly leaseMs: number;
  }): Promise<CommitResult>;
  /** For the engine: a run of any tenant. */
  load(runId: RunId): Promise<StoredRun | undefined>;
  /** For the engine: what runs of any tenant committed after the version named with each; those of a run in order, without a gap. */
  commitsAfter(runs: readonly { readonly runId: RunId; readonly version: number }[]): Promise<readonly JournalRow[]>;
  /** Runs whose due time has come, and the next due time after those. */
  due(nowMs: number, most: number): Promise<{ readonly runIds: readonly RunId[]; readonly nextAtMs?: number | undefined }>;
  /** The run an idempotency key started. */
  findByKey(tenantId: TenantId, route: string, key: string): Promise<{ readonly runId: RunId; readonly bodySha256: string } | undefined>;
  summary(tenantId: TenantId, runId: RunId): Promise<(RunSummary & { readonly blocker?: Blocker | undefined }) | undefined>;
  list(tenantId: TenantId, filter: RunFilter): Promise<readonly RunSummary[]>;
  /** How many runs an order is for, and the first of them, oldest first. */
  select(tenantId: TenantId, selection: RunSelection, most: number): Promise<{ readonly count: number; readonly runIds: readonly RunId[] }>;
  approvals(
    tenantId: TenantId,
    filter: { readonly status?: ApprovalView['status'] | undefined; readonly runId?: RunId | undefined },
  ): Promise<readonly ApprovalView[]>;
  approval(tenantId: TenantId, approvalId: ApprovalId): Promise<ApprovalView | undefined>;
}
