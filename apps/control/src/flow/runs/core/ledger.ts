import {
  approvalIdOf,
  type ApprovalRule,
  errorCatalogue,
  type Failure,
  type JsonValue,
  type TicketId,
  ticketIdOf,
} from '@hivekeeper/contract';
import { at, type Draft } from './draft.ts';
import { pushDue } from './due.ts';
import type { NodeWork, RunPlan } from './plan.ts';
import type { RunState, Task, TicketEnd, Tries } from './state.ts';

/** Ids have room for so many tickets in one run. */
export const maxTicketsPerRun = 1_000_000;

/** What fails where a run would need more. */
export const tooLarge: Failure = { code: 'RUN_TOO_LARGE', message: errorCatalogue.RUN_TOO_LARGE.cause };

/** Issues a ticket for a slot of a running node and makes it the slot's own. */
export function issueTicket(
  draft: Draft,
  slotAt: number,
  issue: { readonly node: number; readonly task: Task; readonly tries: Tries },
): void {
  const { run, rules, atMs } = draft;
  const { node, task, tries } = issue;
  const { definition, work } = at(rules.plan.nodes, node);
  const { id: nodeId, requires, timeoutMs } = definition;
  const state = at(run.nodes, node);
  const slot = state.phase === 'running' ? slotAt - state.firstSlot : 0;
  const ticket = run.tickets.length;
  const ticketId = ticketIdOf(run.runId, ticket);
  const { attempt } = tries;
  const { input, memo = [], instead, concurrency } = task;
  const { agent, action } = agentOf(work, instead);
  run.tickets.push({ ticketId, node, nodeId, slot, slotAt, attempt, input, issuedAtMs: atMs });
  run.slots[slotAt] = { phase: 'issued', task, ticket, tries };
  run.liveTicketCount += 1;
  const isHeld = run.pause !== undefined;
  const { priority } = run;
  const what = { agent, action, requires, concurrency, input, memo, timeoutMs, priority };
  draft.commands.push({ type: 'issue', ticketId, nodeId, slot, attempt, ...what, readyAtMs: atMs, isHeld });
  draft.notices.push({ type: 'ticket.issued', atMs, nodeId, slot, attempt, ticketId });
}

type Agent = NonNullable<Task['instead']>;

/** Whose work it is. A node that only waits has no agent, and no tickets. */
export function agentOf(work: NodeWork, instead: Task['instead']): Agent {
  if (instead !== undefined) return instead;
  return work.kind === 'agent' ? { agent: work.agent, action: work.action } : { agent: '' };
}

/** Whose work a live ticket is; undefined where it is not live. */
export function agentOfTicket(state: RunState, { nodes }: RunPlan, ticketId: TicketId): string | undefined {
  const live = liveTicket(state, ticketId);
  return live === undefined ? undefined : agentOf(at(nodes, live.ticket.node).work, live.slot.task.instead).agent;
}

/** Names a live ticket's work in its run: the same for the tickets that repeat it because a lease was lost, another after a failure. */
export function workOfTicket(state: RunState, ticketId: TicketId): string | undefined {
  const live = liveTicket(state, ticketId);
  return live === undefined ? undefined : `${live.ticket.slotAt}.${live.slot.tries.failureCount}`;
}

function liveTicket({ tickets, slots }: RunState, ticketId: TicketId) {
  const ticket = tickets[Number(ticketId.slice(ticketId.lastIndexOf('.') + 1))];
  const slot = ticket === undefined ? undefined : slots[ticket.slotAt];
  return ticket?.ticketId === ticketId && slot?.phase === 'issued' ? { ticket, slot } : undefined;
}

/** Ends a live ticket. */
export function closeTicket({ run }: Draft, ticket: number, end: TicketEnd): void {
  run.tickets[ticket] = { ...at(run.tickets, ticket), end };
  run.liveTicketCount -= 1;
  while (run.firstLiveTicket < run.tickets.length && at(run.tickets, run.firstLiveTicket).end !== undefined) run.firstLiveTicket += 1;
}

/** Ends a live ticket whose result is no longer wanted. */
export function revokeTicket(draft: Draft, ticket: number): void {
  draft.commands.push({ type: 'revoke', ticketId: at(draft.run.tickets, ticket).ticketId });
  closeTicket(draft, ticket, { status: 'CANCELLED', finishedAtMs: draft.atMs });
}

/** What an approval is asked for. */
export interface Request {
  readonly node: number;
  /** The slot that waits for it; absent where the node itself does. */
  readonly slotAt?: number;
  /** Stand in for the node's own. */
  readonly instead?: { readonly agent: string; readonly action?: string | undefined } | undefined;
  readonly input: JsonValue;
  readonly rule: Pick<ApprovalRule, 'message' | 'expiresAfterMs' | 'excludeRequester'>;
}

/** Asks for an approval; gives its ordinal. */
export function requestApproval(draft: Draft, { node, slotAt, instead, input, rule }: Request): number {
  const { run, rules, atMs } = draft;
  const { definition, work } = at(rules.plan.nodes, node);
  const { id: nodeId } = definition;
  const { agent, action } = agentOf(work, instead);
  const approval = run.approvals.length;
  const approvalId = approvalIdOf(run.runId, approval);
  const expiresAtMs = atMs + rule.expiresAfterMs;
  const { message, excludeRequester } = rule;
  run.approvals.push({ approvalId, node, nodeId, expiresAtMs, isPending: true, excludeRequester, slotAt });
  run.pendingApprovalCount += 1;
  pushDue(run.due, { kind: 'expiry', atMs: expiresAtMs, node, nodeId, approval });
  draft.commands.push({ type: 'request-approval', approvalId, nodeId, agent, action, message, input, excludeRequester, expiresAtMs });
  draft.notices.push({ type: 'approval.requested', atMs, nodeId, approvalId, expiresAtMs });
  return approval;
}

/** Closes a pending approval. What people decided is stored by whoever took their answer; the rest is commanded. */
export function closeApproval(draft: Draft, approval: number, decision: 'APPROVED' | 'REJECTED' | 'EXPIRED' | 'CANCELLED'): void {
  const { run, atMs } = draft;
  const closed = at(run.approvals, approval);
  run.approvals[approval] = { ...closed, isPending: false };
  run.pendingApprovalCount -= 1;
  while (run.firstPendingApproval < run.approvals.length && !at(run.approvals, run.firstPendingApproval).isPending)
    run.firstPendingApproval += 1;
  const { approvalId, nodeId } = closed;
  if (decision === 'EXPIRED' || decision === 'CANCELLED') draft.commands.push({ type: 'close-approval', approvalId, status: decision });
  draft.notices.push({ type: 'approval.closed', atMs, nodeId, approvalId, decision });
}
