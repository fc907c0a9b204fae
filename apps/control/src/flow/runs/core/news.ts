/** Whether an event is one: late, repeated, unknown and foreign ones change nothing, and nothing changes after the end. */
import type { ApprovalId, RunEvent, TicketId } from '@hivekeeper/contract';
import type { RunState } from './state.ts';
import { wakeAtOf } from './views.ts';

/** True where the event changes the state. */
export function isNews(state: RunState, event: RunEvent): boolean {
  switch (state.phase.kind) {
    case 'pending':
      return event.type === 'run.created';
    case 'queued':
      return event.type === 'run.admitted' || isNewsInLife(state, event);
    case 'live':
      return isNewsInLife(state, event);
    case 'ended':
      return event.type === 'run.compensated' && state.phase.toUndo !== undefined;
  }
}

function isNewsInLife(state: RunState, event: RunEvent): boolean {
  switch (event.type) {
    case 'run.woken':
      return (wakeAtOf(state) ?? Infinity) <= event.atMs;
    case 'signal.received':
      return !state.signalIds.includes(event.signalId);
    case 'effect.resolved':
      return state.unknownEffects.some(({ effectId }) => effectId === event.effectId);
    case 'ticket.settled':
    case 'ticket.suspended':
    case 'ticket.lost':
      return isLive(state, event.ticketId);
    case 'approval.decided':
      return isPending(state, event.approvalId);
    default:
      return isNewsOfRun(state, event);
  }
}

function isNewsOfRun(state: RunState, event: RunEvent): boolean {
  switch (event.type) {
    case 'run.cancelled':
      return true;
    case 'run.paused':
      return state.pause === undefined;
    case 'run.resumed':
      return state.pause !== undefined;
    case 'run.reprioritised':
      return state.priority !== event.priority;
    default:
      return false;
  }
}

function isLive({ tickets }: RunState, ticketId: TicketId): boolean {
  const ticket = tickets[ordinalOf(ticketId)];
  return ticket?.ticketId === ticketId && ticket.end === undefined;
}

function isPending({ approvals }: RunState, approvalId: ApprovalId): boolean {
  const approval = approvals[ordinalOf(approvalId)];
  return approval?.approvalId === approvalId && approval.isPending;
}

/** The number of a ticket or an approval in its run. */
export const ordinalOf = (id: TicketId | ApprovalId): number => Number(id.slice(id.lastIndexOf('.') + 1));
