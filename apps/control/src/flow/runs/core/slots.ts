import {
  defaultApprovalRule,
  errorCatalogue,
  type Failure,
  isErrorCode,
  type JsonValue,
  type MemoEntry,
  type Outcome,
  type RunEvent,
} from '@hivekeeper/contract';
import { pauseMsOf } from './backoff.ts';
import { at, type Draft } from './draft.ts';
import { pushDue } from './due.ts';
import { agentOf, closeTicket, issueTicket, maxTicketsPerRun, requestApproval, tooLarge } from './ledger.ts';
import { failNode, finishNode, isFatal } from './nodes.ts';
import type { SlotPlace, SlotState, Task, Ticket, Tries, Wait } from './state.ts';
import { endWait, maxMemoEntries, slotNumberOf, suspend, suspendedAt, taskOf, waitOf } from './waits.ts';

/** So many lost leases of one slot are no accident any more. */
export const maxLossesPerSlot = 5;

type Settled = Extract<RunEvent, { readonly type: 'ticket.settled' }>;
type Lost = Extract<RunEvent, { readonly type: 'ticket.lost' }>;
type Suspended = Extract<RunEvent, { readonly type: 'ticket.suspended' }>;
type IssuedSlot = Extract<SlotState, { readonly phase: 'issued' }>;

/** The result of a live ticket arrived. */
export function settleTicket(draft: Draft, ticket: number, event: Settled): void {
  const { run, atMs } = draft;
  const { outcome, leasedAtMs, workerId } = event;
  const settled = at(run.tickets, ticket);
  const ended = { finishedAtMs: atMs, leasedAtMs, workerId };
  if (outcome.ok) {
    closeTicket(draft, ticket, { ...ended, status: 'SUCCESS', output: outcome.output });
    completeSlot(draft, settled, outcome.output);
    return;
  }
  const error = ownError(settled, outcome.error);
  closeTicket(draft, ticket, { ...ended, status: error.code === 'NODE_TIMED_OUT' ? 'TIMED_OUT' : 'FAILED', error });
  const { task, tries } = at(run.slots, settled.slotAt) as IssuedSlot;
  const failed = { error, task, tries: { ...tries, failureCount: tries.failureCount + 1 } };
  if (mayRepeat(draft, settled, failed)) repeatAfterPause(draft, settled, failed);
  else failTicket(draft, settled, error);
}

/** A live ticket's lease is over without a result: another one is issued at once. */
export function loseTicket(draft: Draft, ticket: number, event: Lost): void {
  const { run, atMs } = draft;
  const { leasedAtMs, workerId } = event;
  const lost = at(run.tickets, ticket);
  const error = ownError(lost, { code: 'LEASE_LOST', message: errorCatalogue.LEASE_LOST.cause });
  closeTicket(draft, ticket, { finishedAtMs: atMs, leasedAtMs, workerId, status: 'LOST', error });
  const { task, tries } = at(run.slots, lost.slotAt) as IssuedSlot;
  const lossCount = tries.lossCount + 1;
  if (lossCount >= maxLossesPerSlot) {
    failTicket(draft, lost, ownError(lost, { code: 'LEASE_LOST_TOO_OFTEN', message: `the lease was lost ${lossCount} times` }));
    return;
  }
  noteFailure(draft, lost, { error, retryAtMs: atMs });
  repeat(draft, lost, { task, tries: { ...tries, lossCount } });
}

/** The agent ended because it waits for something. */
export function suspendTicket(draft: Draft, ticket: number, event: Suspended): void {
  const { run, atMs } = draft;
  const { suspension, leasedAtMs, workerId } = event;
  const own = at(run.tickets, ticket);
  closeTicket(draft, ticket, { finishedAtMs: atMs, leasedAtMs, workerId, status: 'SUSPENDED' });
  const { task, tries } = at(run.slots, own.slotAt) as IssuedSlot;
  if ((task.memo?.length ?? 0) >= maxMemoEntries) {
    const code = 'SUSPENDED_TOO_OFTEN';
    failTicket(draft, own, ownError(own, { code, message: errorCatalogue[code].cause }));
    return;
  }
  suspend(draft, own, { task, tries, wait: waitOf(draft, own, suspension) });
  if (suspension.kind === 'agent') call(draft, own, suspension);
}

/** Adds a slot for the agent that another one called: gated where that agent may act only when a person agrees. */
function call(
  draft: Draft,
  { node, slotAt: callerSlotAt }: SlotPlace,
  suspension: Extract<Suspended['suspension'], { readonly kind: 'agent' }>,
): void {
  const { run } = draft;
  const { agent, action, input, isGated } = suspension;
  const slotAt = run.slots.length;
  const task: Task = { input, instead: { agent, action }, callerSlotAt };
  const tries = { attempt: 0, failureCount: 0, lossCount: 0 };
  run.slots.push({ phase: 'held', task });
  if (isGated !== true) repeat(draft, { node, slotAt }, { task, tries });
  else {
    const approval = requestApproval(draft, { node, slotAt, instead: task.instead, input, rule: defaultApprovalRule });
    suspend(draft, { node, slotAt }, { task, tries, wait: { kind: 'approval', step: '', approval } });
  }
}

