import { z } from 'zod';
import type { ApprovalId, EffectId, RunId, TicketId, WorkerId, WorkflowId } from './ids.ts';
import type { EffectCounts } from './effect.ts';
import type { JsonObject, JsonValue } from './json.ts';
import type { ThrottledBy } from './throttle.ts';

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
  /** What the agent depends on and found down; with the code `DEPENDENCY_FAILED`. */
  readonly dependency?: string;
}

/** What an attempt came to. */
export type Outcome = { readonly ok: true; readonly output: JsonValue } | { readonly ok: false; readonly error: Failure };

/** So many runs with this key go at once; `overlap` says what one does for which there is no room but waiting for its turn. */
export interface Turn {
  readonly key: string;
  readonly limit: number;
  readonly overlap?: 'skip' | 'replace';
}

/** The one thing an unfinished run waits for; stored in the transaction that made it so. */
export type Blocker =
  | {
      readonly kind: 'ticket';
      readonly nodeId: string;
      readonly ticketId: TicketId;
      readonly otherCount: number;
      /** Found out when somebody asks why. */
      readonly throttledBy?: ThrottledBy;
    }
  | { readonly kind: 'retry'; readonly nodeId: string; readonly dueAtMs: number; readonly lastError: Failure }
  | { readonly kind: 'approval'; readonly nodeId: string; readonly approvalId: ApprovalId; readonly expiresAtMs: number }
  | { readonly kind: 'timer'; readonly nodeId: string; readonly dueAtMs: number }
  /** `name` is a signal's name, or `event:` and an event's. */
  | { readonly kind: 'signal'; readonly nodeId: string; readonly name: string; readonly key?: string; readonly expiresAtMs: number }
  | { readonly kind: 'effect_unknown'; readonly nodeId: string; readonly effectId: EffectId; readonly tool: string }
  | { readonly kind: 'paused'; readonly by: string; readonly sinceMs: number; readonly reason?: string }
  | { readonly kind: 'concurrency'; readonly key: string; readonly limit: number };

/** One execution of an agent for a node. */
export interface AttemptView {
  readonly ticketId: TicketId;
  readonly nodeId: string;
  readonly slot: number;
  readonly attempt: number;
  readonly status: 'PENDING' | 'RUNNING' | 'SUCCESS' | 'FAILED' | 'TIMED_OUT' | 'LOST' | 'CANCELLED' | 'SUSPENDED';
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

/**
 * What a slot of an unfinished node waits for, other than a worker. A slot that waits for an agent it called is followed by
 * what that one waits for. `name` is as in {@link Blocker}.
 */
export type NodeWait = { readonly slot: number } & (
  | { readonly kind: 'timer' | 'retry'; readonly untilMs: number }
  | { readonly kind: 'signal'; readonly name: string; readonly key?: string; readonly untilMs: number }
  | { readonly kind: 'approval'; readonly approvalId: ApprovalId }
  | { readonly kind: 'agent'; readonly agent: string }
  | { readonly kind: 'effect'; readonly effectId: EffectId; readonly tool: string }
);

/** A node of a run as the API shows it. */
export interface NodeView {
  readonly id: string;
  /** Absent for a node that only waits. */
  readonly agent?: string;
  readonly action?: string;
  readonly needs: readonly string[];
  readonly status: NodeStatus;
  readonly output?: JsonValue;
  readonly error?: Failure;
  /** True where the result is that of an earlier run. */
  readonly isCarried?: boolean;
  readonly startedAtMs?: number;
  readonly finishedAtMs?: number;
  readonly waits: readonly NodeWait[];
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
  readonly originRunId?: RunId;
}

/** A run, whole. */
export interface RunView extends RunSummary {
  readonly context: JsonObject;
  readonly nodes: readonly NodeView[];
  /** What its agents did to the world outside; absent where they told of nothing. */
  readonly effects?: EffectCounts;
  readonly blocker?: Blocker;
}
