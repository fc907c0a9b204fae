import type { ApprovalId, EffectId, RunEvent, RunId, TicketId } from '@hivekeeper/contract';
import { wakeAtOf } from '../core/index.ts';
import type { RunUnderTest } from '../core/run-under-test.ts';

/** Where noise is made. */
export interface Quiet {
  readonly run: RunUnderTest;
  /** Effects of which somebody waits to hear. */
  readonly effects: ReadonlySet<EffectId>;
  readonly pick: (below: number) => number;
}

const strangers = {
  ticket: ['tkt_01JD0000000000000000000000.999999', 'tkt_01JD0000000000000000000001.0'] as TicketId[],
  approval: ['apr_01JD0000000000000000000000.999999', 'apr_01JD0000000000000000000001.0'] as ApprovalId[],
};

/** An event that is no news: one that came before, perhaps with another answer, one too early, or about a stranger. */
export function noiseFor(quiet: Quiet): RunEvent | undefined {
  const { run, pick } = quiet;
  const makers = [() => repeated(quiet), () => repeated(quiet), () => strange(quiet), () => outOfPlace(quiet)];
  const event = makers[pick(makers.length)]?.();
  return event === undefined ? undefined : { ...event, atMs: event.type === 'run.woken' ? event.atMs : run.nowMs };
}

/** Something of the journal that may come again at any time; what can be answered is answered otherwise. */
function repeated({ run, effects, pick }: Quiet): RunEvent | undefined {
  const past = run.journal[pick(run.journal.length)];
  switch (past?.type) {
    case 'ticket.settled':
      return {
        ...past,
        outcome: past.outcome.ok ? { ok: false, error: { code: 'AGENT_FAILED', message: 'late' } } : { ok: true, output: 'late' },
      };
    case 'approval.decided':
      return { ...past, approved: !past.approved };
    case 'signal.received':
      return { ...past, payload: 'again' };
    case 'effect.resolved':
      return effects.has(past.effectId) ? undefined : past;
    case 'run.created':
    case 'ticket.suspended':
    case 'ticket.lost':
      return past;
    default:
      return undefined;
  }
}

function strange({ run, pick }: Quiet): RunEvent | undefined {
  const atMs = run.nowMs;
  const ticketId = strangers.ticket[pick(2)] as TicketId;
  const events: RunEvent[] = [
    { type: 'ticket.lost', atMs, ticketId },
    { type: 'ticket.settled', atMs, ticketId, outcome: { ok: true, output: null } },
    { type: 'ticket.suspended', atMs, ticketId, suspension: { kind: 'timer', step: 'x', forMs: 1 } },
    { type: 'approval.decided', atMs, approvalId: strangers.approval[pick(2)] as ApprovalId, approved: true, by: 'eve' },
    { type: 'effect.resolved', atMs, effectId: 'eff_unknown' as EffectId, by: 'eve' },
  ];
  return events[pick(events.length)];
}

/** What has its time, and not now. */
function outOfPlace({ run, pick }: Quiet): RunEvent | undefined {
  const { state, nowMs: atMs } = run;
  const { phase, pause, priority } = state;
  const isOver = phase.kind === 'ended';
  const events: (RunEvent | undefined)[] = [
    { type: 'run.woken', atMs: isOver ? atMs + pick(1_000) : (wakeAtOf(state) ?? atMs) - 1 },
    phase.kind === 'queued' ? undefined : { type: 'run.admitted', atMs },
    isOver ? undefined : { type: 'run.compensated', atMs, byRunId: 'run_01JD0000000000000000000001' as RunId },
    pause !== undefined || isOver ? { type: 'run.paused', atMs, by: 'eve' } : undefined,
    pause === undefined ? { type: 'run.resumed', atMs, by: 'eve' } : undefined,
    { type: 'run.reprioritised', atMs, by: 'eve', priority },
    isOver ? { type: 'run.cancelled', atMs, by: 'eve' } : undefined,
  ];
  return events[pick(events.length)];
}
