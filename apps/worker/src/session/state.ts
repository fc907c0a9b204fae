import type { Outcome } from '@hivekeeper/contract';
import type { Receipt } from '../report/index.ts';

/** Why work on a ticket was given up here: somebody else has it, the lease may have run out, or this worker is leaving. */
export type DropReason = 'revoked' | 'fenced' | 'superseded' | 'drained' | 'abandoned';

/**
 * The life of one ticket on this worker.
 *
 * | phase     | started | finished  | reported | dropped |
 * |-----------|---------|-----------|----------|---------|
 * | accepted  | running | ·         | ·        | dropped |
 * | running   | ·       | reporting | ·        | dropped |
 * | reporting | ·       | ·         | done     | dropped |
 * | done      | ·       | ·         | ·        | ·       |
 * | dropped   | ·       | ·         | ·        | ·       |
 *
 * A dot changes nothing: what comes late is not an error, only too late.
 */
export type SessionState =
  | { readonly phase: 'accepted' }
  | { readonly phase: 'running' }
  | { readonly phase: 'reporting'; readonly outcome: Outcome }
  | { readonly phase: 'done'; readonly outcome: Outcome; readonly receipt: Receipt }
  | { readonly phase: 'dropped'; readonly reason: DropReason };

/** What happens to a session. */
export type SessionEvent =
  | { readonly type: 'started' }
  | { readonly type: 'finished'; readonly outcome: Outcome }
  | { readonly type: 'reported'; readonly receipt: Receipt }
  | { readonly type: 'dropped'; readonly reason: DropReason };

/** The state after the event. */
export function advance(state: SessionState, event: SessionEvent): SessionState {
  if (isOver(state)) return state;
  switch (event.type) {
    case 'started':
      return state.phase === 'accepted' ? { phase: 'running' } : state;
    case 'finished':
      return state.phase === 'running' ? { phase: 'reporting', outcome: event.outcome } : state;
    case 'reported':
      return state.phase === 'reporting' ? { phase: 'done', outcome: state.outcome, receipt: event.receipt } : state;
    case 'dropped':
      return { phase: 'dropped', reason: event.reason };
  }
}

/** True where nothing can change any more. */
export const isOver = (state: SessionState): boolean => state.phase === 'done' || state.phase === 'dropped';
