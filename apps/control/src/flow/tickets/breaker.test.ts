import { breakerRuleSchema, type ErrorCode, type TicketId } from '@hivekeeper/contract';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { afterVerdict, type Breaker, breakerViewOf, healthIn, newBreaker } from './breaker.ts';

const rule = { failures: 3, windowMs: 10_000, coolDownMs: 5_000 };
const trial = 'tkt_trial' as TicketId;
const after = (breaker: Breaker, ...verdicts: readonly (readonly [atMs: number, isFailure: boolean, ticketId?: TicketId])[]): Breaker =>
  verdicts.reduce<Breaker>(
    (current, [atMs, isFailure, ticketId = 'tkt_1' as TicketId]) => afterVerdict(current, { atMs, isFailure, ticketId }, rule),
    breaker,
  );
const halfOpen: Breaker = { state: 'half-open', sinceAtMs: 1_000, trialTicketId: trial };

describe('a breaker', () => {
  it('opens with the failure that is one too many within the window, for the cool-down', () => {
    const nearly = after(newBreaker, [1_000, true], [2_000, true]);
    expect(nearly).toEqual({ state: 'closed', failedAtMs: [1_000, 2_000] });
    expect(after(nearly, [3_000, true])).toEqual({ state: 'open', sinceAtMs: 3_000, nextTrialAtMs: 8_000 });
  });

  it.each([
    ['that is older than the window', [1_000, 2_000], 11_000],
    ['from before the clock was put back', [90_000, 91_000], 5_000],
  ])('does not count a failure %s', (_, failedAtMs, atMs) => {
    expect(after({ state: 'closed', failedAtMs }, [atMs, true]).state).toBe('closed');
  });

  it('that is closed does not change by what goes well', () => {
    const nearly = after(newBreaker, [1_000, true]);
    expect(after(nearly, [1_500, false])).toBe(nearly);
  });

  it('that is half-open closes when its trial goes well, and forgets the failures', () => {
    expect(after(halfOpen, [2_000, false, trial])).toEqual({ state: 'closed', sinceAtMs: 2_000, failedAtMs: [] });
  });

  it('that is half-open opens again when its trial fails, for another cool-down', () => {
    expect(after(halfOpen, [2_000, true, trial])).toEqual({ state: 'open', sinceAtMs: 2_000, nextTrialAtMs: 7_000 });
  });

  it.each([true, false])('that is not closed takes no notice of tickets leased before (failed: %s)', (isFailure) => {
    const open = after(newBreaker, [1, true], [2, true], [3, true]);
    for (const breaker of [open, halfOpen]) expect(after(breaker, [4_000, isFailure])).toBe(breaker);
  });

  it('never opens by fewer failures than its rule says, and never stays closed with as many', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(4_000), fc.boolean()), { maxLength: 60 }), (steps) => {
        let [breaker, atMs]: [Breaker, number] = [newBreaker, 0];
        const failures: number[] = [];
        for (const [passedMs, isFailure] of steps) {
          atMs += passedMs;
          breaker = after(breaker, [atMs, isFailure]);
          if (isFailure) failures.push(atMs);
          const recent = failures.filter((each) => each > atMs - rule.windowMs);
          if (breaker.state === 'open') {
            expect(recent.length).toBeGreaterThanOrEqual(rule.failures);
            return;
          }
          expect(recent.length).toBeLessThan(rule.failures);
        }
      }),
    );
  });

  it('shows the failures that count still, and when the next trial is', () => {
    const nearly: Breaker = { state: 'closed', failedAtMs: [1_000, 9_000] };
    expect(breakerViewOf(nearly, rule, 12_000)).toEqual({ state: 'closed', failureCount: 1 });
    expect(breakerViewOf({ state: 'open', sinceAtMs: 3_000, nextTrialAtMs: 8_000 }, rule, 4_000)).toEqual({
      state: 'open',
      sinceAtMs: 3_000,
      failureCount: 0,
      nextTrialAtMs: 8_000,
    });
    expect(breakerViewOf(halfOpen, rule, 4_000)).toEqual({ state: 'half-open', sinceAtMs: 1_000, failureCount: 0 });
  });

  it('has defaults for everything', () => {
    expect(breakerRuleSchema.parse({})).toEqual({ failures: 5, windowMs: 60_000, coolDownMs: 30_000 });
  });
});

describe('an outcome', () => {
  const failure = (code: string) => healthIn({ ok: false, error: { code, message: '' } });

  it.each<ErrorCode | 'OVERLOADED'>(['AGENT_FAILED', 'AGENT_KILLED', 'NODE_TIMED_OUT', 'AGENT_OUTPUT_INVALID', 'OVERLOADED'])(
    '%s says that the agent is failing',
    (code) => expect(failure(code)).toBe('failing'),
  );

  it.each<ErrorCode>(['AGENT_INPUT_SCHEMA', 'PATH_NOT_ALLOWED', 'AGENT_UNKNOWN_ACTION', 'AGENT_NOT_RUNNABLE', 'LEASE_LOST'])(
    '%s says nothing of the agent',
    (code) => expect(failure(code)).toBeUndefined(),
  );

  it('that is good says that it is well', () => {
    expect(healthIn({ ok: true, output: null })).toBe('well');
  });
});
