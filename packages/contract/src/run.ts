import { z } from 'zod';
import type { ApprovalId, RunId, TicketId, WorkerId, WorkflowId } from './ids.ts';
import type { JsonObject, JsonValue } from './json.ts';

/** Where a run stands. The last four are terminal and absorb everything. */
export const runStatusSchema = z.enum(['PENDING', 'RUNNING', 'WAITING_APPROVAL', 'SUCCESS', 'FAILED', 'CANCELLED', 'TIMED_OUT']);
/** {@link runStatusSchema} */
export type RunStatus = z.infer<typeof runStatusSchema>;
/** Where a node stands: a run's states, and SKIPPED. */
export const nodeStatusSchema = z.enum([...runStatusSchema.options, 'SKIPPED']);
/** {@link nodeStatusSchema} */
export type NodeStatus = z.infer<typeof nodeStatusSchema>;

/** True where nothing can change any more. */
export const isTerminal = (status: NodeStatus): boolean => status !== 'PENDING' && status !== 'RUNNING' && status !== 'WAITING_APPROVAL';

/** Why an attempt, a node or a run failed. */
export interface Failure {
  /** From the error catalogue. */
  readonly code: string;
  readonly message: string;
  /** Up to 4 KB of what the agent left: its stderr's end, or the output that was no JSON. */
  readonly excerpt?: string;
  readonly nodeId?: string;
}

/** What an attempt came to. */
export type Outcome = { readonly ok: true; readonly output: JsonValue } | { readonly ok: false; readonly error: Failure };

/**
 * What happened to a run: the run's journal is the list of these, and folding it gives the run's state. Every entry
 * carries its time by the clock of the control plane that committed it, so that the fold needs no clock; leases alone go by the
 * database's.
 */
export type RunEvent =
  | {
      readonly type: 'run.created';
      readonly atMs: number;
      readonly context: JsonObject;
      readonly deadlineAtMs?: number;
      /** Nodes whose action asked for approval when the run began. */ readonly gatedNodeIds?: readonly string[];
    }
  | {
      readonly type: 'ticket.settled';
      readonly atMs: number;
      readonly ticketId: TicketId;
      readonly outcome: Outcome;
      /** Proves to a holder that repeats itself that its result was the one recorded. */
      readonly token?: string;
      readonly leasedAtMs?: number;
      readonly workerId?: WorkerId;
    }
  /** The lease ran out or its holder vanished: not the agent's fault, so it does not count against `maxAttempts`. */
  | {
      readonly type: 'ticket.lost';
      readonly atMs: number;
      readonly ticketId: TicketId;
      readonly workerId?: WorkerId;
      readonly leasedAtMs?: number;
    }
  | {
      readonly type: 'approval.decided';
      readonly atMs: number;
      readonly approvalId: ApprovalId;
      readonly approved: boolean;
      readonly by: string;
      readonly notes?: string;
    }
  /** A due time stored by the run has come. */
  | { readonly type: 'run.woken'; readonly atMs: number }
  | { readonly type: 'run.cancelled'; readonly atMs: number; readonly by: string; readonly reason?: string };

/** What anyone may watch: derived from the journal, numbered `version.index` within its run. */
export type RunNotice =
  | { readonly type: 'run.started'; readonly atMs: number }
  | { readonly type: 'node.started'; readonly atMs: number; readonly nodeId: string; readonly slotCount: number }
  | {
      readonly type: 'ticket.issued';
      readonly atMs: number;
      readonly nodeId: string;
      readonly slot: number;
      readonly attempt: number;
      readonly ticketId: TicketId;
    }
  | {
      readonly type: 'attempt.failed';
      readonly atMs: number;
      readonly nodeId: string;
      readonly slot: number;
      readonly attempt: number;
      readonly error: Failure;
      readonly retryAtMs?: number;
    }
  | {
      readonly type: 'approval.requested';
      readonly atMs: number;
      readonly nodeId: string;
      readonly approvalId: ApprovalId;
      readonly expiresAtMs: number;
    }
  | {
      readonly type: 'approval.closed';
      readonly atMs: number;
      readonly nodeId: string;
      readonly approvalId: ApprovalId;
      readonly decision: 'APPROVED' | 'REJECTED' | 'EXPIRED' | 'CANCELLED';
    }
  | {
      readonly type: 'node.finished';
      readonly atMs: number;
      readonly nodeId: string;
      readonly status: NodeStatus;
      readonly durationMs?: number;
      readonly error?: Failure;
    }
  | { readonly type: 'run.finished'; readonly atMs: number; readonly status: RunStatus; readonly error?: Failure };

/** The one thing an unfinished run waits for; stored in the transaction that made it so. */
export type Blocker =
  | { readonly kind: 'ticket'; readonly nodeId: string; readonly ticketId: TicketId; readonly otherCount: number }
  | { readonly kind: 'retry'; readonly nodeId: string; readonly dueAtMs: number; readonly lastError: Failure }
  | { readonly kind: 'approval'; readonly nodeId: string; readonly approvalId: ApprovalId; readonly expiresAtMs: number };

/** One execution of an agent for a node. */
export interface AttemptView {
  readonly ticketId: TicketId;
  readonly nodeId: string;
  readonly slot: number;
  readonly attempt: number;
  readonly status: 'PENDING' | 'RUNNING' | 'SUCCESS' | 'FAILED' | 'TIMED_OUT' | 'LOST' | 'CANCELLED';
  readonly input: JsonValue;
  readonly output?: JsonValue;
  readonly error?: Failure;
  readonly issuedAtMs: number;
  readonly leasedAtMs?: number;
  readonly finishedAtMs?: number;
  readonly durationMs?: number;
  readonly workerId?: WorkerId;
  readonly progress?: JsonValue;
}

/** A node of a run as the API shows it. */
export interface NodeView {
  readonly id: string;
  readonly agent: string;
  readonly action?: string;
  readonly needs: readonly string[];
  readonly status: NodeStatus;
  readonly output?: JsonValue;
  readonly error?: Failure;
  readonly startedAtMs?: number;
  readonly finishedAtMs?: number;
  readonly attempts: readonly AttemptView[];
}

/** A run in a list. */
export interface RunSummary {
  readonly id: RunId;
  readonly workflowId: WorkflowId;
  readonly workflowName: string;
  readonly workflowVersion: number;
  readonly status: RunStatus;
  readonly trigger: string;
  readonly createdAtMs: number;
  readonly startedAtMs?: number;
  readonly finishedAtMs?: number;
  readonly durationMs?: number;
  readonly error?: Failure;
  readonly retryOf?: RunId;
}

/** A run, whole. */
export interface RunView extends RunSummary {
  readonly context: JsonObject;
  readonly nodes: readonly NodeView[];
  readonly blocker?: Blocker;
}
