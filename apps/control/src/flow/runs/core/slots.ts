import { errorCatalogue, type Failure, isErrorCode, type JsonValue, type RunEvent } from '@hivekeeper/contract';
import { pauseMsOf } from './backoff.ts';
import { at, type Draft } from './draft.ts';
import { pushDue } from './due.ts';
import { closeTicket, issueTicket, maxTicketsPerRun } from './ledger.ts';
import { failNode, finishNode } from './nodes.ts';
import type { SlotState, Ticket, Tries } from './state.ts';

/** So many lost leases of one slot are no accident any more. */
export const maxLossesPerSlot = 5;

type Settled = Extract<RunEvent, { readonly type: 'ticket.settled' }>;
type Lost = Extract<RunEvent, { readonly type: 'ticket.lost' }>;
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
  const { tries } = at(run.slots, settled.slotAt) as IssuedSlot;
  const failed = { ...tries, failureCount: tries.failureCount + 1 };
  if (mayRepeat(draft, settled, { error, tries: failed })) repeatAfterPause(draft, settled, { error, tries: failed });
  else failSlot(draft, settled, error);
}

/** A live ticket's lease is over without a result: another one is issued at once. */
export function loseTicket(draft: Draft, ticket: number, event: Lost): void {
  const { run, atMs } = draft;
  const { leasedAtMs, workerId } = event;
  const lost = at(run.tickets, ticket);
  const error = ownError(lost, { code: 'LEASE_LOST', message: errorCatalogue.LEASE_LOST.cause });
  closeTicket(draft, ticket, { finishedAtMs: atMs, leasedAtMs, workerId, status: 'LOST', error });
  const { tries } = at(run.slots, lost.slotAt) as IssuedSlot;
  const lossCount = tries.lossCount + 1;
  if (lossCount >= maxLossesPerSlot || run.tickets.length >= maxTicketsPerRun) {
    failSlot(draft, lost, ownError(lost, { code: 'LEASE_LOST_TOO_OFTEN', message: `the lease was lost ${lossCount} times` }));
    return;
  }
  noteFailure(draft, lost, { error, retryAtMs: atMs });
  repeat(draft, lost, { ...tries, lossCount });
}

/** The pause of a slot is over. */
export function retrySlot(draft: Draft, slotAt: number, node: number): void {
  const { input, tries, lastError } = at(draft.run.slots, slotAt) as Extract<SlotState, { readonly phase: 'backoff' }>;
  if (draft.run.tickets.length < maxTicketsPerRun) repeat(draft, { node, slotAt, input }, tries);
  else failNode(draft, node, lastError);
}

interface Failed {
  readonly error: Failure;
  readonly tries: Tries;
}

// An agent cannot blame another node: whatever it says, the failure is this node's.
const ownError = ({ nodeId }: Ticket, error: Failure): Failure => ({ ...error, nodeId });

function mayRepeat({ run, rules }: Draft, { node }: Ticket, { error, tries }: Failed): boolean {
  const { retry } = at(rules.plan.nodes, node).definition;
  const isFinal = isErrorCode(error.code) && errorCatalogue[error.code].consequence === 'terminal';
  return !isFinal && tries.failureCount < retry.maxAttempts && run.tickets.length < maxTicketsPerRun;
}

function repeatAfterPause(draft: Draft, ticket: Ticket, { error, tries }: Failed): void {
  const { run, rules, atMs } = draft;
  const { node, nodeId, slotAt, input, ticketId } = ticket;
  const pauseMs = pauseMsOf(at(rules.plan.nodes, node).definition.retry, tries.failureCount, ticketId);
  const dueAtMs = atMs + pauseMs;
  noteFailure(draft, ticket, { error, retryAtMs: dueAtMs });
  if (pauseMs === 0) {
    repeat(draft, ticket, tries);
    return;
  }
  run.slots[slotAt] = { phase: 'backoff', input, dueAtMs, lastError: error, tries };
  pushDue(run.due, { kind: 'retry', atMs: dueAtMs, node, nodeId, slotAt });
}

function repeat(draft: Draft, { node, slotAt, input }: Pick<Ticket, 'node' | 'slotAt' | 'input'>, tries: Tries): void {
  issueTicket(draft, slotAt, { node, input, tries: { ...tries, attempt: tries.attempt + 1 } });
}

function noteFailure(
  { notices, atMs }: Draft,
  { nodeId, slot, attempt }: Ticket,
  { error, retryAtMs }: { readonly error: Failure; readonly retryAtMs?: number },
): void {
  notices.push({ type: 'attempt.failed', atMs, nodeId, slot, attempt, error, ...(retryAtMs !== undefined && { retryAtMs }) });
}

function failSlot(draft: Draft, ticket: Ticket, error: Failure): void {
  noteFailure(draft, ticket, { error });
  failNode(draft, ticket.node, error);
}

function completeSlot(draft: Draft, { node, slotAt }: Ticket, output: JsonValue): void {
  const { run, rules } = draft;
  run.slots[slotAt] = { phase: 'done', output };
  const state = at(run.nodes, node);
  if (state.phase !== 'running') return;
  const openCount = state.openCount - 1;
  run.nodes[node] = { ...state, openCount };
  if (openCount > 0) return;
  const isMap = at(rules.plan.nodes, node).map !== undefined;
  finishNode(draft, node, { status: 'SUCCESS', output: isMap ? outputsOf(draft, state) : output });
}

function outputsOf({ run }: Draft, { firstSlot, slotCount }: { readonly firstSlot: number; readonly slotCount: number }): JsonValue {
  return run.slots.slice(firstSlot, firstSlot + slotCount).map((slot) => (slot.phase === 'done' ? slot.output : null));
}
