import type { ApprovalId, Failure, RunEvent, RunId, RunNotice, TicketId } from '@hivekeeper/contract';
import { at, type Command, type Draft, openDraft, type RunRules } from './draft.ts';
import { type Due, popDue } from './due.ts';
import { closeApproval } from './ledger.ts';
import { dropSlots, failNode, finishNode, runNode, settleMoves } from './nodes.ts';
import type { RunPlan } from './plan.ts';
import { loseTicket, retrySlot, settleTicket } from './slots.ts';
import type { RunState } from './state.ts';
import { wakeAtOf } from './views.ts';

/** What an event, or a list of them, leads to. */
export interface Decision {
  readonly state: RunState;
  readonly commands: readonly Command[];
  readonly notices: readonly RunNotice[];
}

/** A run before its first event. */
export const initialState = (runId: RunId, plan: RunPlan): RunState => ({
  runId,
  phase: { kind: 'pending' },
  nodes: plan.initialNodes,
  slots: [],
  tickets: [],
  approvals: [],
  due: [],
  openNodeCount: plan.nodes.length,
  liveTicketCount: 0,
  firstLiveTicket: 0,
  pendingApprovalCount: 0,
  firstPendingApproval: 0,
});

/** Decides one event: {@link fold} of a list of one. */
export const decide = (state: RunState, event: RunEvent, rules: RunRules): Decision => fold(state, [event], rules);

/**
 * Decides events in order. The state handed in is never changed; the lists inside are copied once, so that folding a
 * journal costs as much as its events and not as much as its events times the size of the workflow. Events that are no
 * news (late, repeated, unknown, after the end) change nothing; where all are, the very same state comes back.
 */
export function fold(state: RunState, events: readonly RunEvent[], rules: RunRules): Decision {
  let draft: Draft | undefined;
  for (const event of events) {
    if (!isNews(draft?.run ?? state, event)) continue;
    draft ??= openDraft(state, rules);
    apply(draft, event);
  }
  return { state: draft?.run ?? state, commands: draft?.commands ?? [], notices: draft?.notices ?? [] };
}

