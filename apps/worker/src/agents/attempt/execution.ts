import type { JsonValue, LeasedTicket, Outcome, Suspension } from '@hivekeeper/contract';
import type { Log } from '@hivekeeper/kernel';

/**
 * What came of executing a ticket. `suspended`: the agent goes on elsewhere, and is heard of when what it waits for is there.
 * `aborted`: the signal ended it, and no result is wanted.
 */
export type Execution =
  | ({ readonly kind: 'finished' } & Finished)
  | { readonly kind: 'suspended'; readonly suspension: Suspension }
  | { readonly kind: 'aborted' };

/** What an attempt came to, and what it cost where that is known: an agent that was ended may have spent more than it told. */
export interface Finished {
  readonly outcome: Outcome;
  readonly costMicroUsd?: number;
}

/** The socket by which an agent asks its worker, in a directory of its own. */
export interface SocketPaths {
  readonly directory: string;
  readonly path: string;
}

/** What the caller may do and hear while an agent runs. */
export interface ExecutionHooks {
  /** Its reason is the session's: `revoked` where the platform took the ticket back. */
  readonly signal: AbortSignal;
  readonly onProgress: (progress: JsonValue) => void;
  /** By which the agent asks its worker. */
  readonly socket: SocketPaths;
  readonly log: Log;
}

/** Does the work of a ticket. Resolves in every case; nothing of the agent is alive here then. */
export type ExecuteTicket = (ticket: LeasedTicket, hooks: ExecutionHooks) => Promise<Execution>;
