import type { EffectId, Failure, JsonObject, RunCreated, RunEvent, RunId, RunNotice } from '@hivekeeper/contract';
import { decideApproval, expireApproval } from './approvals.ts';
import { beginUndoing, compensationsOf } from './compensation.ts';
import { at, type Command, type Draft, openDraft, type RunRules } from './draft.ts';
import { type Due, popDue } from './due.ts';
import { isNews, ordinalOf } from './news.ts';
import { closeApproval } from './ledger.ts';
import { dropSlots, finishNode, scopeOf, startNode } from './nodes.ts';
import type { RunPlan } from './plan.ts';
import { loseTicket, resumeSlot, retrySlot, settleTicket, suspendTicket } from './slots.ts';
import type { RunState } from './state.ts';
import { lapse, receiveSignal, suspendedAt } from './waits.ts';

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
  signals: [],
  signalIds: [],
  listeners: [],
  unknownEffects: [],
  due: [],
  priority: plan.definition.priority,
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

function apply(draft: Draft, event: RunEvent): void {
  draft.atMs = event.atMs;
  transition(draft, event);
  settleMoves(draft);
  dropStaleDue(draft);
  const { run } = draft;
  if (run.openNodeCount === 0 && run.phase.kind === 'live') endRun(draft, run.failure === undefined ? 'SUCCESS' : 'FAILED', run.failure);
}

/** Does what the event leads to, and what that leads to, until nothing moves any more. */
function settleMoves(draft: Draft): void {
  for (let next = 0; next < draft.moves.length; next += 1) {
    const step = at(draft.moves, next);
    if (step.move === 'resume') resumeSlot(draft, step, step.outcome);
    else if (at(draft.run.nodes, step.node).phase !== 'waiting') continue;
    else if (step.move === 'skip') finishNode(draft, step.node, { status: 'SKIPPED' });
    else startNode(draft, step.node);
  }
  draft.moves.length = 0;
}

function transition(draft: Draft, event: RunEvent): void {
  switch (event.type) {
    case 'run.created':
      return createRun(draft, event);
    case 'run.admitted':
      if (draft.run.phase.kind === 'queued') beginRun(draft, draft.run.phase.context);
      return;
    case 'ticket.settled':
      return settleTicket(draft, ordinalOf(event.ticketId), event);
    case 'ticket.suspended':
      return suspendTicket(draft, ordinalOf(event.ticketId), event);
    case 'ticket.lost':
      return loseTicket(draft, ordinalOf(event.ticketId), event);
    case 'approval.decided':
      return decideApproval(draft, ordinalOf(event.approvalId), event);
    case 'signal.received':
      return hear(draft, event);
    case 'effect.resolved':
      return resolveEffect(draft, event.effectId);
    case 'run.woken':
      return wakeRun(draft);
    case 'run.cancelled':
      return stopRun(draft, 'CANCELLED', { code: 'RUN_CANCELLED', message: cancelMessage(event) });
    default:
      return order(draft, event);
  }
}

type Order = Extract<RunEvent, { readonly type: 'run.paused' | 'run.resumed' | 'run.reprioritised' | 'run.compensated' }>;

function order({ run, commands, notices }: Draft, event: Order): void {
  notices.push(event);
  switch (event.type) {
    case 'run.paused':
      run.pause = { atMs: event.atMs, by: event.by, reason: event.reason };
      commands.push({ type: 'hold' });
      return;
    case 'run.resumed':
      run.pause = undefined;
      commands.push({ type: 'free' });
      return;
    case 'run.reprioritised':
      run.priority = event.priority;
      commands.push({ type: 'rank', priority: event.priority });
      return;
    case 'run.compensated':
      if (run.phase.kind === 'ended') run.phase = { ...run.phase, toUndo: undefined };
  }
}

function hear(draft: Draft, { atMs, signalId, name, key, payload }: Extract<RunEvent, { readonly type: 'signal.received' }>): void {
  draft.run.signalIds.push(signalId);
  draft.notices.push({ type: 'signal.received', atMs, name, signalId });
  receiveSignal(draft, { name, key, payload });
}

