import { createHash } from 'node:crypto';
import { HiveError, type JsonObject, type Turn } from '@hivekeeper/contract';
import { instantsBetween, nextInstant } from './instants.ts';
import type { Former, StoredSchedule, Verdict } from './schedule-store.ts';

/** An instant served later than this after its time was missed: whether it is served after all is for the catch-up policy. */
export const onTimeMs = 60_000;
/** Most instants that are served at a time; what passed before them is not made up for. */
const maxServed = 100;
/** Most runs of one schedule that wait for each other. */
const maxQueued = 100;

/** What is to be done about a schedule. Nominal instants, the oldest first. */
export interface Duty {
  readonly served: readonly { readonly atMs: number; readonly isCaughtUp: boolean }[];
  /** What the catch-up policy lets go; all of it came before what is served. */
  readonly missed?: { readonly lastAtMs: number; readonly reason: string } | undefined;
  /** When there is something to do again. */
  readonly nextDueAtMs: number;
}

type Scheduled = Pick<StoredSchedule, 'id' | 'rule' | 'dealtUntilMs'>;

/** When a nominal instant is served, if nothing is in the way: later by the schedule's jitter, always by the same. */
export function dueAtMsOf({ id, rule }: Pick<Scheduled, 'id' | 'rule'>, nominalAtMs: number): number {
  if (rule.jitterMs === 0) return nominalAtMs;
  const share = createHash('sha256').update(`${id} ${nominalAtMs}`).digest().readUInt32BE() / 2 ** 32;
  return nominalAtMs + Math.floor(share * rule.jitterMs);
}

/**
 * What is due now. What is on time is served; of what is late, all, the last, or none.
 *
 * | catchUp | late instants that are served                    |
 * |---------|--------------------------------------------------|
 * | none    | none                                             |
 * | last    | the last one, where none is on time              |
 * | all     | all, but no more than {@link maxServed} together with what is on time |
 */
export function dutyOf(schedule: Scheduled, nowMs: number): Duty {
  const { rule, dealtUntilMs } = schedule;
  const passed = instantsBetween(rule, [dealtUntilMs, nowMs], maxServed + 1);
  const waiting = passed.findIndex((atMs) => dueAtMsOf(schedule, atMs) > nowMs);
  const due = waiting < 0 ? passed : passed.slice(0, waiting);
  const next = waiting < 0 ? nextInstant(rule, Math.max(nowMs, dealtUntilMs)) : (passed[waiting] as number);
  const late = due.filter((atMs) => nowMs - dueAtMsOf(schedule, atMs) > onTimeMs);
  const onTime = due.slice(late.length);
  const caughtUp = late.slice(late.length - Math.min(late.length, caughtUpCount(rule.catchUp, onTime.length)));
  const missed = late.slice(0, late.length - caughtUp.length);
  return {
    served: [...caughtUp.map((atMs) => ({ atMs, isCaughtUp: true })), ...onTime.map((atMs) => ({ atMs, isCaughtUp: false }))],
    missed: missedOf(missed, { isMore: passed.length > maxServed, catchUp: rule.catchUp }),
    nextDueAtMs: dueAtMsOf(schedule, next),
  };
}

function caughtUpCount(catchUp: StoredSchedule['rule']['catchUp'], onTimeCount: number): number {
  if (catchUp === 'all') return maxServed - onTimeCount;
  return catchUp === 'last' && onTimeCount === 0 ? 1 : 0;
}

function missedOf(missed: readonly number[], { isMore, catchUp }: { readonly isMore: boolean; readonly catchUp: string }): Duty['missed'] {
  const lastAtMs = missed.at(-1);
  if (lastAtMs === undefined) return undefined;
  const count = missed.length === 1 ? 'one instant' : `${missed.length} instants`;
  return { lastAtMs, reason: `${count}${isMore ? ' or more' : ''} passed unserved; catchUp is ${catchUp}` };
}

/** What the overlap policy says of an instant that is due. */
export function verdictOn(
  { overlap }: StoredSchedule['rule'],
  isCaughtUp: boolean,
  { former, openCount }: { readonly former: Former | undefined; readonly openCount: number },
): Verdict {
  if (overlap === 'skip' && former?.hasEnded === false) return { outcome: 'SKIPPED', isCaughtUp, reason: `${former.runId} had not ended` };
  if (overlap === 'queue' && openCount >= maxQueued)
    return { outcome: 'SKIPPED', isCaughtUp, reason: `${openCount} runs of the schedule had not ended` };
  return { outcome: 'STARTING', isCaughtUp };
}

/** What the run is given: the schedule's context, and which instant it is for. */
export const contextFor = ({ name, rule, context }: StoredSchedule, nominalAtMs: number): JsonObject => ({
  ...context,
  schedule: { name, timeZone: rule.timeZone, nominalAtMs, nominalAt: new Date(nominalAtMs).toISOString() },
});

/** What its runs take turns at, where they wait for each other. */
export const turnFor = ({ id, rule }: StoredSchedule): Turn | undefined =>
  rule.overlap === 'queue' ? { key: `schedule:${id}`, limit: 1 } : undefined;

/** Why no run could begin, as it is recorded; an error that may pass is thrown on. */
export function refusalOf(error: unknown): string {
  if (!HiveError.is(error) || error.entry.consequence === 'retry') throw error;
  return `${error.code}: ${error.message}`;
}
