import type { ApprovalId, RunEvent, RunNotice, TicketId, WorkerId } from '@hivekeeper/contract';
import { type FindAgent, type IssuedTicket, type Observation, rankMsOf, rankShiftMs, throttlesOf } from '../tickets/index.ts';
import { agentOfTicket, blockerOf, type Command, decide, errorOf, type RunState, runStatusOf, wakeAtOf } from './core/index.ts';
import { type LiveRun, requirementOf } from './live-runs.ts';
import type { AskedApproval, AwaitedEvent, ClosedApproval, DeadTicket, Ending, RunCommit, RunOrigin } from './run-store.ts';

/** What one batch does to one run, gathered until it is committed. */
export interface RunWork {
  readonly before: LiveRun;
  after: LiveRun;
  readonly atMs: number;
  readonly origin?: RunOrigin | undefined;
  readonly events: RunEvent[];
  readonly notices: RunNotice[];
  readonly issued: Map<TicketId, IssuedTicket>;
  readonly settled: Ending[];
  readonly revoked: TicketId[];
  readonly asked: AskedApproval[];
  readonly closed: Map<ApprovalId, ClosedApproval>;
  readonly awaited: Map<number, AwaitedEvent>;
  readonly forgotten: Set<number>;
  readonly dead: DeadTicket[];
  holding?: 'hold' | 'free' | undefined;
  rankShiftMs: number;
  readonly actors: string[];
}

/** Nothing yet. */
export const newWork = (live: LiveRun, atMs: number, origin?: RunOrigin): RunWork => ({
  before: live,
  after: live,
  atMs,
  origin,
  events: [],
  notices: [],
  issued: new Map(),
  settled: [],
  revoked: [],
  asked: [],
  closed: new Map(),
  awaited: new Map(),
  forgotten: new Set(),
  dead: [],
  rankShiftMs: 0,
  actors: [],
});

/** Folds one event into the work, and sorts what the core commands into what the database shall store. */
export function advance(work: RunWork, event: RunEvent, findAgent: FindAgent): void {
  const { state, commands, notices } = decide(work.after.state, event, work.after.rules);
  work.after = { ...work.after, state };
  work.events.push(event);
  work.notices.push(...notices);
  for (const command of commands) obey(work, command, findAgent);
}

function issue(work: RunWork, command: Extract<Command, { readonly type: 'issue' }>, findAgent: FindAgent): void {
  const { tenantId, runId, state } = work.after;
  const { ticketId, nodeId, slot, attempt, agent, action, input, memo, timeoutMs, isHeld } = command;
  const requirement = requirementOf(findAgent(tenantId, agent, runId), command);
  // Throttles are the agent's, whichever version a run gets.
  const { name: workflow } = work.after.rules.plan.definition;
  const throttles = throttlesOf(findAgent(tenantId, agent), { ...command, runId, workflow });
  const rankMs = rankMsOf({ ...command, deadlineAtMs: state.deadlineAtMs });
  const of = { ticketId, tenantId, runId, nodeId, slot, attempt, agent, action, input };
  work.issued.set(ticketId, { ...of, memo, timeoutMs, requirement, throttles, rankMs, isHeld });
}

function obey(work: RunWork, command: Command, findAgent: FindAgent): void {
  switch (command.type) {
    case 'issue':
      return issue(work, command, findAgent);
    case 'revoke':
      // Issued and revoked within one batch: it never was.
      if (!work.issued.delete(command.ticketId)) work.revoked.push(command.ticketId);
      return;
    case 'request-approval':
      work.asked.push({ ...command, id: command.approvalId });
      return;
    case 'hold':
    case 'free':
      return holdTickets(work, command.type);
    case 'rank':
      return rankTickets(work, command.priority);
    case 'await-event':
      work.awaited.set(command.slotAt, command);
      return;
    case 'forget-event':
      return forget(work, command.slotAt);
    case 'bury':
      work.dead.push(command);
      return;
    case 'close-approval':
      work.closed.set(command.approvalId, { id: command.approvalId, status: command.status });
  }
}

// Awaited and forgotten within one batch: it never was.
function forget(work: RunWork, slotAt: number): void {
  if (!work.awaited.delete(slotAt)) work.forgotten.add(slotAt);
}

function holdTickets(work: RunWork, holding: 'hold' | 'free'): void {
  work.holding = holding;
  for (const [ticketId, ticket] of work.issued) work.issued.set(ticketId, { ...ticket, isHeld: holding === 'hold' });
}

function rankTickets(work: RunWork, priority: number): void {
  const shiftMs = rankShiftMs(work.before.state.priority, priority) - work.rankShiftMs;
  work.rankShiftMs += shiftMs;
  for (const [ticketId, ticket] of work.issued) work.issued.set(ticketId, { ...ticket, rankMs: ticket.rankMs + shiftMs });
}

/** The work as the database stores it. `holders` names who gets which ticket in the same commit. */
export function commitOf(work: RunWork, holders: ReadonlyMap<TicketId, WorkerId>): RunCommit {
  const { state } = work.after;
  const before = standingOf(work.before.state);
  const { status, wakeAtMs, error } = standingOf(state);
  return {
    runId: work.after.runId,
    tenantId: work.after.tenantId,
    version: work.before.version + 1,
    origin: work.origin,
    atMs: work.atMs,
    events: work.events,
    status,
    wakeAtMs,
    blocker: blockerOf(state),
    error,
    hasNewStanding: status !== before.status || wakeAtMs !== before.wakeAtMs || error !== before.error,
    actor: [...new Set(work.actors)].join(' '),
    action: [...new Set(work.events.map((event) => event.type))].join(' '),
    settled: work.settled,
    revoked: work.revoked,
    issued: [...work.issued.values()].map((ticket) => ({ ...ticket, workerId: holders.get(ticket.ticketId) })),
    asked: work.asked,
    closed: [...work.closed.values()],
    holding: work.holding,
    rankShiftMs: work.rankShiftMs,
    awaited: [...work.awaited.values()],
    forgotten: [...work.forgotten],
    dead: work.dead,
    costs: costsOf(work),
    turn: queuedTurnOf(work),
  };
}

const standingOf = (state: RunState) => ({ status: runStatusOf(state), wakeAtMs: wakeAtOf(state), error: errorOf(state) });

/** What attempts that ended cost, as far as their workers know. */
const costsOf = ({ events }: RunWork): RunCommit['costs'] =>
  events.flatMap((event) =>
    event.type === 'ticket.settled' && event.costMicroUsd !== undefined ? [{ ticketId: event.ticketId, microUsd: event.costMicroUsd }] : [],
  );

/** What the work tells of the agents whose tickets it settled. */
export function verdictsOf({ before, after, events }: RunWork): readonly Observation[] {
  return events.flatMap((event) => {
    if (event.type !== 'ticket.settled') return [];
    const { ticketId, outcome } = event;
    // As it was before: afterwards the slot does not know its task any more. No ticket is issued and settled in one batch.
    const agent = agentOfTicket(before.state, before.rules.plan, ticketId);
    return agent === undefined ? [] : [{ tenantId: after.tenantId, agent, ticketId, outcome }];
  });
}

function queuedTurnOf({ before, after: { state } }: RunWork): RunCommit['turn'] {
  const { phase, priority, pause } = state;
  if (phase.kind === 'queued') {
    const { key, limit, overlap } = phase;
    return { key, limit, priority, isPaused: pause !== undefined, ...(overlap !== undefined && { overlap }) };
  }
  return before.state.phase.kind === 'queued' && phase.kind === 'ended' ? 'ended' : undefined;
}