function resolveEffect(draft: Draft, effectId: EffectId): void {
  const waiting = draft.run.unknownEffects.filter((effect) => effect.effectId === effectId);
  for (const { slotAt, node } of waiting) draft.moves.push({ move: 'resume', slotAt, node, outcome: { ok: true, output: null } });
}

const cancelMessage = ({ by, reason }: { readonly by: string; readonly reason?: string }): string =>
  reason === undefined ? `cancelled by ${by}` : `cancelled by ${by}: ${reason}`;

function createRun(draft: Draft, event: RunCreated): void {
  const { run, rules, atMs } = draft;
  const { by, context, deadlineAtMs, gatedNodeIds = [], carried = [], compensation, queue } = event;
  run.startedBy = by;
  run.startedAtMs = atMs;
  run.deadlineAtMs = deadlineAtMs;
  run.carried = carried;
  run.compensation = compensation;
  // What a workflow wants agreed to is doing, not undoing.
  if (compensation !== undefined) for (const node of run.nodes.keys()) gate(draft, node, false);
  for (const id of gatedNodeIds) gate(draft, rules.plan.positionById.get(id), true);
  if (queue === undefined) return beginRun(draft, context);
  run.phase = { kind: 'queued', context, ...queue };
  run.turnKey = queue.key;
  draft.notices.push({ type: 'run.queued', atMs, key: queue.key });
}

function beginRun(draft: Draft, context: JsonObject): void {
  const { run, notices, atMs } = draft;
  run.phase = { kind: 'live', context };
  notices.push({ type: 'run.started', atMs });
  if (run.compensation !== undefined) return beginUndoing(draft, run.compensation);
  const roots = [...run.nodes.entries()].flatMap(([node, state]) => (state.phase === 'waiting' && state.unmetCount === 0 ? [node] : []));
  carryOver(draft);
  for (const node of roots) draft.moves.push({ node, move: 'start' });
}

/** Finishes what an earlier run did. */
function carryOver(draft: Draft): void {
  const { run, rules } = draft;
  for (const { nodeId, ...end } of run.carried ?? []) {
    const node = rules.plan.positionById.get(nodeId);
    if (node !== undefined && at(run.nodes, node).phase === 'waiting') finishNode(draft, node, { ...end, isCarried: true });
  }
  run.carried = undefined;
}

function gate({ run }: Draft, node: number | undefined, isGated: boolean): void {
  if (node === undefined) return;
  const state = at(run.nodes, node);
  if (state.phase === 'waiting') run.nodes[node] = { ...state, isGated };
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
    happen(draft, due);
  }
}

function happen(draft: Draft, due: Due): void {
  switch (due.kind) {
    case 'retry':
      return retrySlot(draft, due);
    case 'expiry':
      return expireApproval(draft, due.approval);
    case 'timer':
      return resumeSlot(draft, due, { ok: true, output: null });
    case 'lapse': {
      const slot = suspendedAt(draft, due.slotAt);
      if (slot !== undefined) resumeSlot(draft, due, { ok: false, error: lapse(slot.wait) });
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
  if (due.kind === 'retry') return slot.phase === 'backoff';
  if (slot.phase !== 'suspended') return false;
  // Only a wait for a signal may end before its time: then the slot may wait for something else already.
  return due.kind === 'timer' || (slot.wait.kind === 'signal' && slot.wait.expiresAtMs === due.atMs);
}

/** Ends a run before its time: nothing stays live. What a queued run was spared stays done. */
function stopRun(draft: Draft, status: 'CANCELLED' | 'TIMED_OUT', error: Failure): void {
  const { run } = draft;
  carryOver(draft);
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
  const isUndone = status === 'SUCCESS' || run.compensation !== undefined;
  const toUndo = isUndone ? [] : compensationsOf(draft, scopeOf(draft));
  run.phase = { kind: 'ended', status, error, toUndo: toUndo.length > 0 ? toUndo : undefined };
  run.finishedAtMs = atMs;
  run.pause = undefined;
  draft.notices.push({ type: 'run.finished', atMs, status, ...(error !== undefined && { error }) });
}
