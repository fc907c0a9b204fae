import type { AttemptView, Blocker, Failure, NodeStatus, NodeView, RunStatus } from '@hivekeeper/contract';
import { waitsOf } from './node-waits.ts';
import type { RunPlan } from './plan.ts';
import type { NodeState, RunState, Ticket } from './state.ts';

/** Where the run stands, in the words of the API. It waits for approval as soon as one approval is pending. */
export function runStatusOf({ phase, pendingApprovalCount }: RunState): RunStatus {
  if (phase.kind === 'pending' || phase.kind === 'queued') return 'PENDING';
  if (phase.kind === 'ended') return phase.status;
  return pendingApprovalCount > 0 ? 'WAITING_APPROVAL' : 'RUNNING';
}

/** Why the run ended otherwise than well. */
export const errorOf = ({ phase }: RunState): Failure | undefined => (phase.kind === 'ended' ? phase.error : undefined);

/**
 * When the run must be woken: its deadline, its next retry, timer or expiry, whichever is first; after its end at once,
 * as long as the run that undoes it has not begun.
 */
export function wakeAtOf({ phase, deadlineAtMs, finishedAtMs, due }: RunState): number | undefined {
  if (phase.kind === 'pending') return undefined;
  if (phase.kind === 'ended') return phase.toUndo === undefined ? undefined : finishedAtMs;
  const dueAtMs = due[0]?.atMs;
  if (dueAtMs === undefined || deadlineAtMs === undefined) return dueAtMs ?? deadlineAtMs;
  return Math.min(dueAtMs, deadlineAtMs);
}

/**
 * What an unfinished run waits for: what only a person can give comes first (that it goes on, an approval, what became of
 * an effect), then its oldest live ticket, then what time brings. Undefined before the first event and after the end.
 */
export function blockerOf(state: RunState): Blocker | undefined {
  const { phase, pause } = state;
  if (phase.kind === 'pending' || phase.kind === 'ended') return undefined;
  if (pause !== undefined) return { kind: 'paused', by: pause.by, sinceMs: pause.atMs, ...defined({ reason: pause.reason }) };
  if (phase.kind === 'queued') return { kind: 'concurrency', key: phase.key, limit: phase.limit };
  return personOf(state) ?? ticketOf(state) ?? timeOf(state);
}

function personOf({ approvals, firstPendingApproval, unknownEffects }: RunState): Blocker | undefined {
  const approval = approvals[firstPendingApproval];
  if (approval !== undefined) {
    const { nodeId, approvalId, expiresAtMs } = approval;
    return { kind: 'approval', nodeId, approvalId, expiresAtMs };
  }
  const [effect] = unknownEffects;
  return effect === undefined ? undefined : { kind: 'effect_unknown', nodeId: effect.nodeId, effectId: effect.effectId, tool: effect.tool };
}

function ticketOf({ tickets, firstLiveTicket, liveTicketCount }: RunState): Blocker | undefined {
  const ticket = tickets[firstLiveTicket];
  return ticket === undefined
    ? undefined
    : { kind: 'ticket', nodeId: ticket.nodeId, ticketId: ticket.ticketId, otherCount: liveTicketCount - 1 };
}

function timeOf({ due: [due], slots }: RunState): Blocker | undefined {
  const slot = due === undefined || due.kind === 'expiry' ? undefined : slots[due.slotAt];
  if (due === undefined || slot === undefined) return undefined;
  const { nodeId } = due;
  if (slot.phase === 'backoff') return { kind: 'retry', nodeId, dueAtMs: slot.dueAtMs, lastError: slot.lastError };
  if (slot.phase !== 'suspended') return undefined;
  const { wait } = slot;
  if (wait.kind === 'timer') return { kind: 'timer', nodeId, dueAtMs: wait.dueAtMs };
  return wait.kind === 'signal'
    ? { kind: 'signal', nodeId, name: wait.name, expiresAtMs: wait.expiresAtMs, ...defined({ key: wait.key }) }
    : undefined;
}

/** Every node with every attempt, in the workflow's order. */
export function nodeViewsOf(state: RunState, plan: RunPlan): NodeView[] {
  const attempts = plan.nodes.map((): AttemptView[] => []);
  for (const ticket of state.tickets) attempts[ticket.node]?.push(attemptViewOf(ticket));
  return plan.nodes.map(({ definition }, node) => {
    const { id, agent, action, needs } = definition;
    const own = state.nodes[node] as NodeState;
    return {
      id,
      ...defined({ agent, action }),
      needs,
      status: statusOf(own),
      ...endOf(own),
      waits: waitsOf(state, own),
      attempts: attempts[node] ?? [],
    };
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

function endOf(state: NodeState): Partial<Pick<NodeView, 'output' | 'error' | 'isCarried' | 'startedAtMs' | 'finishedAtMs'>> {
  if (state.phase === 'running') return { startedAtMs: state.startedAtMs };
  if (state.phase !== 'finished') return {};
  const { output, error, isCarried, startedAtMs, finishedAtMs } = state;
  return defined({ output, error, isCarried, startedAtMs, finishedAtMs });
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
