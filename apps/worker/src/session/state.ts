import type { Outcome, Suspension } from '@hivekeeper/contract';
import type { Receipt, Report } from '../report/index.ts';

/** Why work on a ticket was given up here: somebody else has it, the lease may have run out, or this worker is leaving. */
export type DropReason = 'revoked' | 'fenced' | 'superseded' | 'drained' | 'abandoned';

/**
 * The life of one ticket on this worker.
 *
 * | phase      | started | suspended  | finished  | ended     | reported | dropped |
 * |------------|---------|------------|-----------|-----------|----------|---------|
 * | accepted   | running | ·          | ·         | ·         | ·        | dropped |
 * | running    | ·       | suspending | reporting | ·         | ·        | dropped |
 * | suspending | ·       | ·          | reporting | reporting | ·        | dropped |
 * | reporting  | ·       | ·          | ·         | ·         | done     | dropped |
 * | done       | ·       | ·          | ·         | ·         | ·        | ·       |
 * | dropped    | ·       | ·          | ·         | ·         | ·        | ·       |
 *
 * A dot changes nothing: what comes late is not an error, only too late. An agent that asked to wait is ended, and whatever
 * it says on its way out counts for nothing: from `suspending` the suspension is what is reported.
 */
export type SessionState =
  | { readonly phase: 'accepted' }
  | { readonly phase: 'running' }
  | { readonly phase: 'suspending'; readonly suspension: Suspension }
  | { readonly phase: 'reporting'; readonly report: Report }
  | { readonly phase: 'done'; readonly report: Report; readonly receipt: Receipt }
  | { readonly phase: 'dropped'; readonly reason: DropReason };

/** What happens to a session. */
export type SessionEvent =
  | { readonly type: 'started' }
  /** The agent asked to wait. */
  | { readonly type: 'suspended'; readonly suspension: Suspension }
  /** The agent ended by itself. */
  | { readonly type: 'finished'; readonly outcome: Outcome; readonly costMicroUsd?: number }
  /** The agent was ended from here. */
  | { readonly type: 'ended' }
  | { readonly type: 'reported'; readonly receipt: Receipt }
  | { readonly type: 'dropped'; readonly reason: DropReason };

/** The state after the event. */
export function advance(state: SessionState, event: SessionEvent): SessionState {
  if (isOver(state)) return state;
  switch (event.type) {
    case 'started':
      return state.phase === 'accepted' ? { phase: 'running' } : state;
    case 'suspended':
      return state.phase === 'running' ? { phase: 'suspending', suspension: event.suspension } : state;
    case 'finished':
      return state.phase === 'running' ? { phase: 'reporting', report: reportOf(event) } : reportSuspension(state);
    case 'ended':
      return reportSuspension(state);
    case 'reported':
      return state.phase === 'reporting' ? { phase: 'done', report: state.report, receipt: event.receipt } : state;
    case 'dropped':
      return { phase: 'dropped', reason: event.reason };
  }
}

const reportOf = ({ outcome, costMicroUsd }: Extract<SessionEvent, { readonly type: 'finished' }>): Report => ({
  outcome,
  ...(costMicroUsd !== undefined && { costMicroUsd }),
});

const reportSuspension = (state: SessionState): SessionState =>
  state.phase === 'suspending' ? { phase: 'reporting', report: { suspension: state.suspension } } : state;

/** True where nothing can change any more. */
export const isOver = (state: SessionState): boolean => state.phase === 'done' || state.phase === 'dropped';