/** What a slot waited for has come, or will not. An agent is started again, and finds it in its memo. */
export function resumeSlot(draft: Draft, place: SlotPlace, outcome: Outcome): void {
  const { rules, atMs } = draft;
  const slot = suspendedAt(draft, place.slotAt);
  if (slot === undefined) return;
  const { task, tries, wait } = slot;
  endWait(draft, place.slotAt, wait);
  const { work, definition } = at(rules.plan.nodes, place.node);
  draft.notices.push({ type: 'node.resumed', atMs, nodeId: definition.id, slot: slotNumberOf(draft, place) });
  // A step without name is no step of an agent: a node that only waits, or a call that a person had to allow.
  if (wait.step === '' && !outcome.ok) failSlot(draft, place, outcome.error);
  else if (work.kind !== 'agent') completeSlot(draft, place, outcome.ok ? outcome.output : null);
  else repeat(draft, place, { task: isMemorable(wait) ? remembering(task, { step: wait.step, outcome }) : task, tries });
}

// What became of an effect stands in the ledger, where the agent reads it.
const isMemorable = (wait: Wait): boolean => wait.step !== '' && wait.kind !== 'effect';

const remembering = (task: Task, entry: MemoEntry): Task => ({ ...task, memo: [...(task.memo ?? []), entry] });

/** The pause of a slot is over. */
export function retrySlot(draft: Draft, place: SlotPlace): void {
  const { task, tries } = at(draft.run.slots, place.slotAt) as Extract<SlotState, { readonly phase: 'backoff' }>;
  repeat(draft, place, { task, tries });
}

interface Tried {
  readonly task: Task;
  readonly tries: Tries;
}
type Failed = Tried & { readonly error: Failure };

// An agent cannot blame another node: whatever it says, the failure is this node's.
const ownError = ({ nodeId }: Ticket, error: Failure): Failure => ({ ...error, nodeId });

function mayRepeat({ rules }: Draft, { node }: Ticket, { error, tries }: Failed): boolean {
  const { retry } = at(rules.plan.nodes, node).definition;
  const isFinal = isErrorCode(error.code) && errorCatalogue[error.code].consequence === 'terminal';
  return !isFinal && tries.failureCount < retry.maxAttempts;
}

function repeatAfterPause(draft: Draft, ticket: Ticket, { error, task, tries }: Failed): void {
  const { run, rules, atMs } = draft;
  const { node, nodeId, slotAt, ticketId } = ticket;
  const pauseMs = pauseMsOf(at(rules.plan.nodes, node).definition.retry, tries.failureCount, ticketId);
  const dueAtMs = atMs + pauseMs;
  noteFailure(draft, ticket, { error, retryAtMs: dueAtMs });
  if (pauseMs === 0) {
    repeat(draft, ticket, { task, tries });
    return;
  }
  run.slots[slotAt] = { phase: 'backoff', task, dueAtMs, lastError: error, tries };
  pushDue(run.due, { kind: 'retry', atMs: dueAtMs, node, nodeId, slotAt });
}

function repeat(draft: Draft, place: SlotPlace, { task, tries }: Tried): void {
  if (draft.run.tickets.length >= maxTicketsPerRun) failSlot(draft, place, tooLarge);
  else issueTicket(draft, place.slotAt, { node: place.node, task, tries: { ...tries, attempt: tries.attempt + 1 } });
}

function noteFailure(
  { notices, atMs }: Draft,
  { nodeId, slot, attempt }: Ticket,
  { error, retryAtMs }: { readonly error: Failure; readonly retryAtMs?: number },
): void {
  notices.push({ type: 'attempt.failed', atMs, nodeId, slot, attempt, error, ...(retryAtMs !== undefined && { retryAtMs }) });
}

/** The last ticket of a slot failed: where that fails the run, its evidence is kept until somebody deals with it. */
function failTicket(draft: Draft, ticket: Ticket, error: Failure): void {
  noteFailure(draft, ticket, { error });
  const { work } = at(draft.rules.plan.nodes, ticket.node);
  const task = taskOf(draft, ticket.slotAt);
  if (isFatal(draft, ticket.node) && task?.callerSlotAt === undefined) {
    const { ticketId, nodeId, slot, attempt, input } = ticket;
    const { agent, action } = agentOf(work, task?.instead);
    draft.commands.push({ type: 'bury', ticketId, nodeId, slot, attempt, agent, action, input, error });
  }
  failSlot(draft, ticket, error);
}

function failSlot(draft: Draft, place: SlotPlace, error: Failure): void {
  const callerSlotAt = taskOf(draft, place.slotAt)?.callerSlotAt;
  if (callerSlotAt === undefined) {
    failNode(draft, place.node, error);
    return;
  }
  draft.run.slots[place.slotAt] = { phase: 'dropped' };
  draft.moves.push({ move: 'resume', node: place.node, slotAt: callerSlotAt, outcome: { ok: false, error } });
}

function completeSlot(draft: Draft, { node, slotAt }: SlotPlace, output: JsonValue): void {
  const { run, rules } = draft;
  const callerSlotAt = taskOf(draft, slotAt)?.callerSlotAt;
  run.slots[slotAt] = { phase: 'done', output };
  if (callerSlotAt !== undefined) {
    draft.moves.push({ move: 'resume', node, slotAt: callerSlotAt, outcome: { ok: true, output } });
    return;
  }
  const state = at(run.nodes, node);
  if (state.phase !== 'running') return;
  const openCount = state.openCount - 1;
  run.nodes[node] = { ...state, openCount };
  if (openCount > 0) return;
  const isMap = at(rules.plan.nodes, node).map !== undefined && run.compensation === undefined;
  finishNode(draft, node, { status: 'SUCCESS', output: isMap ? outputsOf(draft, state) : output });
}

function outputsOf({ run }: Draft, { firstSlot, slotCount }: { readonly firstSlot: number; readonly slotCount: number }): JsonValue {
  return run.slots.slice(firstSlot, firstSlot + slotCount).map((slot) => (slot.phase === 'done' ? slot.output : null));
}
