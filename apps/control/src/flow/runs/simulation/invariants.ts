import { deepStrictEqual, ok, strictEqual } from 'node:assert/strict';
import { blockerOf, runStatusOf, type RunState, wakeAtOf } from '../core/index.ts';

/** What must hold of every state, whatever led to it. @throws AssertionError that says what does not */
export function checkState(state: RunState): void {
  checkCounts(state);
  checkWaits(state);
  checkWakeUp(state);
  const status = runStatusOf(state);
  const isUnfinished = state.phase.kind === 'queued' || state.phase.kind === 'live';
  strictEqual(blockerOf(state) !== undefined, isUnfinished, 'an unfinished run, and no other, waits for something');
  const isAsking = state.approvals.some(({ isPending }) => isPending);
  strictEqual(status === 'WAITING_APPROVAL', isAsking, 'a run waits for approval while one is pending, and only then');
  if (state.phase.kind === 'queued') deepStrictEqual([state.slots.length, status], [0, 'PENDING'], 'a queued run does nothing');
  else strictEqual(state.carried?.length ?? 0, 0, 'what was carried over is in its nodes');
  if (state.phase.kind === 'ended') checkEnd(state);
}

/** Every count is the length of its list, and every shortcut leads where a search would. */
function checkCounts(state: RunState): void {
  const { tickets, approvals, nodes, slots } = state;
  const live = tickets.filter(({ end }) => end === undefined);
  strictEqual(state.liveTicketCount, live.length, 'live tickets are counted');
  strictEqual(tickets[state.firstLiveTicket], live[0], 'the first live ticket is known');
  const pending = approvals.filter(({ isPending }) => isPending);
  strictEqual(state.pendingApprovalCount, pending.length, 'pending approvals are counted');
  strictEqual(approvals[state.firstPendingApproval], pending[0], 'the first pending approval is known');
  strictEqual(state.openNodeCount, nodes.filter(({ phase }) => phase !== 'finished').length, 'open nodes are counted');
  strictEqual(live.length, slots.filter(({ phase }) => phase === 'issued').length, 'a live ticket has a slot of its own');
  for (const slot of slots)
    if (slot.phase === 'issued') ok(live.includes(tickets[slot.ticket] as never), 'an issued slot has a live ticket');
  for (const node of nodes) {
    if (node.phase !== 'running') continue;
    const own = slots.slice(node.firstSlot, node.firstSlot + node.slotCount);
    strictEqual(node.openCount, own.filter(({ phase }) => phase !== 'done').length, 'open slots are counted');
    ok(node.openCount > 0, 'a node whose slots are all done has finished');
  }
  strictEqual(new Set(state.signalIds).size, state.signalIds.length, 'a signal is known once');
}

/** Whoever waits is on the list that would wake them, and nobody else is. */
function checkWaits({ slots, listeners, unknownEffects, approvals }: RunState): void {
  const waitingFor = (kind: string) =>
    [...slots.entries()].flatMap(([at, slot]) => (slot.phase === 'suspended' && slot.wait.kind === kind ? [at] : []));
  const placesOf = (places: readonly { readonly slotAt: number }[]) => places.map(({ slotAt }) => slotAt).sort((a, b) => a - b);
  strictEqual(String(placesOf(listeners)), String(waitingFor('signal')), 'who waits for a signal listens');
  strictEqual(String(placesOf(unknownEffects)), String(waitingFor('effect')), 'who waits for an effect is known');
  for (const slot of slots) {
    if (slot.phase !== 'suspended') continue;
    if (slot.wait.kind === 'approval') ok(approvals[slot.wait.approval]?.isPending, 'an approval that is waited for is pending');
    if (slot.wait.kind !== 'agent') continue;
    const called = slots[slot.wait.slotAt]?.phase;
    ok(called === 'issued' || called === 'backoff' || called === 'suspended', 'a called agent that is waited for goes on');
  }
}

/** The run wakes when the first thing is due, by a search. */
function checkWakeUp(state: RunState): void {
  const { phase, slots, approvals, deadlineAtMs, finishedAtMs } = state;
  if (phase.kind === 'pending') return;
  if (phase.kind === 'ended')
    return strictEqual(wakeAtOf(state), phase.toUndo === undefined ? undefined : finishedAtMs, 'a run that ended sleeps');
  const dues = slots.flatMap((slot) => {
    if (slot.phase === 'backoff') return [slot.dueAtMs];
    if (slot.phase !== 'suspended') return [];
    if (slot.wait.kind === 'timer') return [slot.wait.dueAtMs];
    return slot.wait.kind === 'signal' ? [slot.wait.expiresAtMs] : [];
  });
  const expiries = approvals.flatMap(({ isPending, expiresAtMs }) => (isPending ? [expiresAtMs] : []));
  const first = Math.min(...dues, ...expiries, deadlineAtMs ?? Infinity);
  strictEqual(wakeAtOf(state) ?? Infinity, first, 'a run wakes when the first thing is due');
}

function checkEnd({ slots, pause, nodes, phase }: RunState): void {
  const open = slots.filter((slot) => slot.phase !== 'done' && slot.phase !== 'dropped');
  strictEqual(open.length, 0, 'nothing is live after the end');
  strictEqual(pause, undefined, 'no run is paused after the end');
  strictEqual(
    nodes.every((node) => node.phase === 'finished'),
    true,
    'every node has ended when its run has',
  );
  if (phase.kind === 'ended' && phase.status === 'SUCCESS') strictEqual(phase.toUndo, undefined, 'what went well is not undone');
}

/** Forbids every change of a value that was handed out. What is frozen already was frozen deeply. */
export function freeze(value: unknown): void {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return;
  Object.freeze(value);
  for (const part of Object.values(value)) freeze(part);
}
