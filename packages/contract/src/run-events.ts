import type { ApprovalId, EffectId, RunId, TicketId, WorkerId } from './ids.ts';
import type { JsonObject, JsonValue } from './json.ts';
import type { Failure, NodeStatus, Outcome, RunStatus, Turn } from './run.ts';

/**
 * What an agent that gave its ticket back waits for; `step` is the name of the call in its code. When it is over the
 * agent is started again, with what came of it in its {@link MemoEntry | memo}.
 */
export type Suspension =
  | { readonly kind: 'timer'; readonly step: string; readonly forMs: number }
  | { readonly kind: 'signal'; readonly step: string; readonly name: string; readonly key?: string; readonly expiresAfterMs: number }
  | {
      readonly kind: 'approval';
      readonly step: string;
      readonly message: string;
      readonly input: JsonValue;
      readonly expiresAfterMs: number;
    }
  | {
      readonly kind: 'agent';
      readonly step: string;
      readonly agent: string;
      readonly action?: string;
      readonly input: JsonObject;
      /** Said by the control plane: the called agent may act only when a person agrees. */
      readonly isGated?: boolean;
    }
  /** An effect outside of which nobody knows whether it happened: a person says so. */
  | { readonly kind: 'effect'; readonly step: string; readonly effectId: EffectId; readonly tool: string };

/** What became of a step an agent waited for. */
export interface MemoEntry {
  readonly step: string;
  readonly outcome: Outcome;
}

/** A node that a new run need not do again: how it ended in an earlier one. */
export interface CarriedNode {
  readonly nodeId: string;
  readonly status: 'SUCCESS' | 'FAILED' | 'TIMED_OUT' | 'SKIPPED';
  readonly output?: JsonValue;
  readonly error?: Failure;
}

/** One step of undoing a run; with `error` where its input could not be resolved. */
export type CompensationTask = { readonly nodeId: string; readonly agent: string; readonly action?: string } & (
  { readonly input: JsonObject } | { readonly error: Failure }
);

/** How a run begins. */
export interface RunCreated {
  readonly type: 'run.created';
  readonly atMs: number;
  readonly context: JsonObject;
  readonly deadlineAtMs?: number;
  /** Nodes whose action asked for approval when the run began. */
  readonly gatedNodeIds?: readonly string[];
  /** Who started it. */
  readonly by?: string;
  readonly carried?: readonly CarriedNode[];
  /** The run does nothing but this, in this order: it undoes another one. */
  readonly compensation?: readonly CompensationTask[];
  /** So many runs with this key are enough: the run waits for `run.admitted`. */
  readonly queue?: Turn;
}

/** A worker says what became of its ticket; `token` proves to one that repeats itself that it was its word that was recorded. */
interface FromWorker {
  readonly atMs: number;
  readonly ticketId: TicketId;
  readonly token?: string;
  readonly leasedAtMs?: number;
  readonly workerId?: WorkerId;
}

/** Somebody gave an order. */
interface Ordered {
  readonly atMs: number;
  readonly by: string;
  readonly reason?: string;
}

/**
 * What happened to a run: the run's journal is the list of these, and folding it gives the run's state. Every entry
 * carries its time by the clock of the control plane that committed it, so that the fold needs no clock; leases alone go
 * by the database's.
 */
export type RunEvent =
  | RunCreated
  | { readonly type: 'run.admitted'; readonly atMs: number }
  | (FromWorker & { readonly type: 'ticket.settled'; readonly outcome: Outcome; readonly costMicroUsd?: number })
  | (FromWorker & { readonly type: 'ticket.suspended'; readonly suspension: Suspension })
  /** The lease ran out or its holder vanished: not the agent's fault, so it does not count against `maxAttempts`. */
  | (FromWorker & { readonly type: 'ticket.lost' })
  | {
      readonly type: 'approval.decided';
      readonly atMs: number;
      readonly approvalId: ApprovalId;
      readonly approved: boolean;
      readonly by: string;
      readonly notes?: string;
    }
  /** `signalId` makes it count once, however often it is sent. */
  | {
      readonly type: 'signal.received';
      readonly atMs: number;
      readonly signalId: string;
      readonly name: string;
      readonly key?: string;
      readonly payload: JsonValue;
      readonly by: string;
    }
  /** A person said what became of an effect; the ledger has the answer, and the agent is started again to read it. */
  | { readonly type: 'effect.resolved'; readonly atMs: number; readonly effectId: EffectId; readonly by: string }
  /** A due time stored by the run has come. */
  | { readonly type: 'run.woken'; readonly atMs: number }
  | (Ordered & { readonly type: 'run.paused' })
  | (Ordered & { readonly type: 'run.resumed' })
  | (Ordered & { readonly type: 'run.reprioritised'; readonly priority: number })
  | (Ordered & { readonly type: 'run.cancelled' })
  /** The run that undoes this one has begun. */
  | { readonly type: 'run.compensated'; readonly atMs: number; readonly byRunId: RunId };

