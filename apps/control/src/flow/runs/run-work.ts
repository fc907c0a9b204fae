import type { ApprovalId, Failure, RunEvent, RunNotice, TicketId, WorkerId } from '@hivekeeper/contract';
import { type FindAgent, type IssuedTicket, rankMsOf } from '../tickets/index.ts';
import { blockerOf, type Command, decide, errorOf, runStatusOf, wakeAtOf } from './core/index.ts';
import { type LiveRun, requirementOf } from './live-runs.ts';
import type { AskedApproval, ClosedApproval, Ending, RunCommit, RunOrigin } from './run-store.ts';

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

function obey(work: RunWork, command: Command, findAgent: FindAgent): void {
  switch (command.type) {
    case 'issue': {
      const { tenantId, runId } = work.after;
      const { ticketId, nodeId, slot, attempt, agent, action, input, timeoutMs } = command;
      const requirement = requirementOf(findAgent(tenantId, agent), command);
      const rankMs = rankMsOf({ ...command, deadlineAtMs: work.after.state.deadlineAtMs });
      work.issued.set(ticketId, { ticketId, tenantId, runId, nodeId, slot, attempt, agent, action, input, timeoutMs, requirement, rankMs });
      return;
    }
    case 'revoke':
      // Issued and revoked within one batch: it never was.
      if (!work.issued.delete(command.ticketId)) work.revoked.push(command.ticketId);
      return;
    case 'request-approval':
      work.asked.push({ ...command, id: command.approvalId });
      return;
    case 'close-approval':
      work.closed.set(command.approvalId, { id: command.approvalId, status: command.status });
  }
}

/** The work as the database stores it. `holders` names who gets which ticket in the same commit. */
export function commitOf(work: RunWork, holders: ReadonlyMap<TicketId, WorkerId>): RunCommit {
  const { state } = work.after;
  const status = runStatusOf(state);
  const error: Failure | undefined = errorOf(state);
  return {
    runId: work.after.runId,
    tenantId: work.after.tenantId,
    version: work.before.version + 1,
    origin: work.origin,
    atMs: work.atMs,
    events: work.events,
    status,
    wakeAtMs: wakeAtOf(state),
    blocker: blockerOf(state),
    error,
    actor: [...new Set(work.actors)].join(' '),
    action: [...new Set(work.events.map((event) => event.type))].join(' '),
    settled: work.settled,
    revoked: work.revoked,
    issued: [...work.issued.values()].map((ticket) => ({ ...ticket, workerId: holders.get(ticket.ticketId) })),
    asked: work.asked,
    closed: [...work.closed.values()],
  };
}
