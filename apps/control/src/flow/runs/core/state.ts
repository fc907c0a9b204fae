import type {
  ApprovalId,
  CarriedNode,
  CompensationTask,
  EffectId,
  Failure,
  JsonObject,
  JsonValue,
  MemoEntry,
  NodeStatus,
  RunId,
  TicketId,
  Turn,
  WorkerId,
} from '@hivekeeper/contract';
import type { Due } from './due.ts';

/**
 * Where a run stands.
 *
 * | from    | event                                            | to      |
 * |---------|--------------------------------------------------|---------|
 * | pending | run.created, with a queue                        | queued  |
 * | pending | run.created                                      | live    |
 * | queued  | run.admitted                                     | live    |
 * | live    | the last node finishes                           | ended: FAILED where a node failed for good, else SUCCESS |
 * | queued, live | run.cancelled                               | ended: CANCELLED |
 * | queued, live | run.woken at or after the deadline          | ended: TIMED_OUT |
 * | ended   | run.compensated, where something is to be undone | ended, with nothing to undo |
 * | ended   | anything else                                    | ended, unchanged |
 */
export type RunPhase =
  | { readonly kind: 'pending' }
  | ({ readonly kind: 'queued'; readonly context: JsonObject } & Turn)
  | { readonly kind: 'live'; readonly context: JsonObject }
  | {
      readonly kind: 'ended';
      readonly status: 'SUCCESS' | 'FAILED' | 'CANCELLED' | 'TIMED_OUT';
      readonly error?: Failure | undefined;
      /** What a run that is still to be started has to undo, last deed first. */
      readonly toUndo?: readonly CompensationTask[] | undefined;
    };

/** How a node ends. */
export type FinalStatus = Exclude<NodeStatus, 'PENDING' | 'RUNNING' | 'WAITING_APPROVAL'>;

/**
 * Where a node stands. A node is *satisfied* by SUCCESS, or by FAILED or TIMED_OUT where its `onFailure` is not `fail`.
 *
 * | from     | when                                              | to |
 * |----------|---------------------------------------------------|----|
 * | waiting  | one of its needs finishes unsatisfied             | finished SKIPPED |
 * | waiting  | all needs satisfied, `when` is false              | finished SKIPPED |
 * | waiting  | all needs satisfied, a template has no value      | finished FAILED |
 * | waiting  | all needs satisfied, `map` gives an empty array   | finished SUCCESS with [] |
 * | waiting  | all needs satisfied, approval is required         | gated |
 * | waiting  | all needs satisfied, otherwise                    | running |
 * | waiting  | its end is carried over from an earlier run       | finished as it was |
 * | gated    | approved                                          | running |
 * | gated    | rejected                                          | finished FAILED |
 * | gated    | nobody decided in time                            | as the approval's `onExpiry` says: finished FAILED or SKIPPED, or running |
 * | running  | the last slot is done                             | finished SUCCESS |
 * | running  | a slot fails for good                             | finished FAILED or TIMED_OUT; its other tickets are revoked |
 * | any but finished | the run is cancelled or times out         | finished CANCELLED |
 *
 * A node that is gated or running owns the slots `firstSlot … firstSlot + slotCount − 1`.
 */
export type NodeState =
  | { readonly phase: 'waiting'; /** Needs that are not satisfied yet. */ readonly unmetCount: number; readonly isGated: boolean }
  | { readonly phase: 'gated'; readonly approval: number; readonly firstSlot: number; readonly slotCount: number }
  | {
      readonly phase: 'running';
      readonly startedAtMs: number;
      readonly firstSlot: number;
      readonly slotCount: number;
      readonly openCount: number;
    }
  | {
      readonly phase: 'finished';
      readonly status: FinalStatus;
      readonly output?: JsonValue | undefined;
      readonly error?: Failure | undefined;
      readonly isCarried?: boolean | undefined;
      readonly startedAtMs?: number | undefined;
      readonly finishedAtMs: number;
      /** How many nodes had finished before. */
      readonly finishedAs: number;
    };

/** How often a slot was tried. `attempt` is the number of its last ticket. */
export interface Tries {
  readonly attempt: number;
  /** Attempts the agent failed: these count against `maxAttempts`. */
  readonly failureCount: number;
  /** Leases lost: not the agent's fault, bounded on their own. */
  readonly lossCount: number;
}

/** What the agent of a slot is given. */
export interface Task {
  readonly input: JsonObject;
  /** What became of the steps it waited for. */
  readonly memo?: readonly MemoEntry[] | undefined;
  /** Present where another agent does it than the node's own. */
  readonly instead?: { readonly agent: string; readonly action?: string | undefined } | undefined;
  /** The slot that waits for this one. */
  readonly callerSlotAt?: number | undefined;
  /** Present where nothing is done but waiting. */
  readonly wait?: Wait | undefined;
  /** So many attempts with this key may be under way at once. */
  readonly concurrency?: { readonly key: string; readonly limit: number } | undefined;
}

/** What a suspended slot waits for, and the step of the agent's code that waits; nodes that only wait have the step ''. */
export type Wait = { readonly step: string } & (
  | { readonly kind: 'timer'; readonly dueAtMs: number }
  | { readonly kind: 'signal'; readonly name: string; readonly key?: string | undefined; readonly expiresAtMs: number }
  | { readonly kind: 'approval'; readonly approval: number }
  | { readonly kind: 'agent'; readonly slotAt: number }
  | { readonly kind: 'effect'; readonly effectId: EffectId; readonly tool: string }
);