function isNews(state: RunState, event: RunEvent): boolean {
  if (state.phase.kind !== 'live') return state.phase.kind === 'pending' && event.type === 'run.created';
  switch (event.type) {
    case 'run.created':
      return false;
    case 'run.cancelled':
      return true;
    case 'run.woken':
      return (wakeAtOf(state) ?? Infinity) <= event.atMs;
    case 'ticket.settled':
    case 'ticket.lost':
      return isLive(state, event.ticketId);
    case 'approval.decided':
      return isPending(state, event.approvalId);
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

const ordinalOf = (id: TicketId | ApprovalId): number => Number(id.slice(id.lastIndexOf('.') + 1));

function apply(draft: Draft, event: RunEvent): void {
  draft.atMs = event.atMs;
  transition(draft, event);
  settleMoves(draft);
  dropStaleDue(draft);
  const { run } = draft;
  if (run.openNodeCount === 0 && run.phase.kind === 'live') endRun(draft, run.failure === undefined ? 'SUCCESS' : 'FAILED', run.failure);
}

function transition(draft: Draft, event: RunEvent): void {
  switch (event.type) {
    case 'run.created':
      return createRun(draft, event);
    case 'ticket.settled':
      return settleTicket(draft, ordinalOf(event.ticketId), event);
    case 'ticket.lost':
      return loseTicket(draft, ordinalOf(event.ticketId), event);
    case 'approval.decided':
      return decideApproval(draft, ordinalOf(event.approvalId), event);
    case 'run.woken':
      return wakeRun(draft);
    case 'run.cancelled':
      return stopRun(draft, 'CANCELLED', { code: 'RUN_CANCELLED', message: cancelMessage(event) });
  }
}

const cancelMessage = ({ by, reason }: { readonly by: string; readonly reason?: string }): string =>
  reason === undefined ? `cancelled by ${by}` : `cancelled by ${by}: ${reason}`;

function createRun(draft: Draft, event: Extract<RunEvent, { readonly type: 'run.created' }>): void {
  const { run, rules, atMs } = draft;
  run.phase = { kind: 'live', context: event.context };
  run.startedAtMs = atMs;
  run.deadlineAtMs = event.deadlineAtMs;
  draft.notices.push({ type: 'run.started', atMs });
  for (const id of event.gatedNodeIds ?? []) gate(draft, rules.plan.positionById.get(id));
  for (const [node, state] of run.nodes.entries())
    if (state.phase === 'waiting' && state.unmetCount === 0) draft.moves.push({ node, move: 'start' });
}

function gate({ run }: Draft, node: number | undefined): void {
  if (node === undefined) return;
  const state = at(run.nodes, node);
  if (state.phase === 'waiting') run.nodes[node] = { ...state, isGated: true };
}

function decideApproval(draft: Draft, approval: number, event: Extract<RunEvent, { readonly type: 'approval.decided' }>): void {
  const { run } = draft;
  const { node } = at(run.approvals, approval);
  closeApproval(draft, approval, event.approved ? 'APPROVED' : 'REJECTED');
  const state = at(run.nodes, node);
  if (event.approved && state.phase === 'gated') runNode(draft, node, state);
  else
    failNode(draft, node, {
      code: 'APPROVAL_REJECTED',
      message: `rejected by ${event.by}${event.notes === undefined ? '' : `: ${event.notes}`}`,
    });
}

function wakeRun(draft: Draft): void {
  const { run, atMs } = draft;
  if (run.deadlineAtMs !== undefined && run.deadlineAtMs <= atMs) {
    stopRun(draft, 'TIMED_OUT', {
      code: 'RUN_TIMED_OUT',
      message: `the run did not end within ${run.deadlineAtMs - (run.startedAtMs ?? atMs)} ms`,
    });
    return;
  }
  for (let due = nextDue(draft); due !== undefined && due.atMs <= atMs; due = nextDue(draft)) {
    popDue(run.due);
    if (due.kind === 'retry') {
      retrySlot(draft, due.slotAt, due.node);
    } else {
      closeApproval(draft, due.approval, 'EXPIRED');
      failNode(draft, due.node, { code: 'APPROVAL_EXPIRED', message: 'nobody decided before the approval expired' });
    }
  }
}

function nextDue(draft: Draft): Due | undefined {
  dropStaleDue(draft);
  return draft.run.due[0];
}

/** Keeps the top of the heap in force, so that the next wake-up is read off it. */
function dropStaleDue({ run }: Draft): void {
  while (run.due[0] !== undefined && !isInForce(run, run.due[0])) popDue(run.due);
}

function isInForce({ slots, approvals }: RunState, due: Due): boolean {
  if (due.kind === 'expiry') return at(approvals, due.approval).isPending;
  const slot = at(slots, due.slotAt);
  return slot.phase === 'backoff' && slot.dueAtMs === due.atMs;
}

/** Ends a run before its time: nothing stays live. */
function stopRun(draft: Draft, status: 'CANCELLED' | 'TIMED_OUT', error: Failure): void {
  const { run } = draft;
  for (const [node, state] of run.nodes.entries()) {
    if (state.phase === 'finished') continue;
    if (state.phase === 'gated') closeApproval(draft, state.approval, 'CANCELLED');
    dropSlots(draft, node);
    finishNode(draft, node, { status: 'CANCELLED' });
  }
  endRun(draft, status, error);
}

function endRun(draft: Draft, status: 'SUCCESS' | 'FAILED' | 'CANCELLED' | 'TIMED_OUT', error: Failure | undefined): void {
  const { run, atMs } = draft;
  run.phase = { kind: 'ended', status, error };
  run.finishedAtMs = atMs;
  draft.moves.length = 0;
  draft.notices.push({ type: 'run.finished', atMs, status, ...(error !== undefined && { error }) });
}
