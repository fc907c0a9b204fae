import type { JsonValue, LeasedTicket, Suspension } from '@hivekeeper/contract';
import type { Clock, Log } from '@hivekeeper/kernel';
import type { ExecuteTicket, Execution } from '../agents/attempt/index.ts';
import type { Deliver } from '../report/index.ts';
import type { AgentSocket } from '../socket/index.ts';
import { type DropReason, type SessionEvent, type SessionState, advance } from './state.ts';

/** One ticket being worked on here. */
export interface Session {
  readonly ticket: LeasedTicket;
  state(): SessionState;
  /** What the agent last said of how far it is. */
  progress(): JsonValue | undefined;
  /** Gives the ticket up: its agent is killed and no result is delivered. */
  drop(reason: DropReason): void;
  /** Resolves when nothing of it is left, also after a drop: no process, no socket, no call on its way. */
  readonly ended: Promise<void>;
}

/** What an agent's socket may do to its session. */
export interface SocketHooks {
  /** Ends what is asked of the control plane. */
  readonly signal: AbortSignal;
  readonly onSuspend: (suspension: Suspension) => void;
  readonly onNotHeld: () => void;
  readonly log: Log;
}

/** Opens the socket by which an agent asks. */
export type OpenSocket = (ticket: LeasedTicket, hooks: SocketHooks) => Promise<AgentSocket>;

/** What sessions are made of. */
export interface SessionParts {
  readonly execute: ExecuteTicket;
  readonly openSocket: OpenSocket;
  readonly deliver: Deliver;
  readonly clock: Clock;
  readonly log: Log;
}

/** Starts work on a ticket, once `after` has settled: an earlier session of the same ticket must be gone first. */
export function openSession(ticket: LeasedTicket, parts: SessionParts, after: Promise<void> = Promise.resolve()): Session {
  const { deliver, clock } = parts;
  const dropped = new AbortController();
  const suspended = new AbortController();
  const log = parts.log.child({
    ticketId: ticket.ticketId,
    runId: ticket.runId,
    nodeId: ticket.nodeId,
    agent: ticket.agent.name,
    attempt: ticket.attempt,
  });
  let state: SessionState = { phase: 'accepted' };
  let progress: JsonValue | undefined;
  const step = (event: SessionEvent): SessionState => (state = advance(state, event));
  const drop = (reason: DropReason) => {
    step({ type: 'dropped', reason });
    dropped.abort(reason);
  };
  const suspend = (suspension: Suspension) => {
    step({ type: 'suspended', suspension });
    suspended.abort();
  };

  const live = async (): Promise<void> => {
    await after;
    if (step({ type: 'started' }).phase !== 'running') return;
    const execution = await executeWithSocket(ticket, parts, {
      signals: { dropped: dropped.signal, suspended: suspended.signal },
      onProgress: (value) => (progress = value),
      onSuspend: suspend,
      onNotHeld: () => drop('revoked'),
      log,
    });
    if (execution.kind === 'suspended') step({ type: 'suspended', suspension: execution.suspension });
    const next = step(execution.kind === 'finished' ? { ...execution, type: 'finished' } : { type: 'ended' });
    if (next.phase !== 'reporting') return;
    const held = { ticketId: ticket.ticketId, token: ticket.token };
    step({ type: 'reported', receipt: await deliver(held, next.report, dropped.signal) });
  };
  const startedAtMs = clock.monotonicMs();
  const ended = live().then(() =>
    log.info({ ...summaryOf(state), durationMs: Math.round(clock.monotonicMs() - startedAtMs) }, 'ticket ended'),
  );
  return { ticket, state: () => state, progress: () => progress, drop, ended };
}

interface Hooks extends Omit<SocketHooks, 'signal'> {
  readonly signals: { readonly dropped: AbortSignal; readonly suspended: AbortSignal };
  readonly onProgress: (progress: JsonValue) => void;
}

/** Runs the agent with a socket of its own, which goes with it. */
async function executeWithSocket(
  ticket: LeasedTicket,
  { execute, openSocket }: SessionParts,
  { signals, onProgress, ...hooks }: Hooks,
): Promise<Execution> {
  try {
    await using socket = await openSocket(ticket, { ...hooks, signal: signals.dropped });
    const signal = AbortSignal.any([signals.dropped, signals.suspended]);
    return await execute(ticket, { signal, socket, log: hooks.log, onProgress });
  } catch (error) {
    // Executing fails in no case: it is the socket that could not be opened, or removed.
    hooks.log.error({ err: error }, 'the agent has no socket');
    return {
      kind: 'finished',
      outcome: { ok: false, error: { code: 'INTERNAL', message: error instanceof Error ? error.message : String(error) } },
    };
  }
}

function summaryOf(state: SessionState): object {
  if (state.phase === 'dropped') return { phase: state.phase, reason: state.reason };
  if (state.phase !== 'done') return { phase: state.phase };
  const { phase, report, receipt } = state;
  if ('suspension' in report) return { phase, receipt, waitsFor: report.suspension.kind };
  return { phase, receipt, ok: report.outcome.ok, ...(!report.outcome.ok && { code: report.outcome.error.code }) };
}
