import { HiveError, type RunId, type ScheduleId, type ScheduleRule, scheduleRuleSchema } from '@hivekeeper/contract';
import { describe, expect, it } from 'vitest';
import { contextFor, dueAtMsOf, dutyOf, refusalOf, turnFor, verdictOn } from './policy.ts';
import type { StoredSchedule } from './schedule-store.ts';

const at = (text: string) => Date.parse(`2026-06-01T${text}Z`);
const id = 'sch_01JD0000000000000000000000' as ScheduleId;
const scheduleOf = (rule: Partial<ScheduleRule>, dealtUntil = '00:00:00') => ({
  id,
  dealtUntilMs: at(dealtUntil),
  rule: scheduleRuleSchema.parse({ cron: '0 * * * *', ...rule }),
});
const hours = (instants: readonly { readonly atMs: number }[]) => instants.map(({ atMs }) => new Date(atMs).getUTCHours());

describe('what is due', () => {
  it('is nothing before the next instant, which is when to look again', () => {
    expect(dutyOf(scheduleOf({}), at('00:59:59'))).toEqual({ served: [], missed: undefined, nextDueAtMs: at('01:00:00') });
  });

  it('is an instant from its very moment on, on time for a minute', () => {
    for (const [now, isCaughtUp] of [
      ['01:00:00', false],
      ['01:01:00', false],
      ['01:01:01', true],
    ] as const)
      expect(dutyOf(scheduleOf({}), at(now)).served).toEqual([{ atMs: at('01:00:00'), isCaughtUp }]);
  });

  it.each([
    ['none', '03:30:00', [], 3, '3 instants passed unserved; catchUp is none'],
    ['last', '03:30:00', [3], 2, '2 instants passed unserved; catchUp is last'],
    ['all', '03:30:00', [1, 2, 3], undefined, undefined],
    ['none', '03:00:30', [3], 2, '2 instants passed unserved; catchUp is none'],
    ['last', '03:00:30', [3], 2, '2 instants passed unserved; catchUp is last'],
    ['all', '03:00:30', [1, 2, 3], undefined, undefined],
    ['last', '01:30:00', [1], undefined, undefined],
    ['none', '01:30:00', [], 1, 'one instant passed unserved; catchUp is none'],
  ] as const)('of instants that passed, where catch-up is %s and it is %s, is %j', (...[catchUp, now, served, lastMissed, reason]) => {
    const duty = dutyOf(scheduleOf({ catchUp }), at(now));
    expect(hours(duty.served)).toEqual(served);
    expect(duty.missed).toEqual(lastMissed === undefined ? undefined : { lastAtMs: at(`0${lastMissed}:00:00`), reason });
    expect(duty.nextDueAtMs).toBe(at(`0${Number(now.slice(0, 2)) + 1}:00:00`));
  });

  it('is a hundred instants at most, the last ones', () => {
    const { served, missed } = dutyOf(scheduleOf({ cron: '* * * * *', catchUp: 'all' }), at('10:00:00'));
    expect(served).toHaveLength(100);
    expect(served.at(-1)?.atMs).toBe(at('10:00:00'));
    expect(missed).toEqual({ lastAtMs: at('08:20:00'), reason: 'one instant or more passed unserved; catchUp is all' });
  });

  it('is not what its jitter puts off, and that is looked at when it is due', () => {
    const schedule = scheduleOf({ jitterMs: 3_000_000 });
    const dueAtMs = dueAtMsOf(schedule, at('01:00:00'));
    expect(dueAtMs).toBeGreaterThan(at('01:00:00'));
    expect(dutyOf(schedule, dueAtMs - 1)).toEqual({ served: [], missed: undefined, nextDueAtMs: dueAtMs });
    expect(hours(dutyOf(schedule, dueAtMs).served)).toEqual([1]);
  });
});

describe('jitter', () => {
  it('is the same for the same instant for ever, spread over others, and within its bound', () => {
    const schedule = scheduleOf({ jitterMs: 60_000 });
    const delays = Array.from({ length: 1_000 }, (_, hour) => dueAtMsOf(schedule, hour * 3_600_000) - hour * 3_600_000);
    expect(delays).toEqual(Array.from({ length: 1_000 }, (_, hour) => dueAtMsOf(schedule, hour * 3_600_000) - hour * 3_600_000));
    expect(Math.min(...delays)).toBeGreaterThanOrEqual(0);
    expect(Math.max(...delays)).toBeLessThan(60_000);
    expect(new Set(delays.map((delayMs) => Math.floor(delayMs / 6_000))).size).toBe(10);
  });
});

describe('the overlap policy', () => {
  const runId = 'run_1' as RunId;
  const verdict = (overlap: ScheduleRule['overlap'], hasEnded: boolean, openCount = 1) =>
    verdictOn(scheduleRuleSchema.parse({ cron: '@daily', overlap }), false, { former: { runId, hasEnded }, openCount });

  it.each(['allow', 'skip', 'queue', 'replace'] as const)('%s lets a run begin where the one before has ended', (overlap) => {
    expect(verdict(overlap, true)).toEqual({ outcome: 'STARTING', isCaughtUp: false });
  });

  it.each([
    ['allow', { outcome: 'STARTING', isCaughtUp: false }],
    ['skip', { outcome: 'SKIPPED', isCaughtUp: false, reason: 'run_1 had not ended' }],
    ['queue', { outcome: 'STARTING', isCaughtUp: false }],
    ['replace', { outcome: 'STARTING', isCaughtUp: false }],
  ] as const)('%s decides where it has not', (overlap, expected) => {
    expect(verdict(overlap, false)).toEqual(expected);
  });

  it('queue lets no more than a hundred runs wait', () => {
    expect(verdict('queue', false, 99).outcome).toBe('STARTING');
    expect(verdict('queue', false, 100)).toMatchObject({ outcome: 'SKIPPED', reason: '100 runs of the schedule had not ended' });
  });

  it('makes runs take turns only where they are to wait for each other', () => {
    const turnOf = (overlap: ScheduleRule['overlap']) =>
      turnFor({ id, rule: scheduleRuleSchema.parse({ cron: '@daily', overlap }) } as StoredSchedule);
    expect(turnOf('queue')).toEqual({ key: `schedule:${id}`, limit: 1 });
    expect([turnOf('allow'), turnOf('skip'), turnOf('replace')]).toEqual([undefined, undefined, undefined]);
  });
});

it('tells a run which instant it is for, beside what its schedule gives it', () => {
  const schedule = {
    ...scheduleOf({ timeZone: 'Europe/Berlin' }),
    name: 'nightly',
    context: { target: '/repo', schedule: 'mine' },
  } as unknown as StoredSchedule;
  expect(contextFor(schedule, at('01:00:00'))).toEqual({
    target: '/repo',
    schedule: { name: 'nightly', timeZone: 'Europe/Berlin', nominalAtMs: at('01:00:00'), nominalAt: '2026-06-01T01:00:00.000Z' },
  });
});

it('records a refusal, and throws what may pass', () => {
  expect(refusalOf(new HiveError('WORKFLOW_NOT_ACTIVE', 'w is DRAFT'))).toBe('WORKFLOW_NOT_ACTIVE: w is DRAFT');
  for (const error of [new HiveError('DATABASE_UNAVAILABLE'), new TypeError('a fault of ours')])
    expect(() => refusalOf(error)).toThrow(error);
});
