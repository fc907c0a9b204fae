import type { AttemptView, Blocker, Failure, NodeStatus, NodeView, RunStatus } from '@hivekeeper/contract';
import type { RunPlan } from './plan.ts';
import type { NodeState, RunState, Ticket } from './state.ts';

/** Where the run stands, in the words of the API. It waits for approval as soon as one approval is pending. */
export function runStatusOf({ phase, pendingApprovalCount }: RunState): RunStatus {
  if (phase.kind === 'pending') return 'PENDING';
  if (phase.kind === 'ended') return phase.status;
  return pendingApprovalCount > 0 ? 'WAITING_APPROVAL' : 'RUNNING';
}

/** Why the run ended otherwise than well. */
export const errorOf = ({ phase }: RunState): Failure | undefined => (phase.kind === 'ended' ? phase.error : undefined);

/** When the run must be woken: its deadline, its next retry or its next approval's expiry, whichever is first. */
export function wakeAtOf({ phase, deadlineAtMs, due }: RunState): number | undefined {
  if (phase.kind !== 'live') return undefined;
  const dueAtMs = due[0]?.atMs;
  if (dueAtMs === undefined || deadlineAtMs === undefined) return dueAtMs ?? deadlineAtMs;
  return Math.min(dueAtMs, deadlineAtMs);
}

/**
 * What a live run waits for: an approval before anything else, since only a person can give it (and the run's status
 * says so); then its oldest live ticket; then its next retry. Undefined before the first event and after the end.
 */
export function blockerOf(state: RunState): Blocker | undefined {
  if (state.phase.kind !== 'live') return undefined;
  const approval = state.approvals[state.firstPendingApproval];
  if (approval !== undefined)
    return { kind: 'approval', nodeId: approval.nodeId, approvalId: approval.approvalId, expiresAtMs: approval.expiresAtMs };
  const ticket = state.tickets[state.firstLiveTicket];
  if (ticket !== undefined)
    return { kind: 'ticket', nodeId: ticket.nodeId, ticketId: ticket.ticketId, otherCount: state.liveTicketCount - 1 };
  const [due] = state.due;
  const slot = due?.kind === 'retry' ? state.slots[due.slotAt] : undefined;
  if (due === undefined || slot?.phase !== 'backoff') return undefined;
  return { kind: 'retry', nodeId: due.nodeId, dueAtMs: slot.dueAtMs, lastError: slot.lastError };
}

/** Every node with every attempt, in the workflow's order. */
export function nodeViewsOf(state: RunState, plan: RunPlan): NodeView[] {
  const attempts = plan.nodes.map((): AttemptView[] => []);
  for (const ticket of state.tickets) attempts[ticket.node]?.push(attemptViewOf(ticket));
  return plan.nodes.map(({ definition }, node) => {
    const { id, agent, action, needs } = definition;
    const own = state.nodes[node] as NodeState;
    return { id, agent, ...defined({ action }), needs, status: statusOf(own), ...endOf(own), attempts: attempts[node] ?? [] };
  });
}

function statusOf(state: NodeState): NodeStatus {
  switch (state.phase) {
    case 'waiting':
      return 'PENDING';
    case 'gated':
      return 'WAITING_APPROVAL';
    case 'running':
      return 'RUNNING';
    case 'finished':
      return state.status;
  }
}

function endOf(state: NodeState): Partial<Pick<NodeView, 'output' | 'error' | 'startedAtMs' | 'finishedAtMs'>> {
  if (state.phase === 'running') return { startedAtMs: state.startedAtMs };
  if (state.phase !== 'finished') return {};
  const { output, error, startedAtMs, finishedAtMs } = state;
  return defined({ output, error, startedAtMs, finishedAtMs });
}

function attemptViewOf(ticket: Ticket): AttemptView {
  const { ticketId, nodeId, slot, attempt, input, issuedAtMs, end } = ticket;
  return { ticketId, nodeId, slot, attempt, input, issuedAtMs, status: end?.status ?? 'PENDING', ...attemptEndOf(ticket) };
}

function attemptEndOf({ issuedAtMs, end }: Ticket): Partial<AttemptView> {
  if (end === undefined) return {};
  const { finishedAtMs, leasedAtMs, workerId } = end;
  const output = end.status === 'SUCCESS' ? end.output : undefined;
  const error = 'error' in end ? end.error : undefined;
  return defined({ output, error, leasedAtMs, finishedAtMs, durationMs: finishedAtMs - (leasedAtMs ?? issuedAtMs), workerId });
}

type Defined<T> = { [Key in keyof T]?: Exclude<T[Key], undefined> };

/** Without the properties that are undefined. */
const defined = <T extends object>(value: T): Defined<T> =>
  Object.fromEntries(Object.entries(value).filter(([, item]) => item !== undefined)) as Defined<T>;