// The compiler asks for a new type here.
const runEventTable: Readonly<Record<RunEvent['type'], true>> = {
  'run.created': true,
  'run.admitted': true,
  'run.paused': true,
  'run.resumed': true,
  'run.reprioritised': true,
  'run.woken': true,
  'run.cancelled': true,
  'run.compensated': true,
  'ticket.settled': true,
  'ticket.suspended': true,
  'ticket.lost': true,
  'approval.decided': true,
  'signal.received': true,
  'effect.resolved': true,
};
/** Every type of {@link RunEvent}: what recorded journals and simulated worlds have to have. */
export const runEventTypes = Object.keys(runEventTable) as RunEvent['type'][];

/** Where a notice belongs. */
interface OfNode {
  readonly atMs: number;
  readonly nodeId: string;
}

/** What anyone may watch: derived from the journal, numbered `version.index` within its run. */
export type RunNotice =
  | { readonly type: 'run.queued'; readonly atMs: number; readonly key: string }
  | { readonly type: 'run.started'; readonly atMs: number }
  | (OfNode & { readonly type: 'node.started'; readonly slotCount: number })
  | (OfNode & { readonly type: 'ticket.issued'; readonly slot: number; readonly attempt: number; readonly ticketId: TicketId })
  | (OfNode & {
      readonly type: 'attempt.failed';
      readonly slot: number;
      readonly attempt: number;
      readonly error: Failure;
      readonly retryAtMs?: number;
    })
  | (OfNode & { readonly type: 'node.suspended'; readonly slot: number; readonly waitsFor: string; readonly untilMs?: number })
  | (OfNode & { readonly type: 'node.resumed'; readonly slot: number })
  | (OfNode & { readonly type: 'approval.requested'; readonly approvalId: ApprovalId; readonly expiresAtMs: number })
  | (OfNode & {
      readonly type: 'approval.closed';
      readonly approvalId: ApprovalId;
      readonly decision: 'APPROVED' | 'REJECTED' | 'EXPIRED' | 'CANCELLED';
    })
  | (OfNode & {
      readonly type: 'node.finished';
      readonly status: NodeStatus;
      readonly durationMs?: number;
      readonly error?: Failure;
      readonly isCarried?: boolean;
    })
  | { readonly type: 'signal.received'; readonly atMs: number; readonly name: string; readonly signalId: string }
  | (Ordered & { readonly type: 'run.paused' })
  | (Ordered & { readonly type: 'run.resumed' })
  | (Ordered & { readonly type: 'run.reprioritised'; readonly priority: number })
  | { readonly type: 'run.finished'; readonly atMs: number; readonly status: RunStatus; readonly error?: Failure }
  | { readonly type: 'run.compensated'; readonly atMs: number; readonly byRunId: RunId };

/** What a running attempt last said of how far it is: told to watchers between the notices, without a number, and not kept. */
export interface AttemptProgress {
  readonly type: 'attempt.progressed';
  readonly atMs: number;
  readonly nodeId: string;
  readonly slot: number;
  readonly attempt: number;
  readonly ticketId: TicketId;
  readonly progress: JsonValue;
}

/**
 * A stream of a run's events ends before the run does: `unread`: the reader left more unread than is kept for it;
 * `closing`: the control plane stops. Either way `Last-Event-ID` goes on where the last numbered event stood.
 */
export interface StreamEnded {
  readonly type: 'stream.ended';
  readonly atMs: number;
  readonly reason: 'unread' | 'closing';
}
