import { approvalIdOf, type JsonObject, type JsonValue, ticketIdOf } from '@hivekeeper/contract';
import { at, type Draft } from './draft.ts';
import { pushDue } from './due.ts';
import { defaultApproval } from './plan.ts';
import type { TicketEnd, Tries } from './state.ts';

/** Ids have room for so many tickets in one run. */
export const maxTicketsPerRun = 1_000_000;

/** Issues a ticket for a slot of a running node and makes it the slot's own. */
export function issueTicket(
  draft: Draft,
  slotAt: number,
  issue: { readonly node: number; readonly input: JsonObject; readonly tries: Tries },
): void {
  const { run, rules, atMs } = draft;
  const { node, input, tries } = issue;
  const { id: nodeId, agent, action, requires, timeoutMs } = at(rules.plan.nodes, node).definition;
  const state = at(run.nodes, node);
  const slot = state.phase === 'running' ? slotAt - state.firstSlot : 0;
  const ticket = run.tickets.length;
  const ticketId = ticketIdOf(run.runId, ticket);
  const { attempt } = tries;
  run.tickets.push({ ticketId, node, nodeId, slot, slotAt, attempt, input, issuedAtMs: atMs });
  run.slots[slotAt] = { phase: 'issued', input, ticket, tries };
  run.liveTicketCount += 1;
  const { priority } = rules.plan.definition;
  const work = { agent, action, requires, input, timeoutMs, priority };
  draft.commands.push({ type: 'issue', ticketId, nodeId, slot, attempt, ...work, readyAtMs: atMs });
  draft.notices.push({ type: 'ticket.issued', atMs, nodeId, slot, attempt, ticketId });
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

/** Asks for an approval of a node; gives its ordinal. */
export function requestApproval(draft: Draft, node: number, input: JsonValue): number {
  const { run, rules, atMs } = draft;
  const { definition, approval: rule = defaultApproval } = at(rules.plan.nodes, node);
  const { id: nodeId, agent, action } = definition;
  const approval = run.approvals.length;
  const approvalId = approvalIdOf(run.runId, approval);
  const expiresAtMs = atMs + rule.expiresAfterMs;
  run.approvals.push({ approvalId, node, nodeId, expiresAtMs, isPending: true });
  run.pendingApprovalCount += 1;
  pushDue(run.due, { kind: 'expiry', atMs: expiresAtMs, node, nodeId, approval });
  draft.commands.push({ type: 'request-approval', approvalId, nodeId, agent, action, message: rule.message, input, expiresAtMs });
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
