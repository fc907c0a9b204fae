import type { JsonValue, LeasedTicket } from '@hivekeeper/contract';
import type { Clock, Log } from '@hivekeeper/kernel';
import type { ExecuteTicket } from '../agents/process/index.ts';
import type { Deliver } from '../report/index.ts';
import { type DropReason, type SessionEvent, type SessionState, advance } from './state.ts';

/** One ticket being worked on here. */
export interface Session {
  readonly ticket: LeasedTicket;
  state(): SessionState;
  /** What the agent last said of how far it is. */
  progress(): JsonValue | undefined;
  /** Gives the ticket up: its agent is killed and no result is delivered. */
  drop(reason: DropReason): void;
  /** Resolves when nothing of it is left, also after a drop: no process, no call on its way. */
  readonly ended: Promise<void>;
}

/** What sessions are made of. */
export interface SessionParts {
  readonly execute: ExecuteTicket;
  readonly deliver: Deliver;
  readonly clock: Clock;
  readonly log: Log;
}

/** Starts work on a ticket, once `after` has settled: an earlier session of the same ticket must be gone first. */
export function openSession(
  ticket: LeasedTicket,
  { execute, deliver, clock, log }: SessionParts,
  after: Promise<void> = Promise.resolve(),
): Session {
  const controller = new AbortController();
  const ticketLog = log.child({
    ticketId: ticket.ticketId,
    runId: ticket.runId,
    nodeId: ticket.nodeId,
    agent: ticket.agent.name,
    attempt: ticket.attempt,
  });
  let state: SessionState = { phase: 'accepted' };
  let progress: JsonValue | undefined;
  const step = (event: SessionEvent): SessionState => (state = advance(state, event));

  const live = async (): Promise<void> => {
    await after;
    if (step({ type: 'started' }).phase !== 'running') return;
    const execution = await execute(ticket, { signal: controller.signal, log: ticketLog, onProgress: (value) => (progress = value) });
    const next = execution.kind === 'finished' ? step({ type: 'finished', outcome: execution.outcome }) : state;
    if (next.phase !== 'reporting') return;
    step({ type: 'reported', receipt: await deliver({ ticketId: ticket.ticketId, token: ticket.token }, next.outcome, controller.signal) });
  };
  const startedAtMs = clock.monotonicMs();
  const ended = live().then(() =>
    ticketLog.info({ ...summaryOf(state), durationMs: Math.round(clock.monotonicMs() - startedAtMs) }, 'ticket ended'),
  );
  return {
    ticket,
    state: () => state,
    progress: () => progress,
    drop: (reason) => {
      step({ type: 'dropped', reason });
      controller.abort();
    },
    ended,
  };
}

function summaryOf(state: SessionState): object {
  if (state.phase === 'dropped') return { phase: state.phase, reason: state.reason };
  if (state.phase !== 'done') return { phase: state.phase };
  return { phase: state.phase, receipt: state.receipt, ok: state.outcome.ok, ...(!state.outcome.ok && { code: state.outcome.error.code }) };
}