/**
 * Where a slot stands: one execution of the node's agent, repeated until it succeeds or fails for good; of a node that
 * only waits, the wait. A slot that another one called belongs to the same node, behind the node's own slots.
 *
 * | from      | when                                                   | to        |
 * |-----------|--------------------------------------------------------|-----------|
 * | held      | the node begins to run                                 | issued; suspended where the node only waits |
 * | issued    | its ticket settles well                                | done      |
 * | issued    | its ticket fails, may be repeated, after a pause       | backoff   |
 * | issued    | its ticket fails, may be repeated at once; or is lost  | issued, with a new ticket |
 * | issued    | its ticket is suspended                                | suspended |
 * | issued    | its ticket fails for good, and another slot called it  | dropped; the caller resumes with the failure |
 * | backoff   | run.woken at or after `dueAtMs`                        | issued    |
 * | suspended | what it waits for comes, or expires                    | issued, with one more memo; done or failed where the node only waits |
 * | any but done | the node finishes                                   | dropped   |
 */
export type SlotState =
  | { readonly phase: 'held'; readonly task: Task }
  | { readonly phase: 'issued'; readonly task: Task; readonly ticket: number; readonly tries: Tries }
  | {
      readonly phase: 'backoff';
      readonly task: Task;
      readonly dueAtMs: number;
      readonly lastError: Failure;
      readonly tries: Tries;
    }
  | { readonly phase: 'suspended'; readonly task: Task; readonly wait: Wait; readonly tries: Tries }
  | { readonly phase: 'done'; readonly output: JsonValue }
  | { readonly phase: 'dropped' };

/** How a ticket ended. */
export type TicketEnd = {
  readonly finishedAtMs: number;
  readonly leasedAtMs?: number | undefined;
  readonly workerId?: WorkerId | undefined;
} & (
  | { readonly status: 'SUCCESS'; readonly output: JsonValue }
  | { readonly status: 'FAILED' | 'TIMED_OUT' | 'LOST'; readonly error: Failure }
  | { readonly status: 'CANCELLED' | 'SUSPENDED' }
);

/** A ticket, live until it has an `end`. */
export interface Ticket {
  readonly ticketId: TicketId;
  readonly node: number;
  readonly nodeId: string;
  /** The slot's number in its node. */
  readonly slot: number;
  /** The slot's position in {@link RunState.slots}. */
  readonly slotAt: number;
  readonly attempt: number;
  readonly input: JsonObject;
  readonly issuedAtMs: number;
  readonly end?: TicketEnd | undefined;
}

/** An approval that was asked for. */
export interface Approval {
  readonly approvalId: ApprovalId;
  readonly node: number;
  readonly nodeId: string;
  readonly expiresAtMs: number;
  readonly isPending: boolean;
  /** Who decided what; absent while pending, and where nobody did. */
  readonly decided?: { readonly approved: boolean; readonly by: string } | undefined;
  /** Whoever started the run may not decide. */
  readonly excludeRequester: boolean;
  /** The slot that waits for it; absent where the node itself does. */
  readonly slotAt?: number | undefined;
}

/** A signal nobody has waited for yet. */
export interface Signal {
  readonly name: string;
  readonly key?: string | undefined;
  readonly payload: JsonValue;
}

/** Where in the run's slots a slot stands, and in which node. */
export interface SlotPlace {
  readonly slotAt: number;
  readonly node: number;
}

/**
 * The whole state of a run: plain JSON, never changed in place once handed out. Nodes stand at their positions in the
 * workflow, tickets and approvals at the ordinals in their ids, so that every lookup is an index.
 */
export interface RunState {
  readonly runId: RunId;
  readonly phase: RunPhase;
  readonly startedBy?: string | undefined;
  readonly startedAtMs?: number | undefined;
  readonly finishedAtMs?: number | undefined;
  readonly deadlineAtMs?: number | undefined;
  readonly nodes: readonly NodeState[];
  readonly slots: readonly SlotState[];
  readonly tickets: readonly Ticket[];
  readonly approvals: readonly Approval[];
  /** Signals that came and were not waited for yet, the oldest first. */
  readonly signals: readonly Signal[];
  /** Every signal that came, so that one that is sent again is no news. */
  readonly signalIds: readonly string[];
  /** Suspended on a signal, the longest first. */
  readonly listeners: readonly SlotPlace[];
  /** Suspended on an effect nobody knows the end of, the longest first. */
  readonly unknownEffects: readonly (SlotPlace & { readonly nodeId: string; readonly effectId: EffectId; readonly tool: string })[];
  /** While it is there no ticket of the run is handed out. */
  readonly pause?: { readonly atMs: number; readonly by: string; readonly reason?: string | undefined } | undefined;
  readonly priority: number;
  /** The key of the turn it waits or waited for; its end lets the next one in. */
  readonly turnKey?: string | undefined;
  /** What a run that has not begun will not have to do. */
  readonly carried?: readonly CarriedNode[] | undefined;
  /** Present in a run that undoes another one. */
  readonly compensation?: readonly CompensationTask[] | undefined;
  /** Retries, timers and expiries to come: a heap whose first entry is in force and earliest. */
  readonly due: readonly Due[];
  /** Nodes that have not finished. */
  readonly openNodeCount: number;
  readonly liveTicketCount: number;
  /** No ticket before this one is live. */
  readonly firstLiveTicket: number;
  readonly pendingApprovalCount: number;
  /** No approval before this one is pending. */
  readonly firstPendingApproval: number;
  /** The first failure, in the journal's order, that fails the run. */
  readonly failure?: Failure | undefined;
}
