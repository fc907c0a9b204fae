import type { ApprovalId, Failure, JsonObject, JsonValue, NodeStatus, RunId, TicketId, WorkerId } from '@hivekeeper/contract';
import type { Due } from './due.ts';

/**
 * Where a run stands.
 *
 * | from    | event                                            | to      |
 * |---------|--------------------------------------------------|---------|
 * | pending | run.created                                      | live    |
 * | live    | the last node finishes                           | ended: FAILED where a node failed for good, else SUCCESS |
 * | live    | run.cancelled                                    | ended: CANCELLED |
 * | live    | run.woken at or after the deadline               | ended: TIMED_OUT |
 * | ended   | anything                                         | ended, unchanged |
 */
export type RunPhase =
  | { readonly kind: 'pending' }
  | { readonly kind: 'live'; readonly context: JsonObject }
  | { readonly kind: 'ended'; readonly status: 'SUCCESS' | 'FAILED' | 'CANCELLED' | 'TIMED_OUT'; readonly error?: Failure | undefined };

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
 * | gated    | approved                                          | running |
 * | gated    | rejected, or nobody decided in time               | finished FAILED |
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
      readonly startedAtMs?: number | undefined;
      readonly finishedAtMs: number;
    };

/** How often a slot was tried. `attempt` is the number of its last ticket. */
export interface Tries {
  readonly attempt: number;
  /** Attempts the agent failed: these count against `maxAttempts`. */
  readonly failureCount: number;
  /** Leases lost: not the agent's fault, bounded on their own. */
  readonly lossCount: number;
}

/**
 * Where a slot stands: one execution of the node's agent, repeated until it succeeds or fails for good.
 *
 * | from    | when                                                   | to      |
 * |---------|--------------------------------------------------------|---------|
 * | held    | the node begins to run                                 | issued  |
 * | issued  | its ticket settles well                                | done    |
 * | issued  | its ticket fails, may be repeated, after a pause       | backoff |
 * | issued  | its ticket fails, may be repeated at once; or is lost  | issued, with a new ticket |
 * | backoff | run.woken at or after `dueAtMs`                        | issued  |
 * | any but done | the node finishes                                 | dropped |
 */
export type SlotState =
  | { readonly phase: 'held'; readonly input: JsonObject }
  | { readonly phase: 'issued'; readonly input: JsonObject; readonly ticket: number; readonly tries: Tries }
  | { readonly phase: 'backoff'; readonly input: JsonObject; readonly dueAtMs: number; readonly lastError: Failure; readonly tries: Tries }
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
  | { readonly status: 'CANCELLED' }
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
}

/**
 * The whole state of a run: plain JSON, never changed in place once handed out. Nodes stand at their positions in the
 * workflow, tickets and approvals at the ordinals in their ids, so that every lookup is an index.
 */
export interface RunState {
  readonly runId: RunId;
  readonly phase: RunPhase;
  readonly startedAtMs?: number | undefined;
  readonly finishedAtMs?: number | undefined;
  readonly deadlineAtMs?: number | undefined;
  readonly nodes: readonly NodeState[];
  readonly slots: readonly SlotState[];
  readonly tickets: readonly Ticket[];
  readonly approvals: readonly Approval[];
  /** Retries and expiries to come: a heap whose first entry is in force and earliest. */
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
