import { breakerRuleSchema, type ErrorCode, type TicketId } from '@hivekeeper/contract';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { afterOrder, afterVerdict, type Breaker, breakerViewOf, judgedBy, newBreaker } from './breaker.ts';

const rule = { failures: 3, windowMs: 10_000, coolDownMs: 5_000 };
const failure = { code: 'AGENT_FAILED', message: 'no' };
const cause = 'AGENT_FAILED: no';
const trial = 'tkt_trial' as TicketId;
const after = (breaker: Breaker, ...verdicts: readonly (readonly [atMs: number, isFailure: boolean, trialId?: TicketId])[]): Breaker =>
  verdicts.reduce<Breaker>(
    (current, [atMs, isFailure, trialId = 'tkt_1' as TicketId]) =>
      afterVerdict(current, { atMs, trialId, failure: isFailure ? failure : undefined }, rule),
    breaker,
  );
const halfOpen: Breaker = { state: 'half-open', sinceAtMs: 1_000, trialId: trial };

describe('a breaker', () => {
  it('opens with the failure that is one too many within the window, for the cool-down', () => {
    const nearly = after(newBreaker, [1_000, true], [2_000, true]);
    expect(nearly).toEqual({ state: 'closed', failedAtMs: [1_000, 2_000] });
    expect(after(nearly, [3_000, true])).toEqual({ state: 'open', sinceAtMs: 3_000, nextTrialAtMs: 8_000, cause });
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
    expect(after(halfOpen, [2_000, true, trial])).toEqual({ state: 'open', sinceAtMs: 2_000, nextTrialAtMs: 7_000, cause });
  });

  it.each([
    [true, 'open'],
    [false, 'closed'],
  ])('that is half-open hears how an earlier trial ended, though another has begun (failed: %s)', (isFailure, state) => {
    const next: Breaker = { ...halfOpen, trialId: 'tkt_next' as TicketId, earlierTrials: [trial] };
    expect(after(next, [2_000, isFailure, trial]).state).toBe(state);
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
    expect(breakerViewOf({ state: 'open', sinceAtMs: 3_000, nextTrialAtMs: 8_000, cause }, rule, 4_000)).toEqual({
      state: 'open',
      sinceAtMs: 3_000,
      failureCount: 0,
      nextTrialAtMs: 8_000,
      cause,
    });
    expect(breakerViewOf(halfOpen, rule, 4_000)).toEqual({ state: 'half-open', sinceAtMs: 1_000, failureCount: 0 });
  });

  it('has defaults for everything', () => {
    expect(breakerRuleSchema.parse({})).toEqual({ failures: 5, windowMs: 60_000, coolDownMs: 30_000 });
  });
});

describe('what a person decides', () => {
  const by = { atMs: 4_000, by: 'key:ann' };
  const open = after(newBreaker, [1_000, true], [2_000, true], [3_000, true]);

  it('closes a breaker, whatever it was, and forgets its failures', () => {
    for (const breaker of [open, halfOpen]) {
      expect(afterOrder(breaker, { state: 'closed' }, by)).toEqual({ state: 'closed', sinceAtMs: 4_000, failedAtMs: [] });
    }
  });

  it('changes nothing about one that is closed already', () => {
    const nearly = after(newBreaker, [1_000, true]);
    expect(afterOrder(nearly, { state: 'closed' }, by)).toBe(nearly);
  });

  it('opens one for as long as was said, and says who did and why', () => {
    expect(afterOrder(newBreaker, { state: 'open', forMs: 60_000, reason: 'maintenance' }, by)).toEqual({
      ...{ state: 'open', sinceAtMs: 4_000, nextTrialAtMs: 64_000, cause: 'opened by key:ann: maintenance' },
    });
    expect(afterOrder(open, { state: 'open', forMs: 60_000 }, by)).toMatchObject({ sinceAtMs: 3_000, nextTrialAtMs: 64_000 });
  });
});

describe('an outcome', () => {
  const dependsOn = { 'github-api': { ...rule, failures: 9 }, mail: rule };
  const [own, github, mail] = [
    { subject: { kind: 'agent', name: 'scan' }, rule },
    { subject: { kind: 'dependency', name: 'github-api' }, rule: dependsOn['github-api'] },
    { subject: { kind: 'dependency', name: 'mail' }, rule },
  ];
  const judged = (code: string, dependency?: string) => {
    const error = { code, message: '', ...(dependency !== undefined && { dependency }) };
    return { error, judged: judgedBy({ ok: false, error }, 'scan', { breaker: rule, dependsOn }) };
  };

  it.each<ErrorCode | 'OVERLOADED'>(['AGENT_FAILED', 'AGENT_KILLED', 'NODE_TIMED_OUT', 'AGENT_OUTPUT_INVALID', 'OVERLOADED'])(
    '%s says that the agent is failing, and nothing of what it depends on',
    (code) => {
      const { error, judged: said } = judged(code);
      expect(said).toEqual([{ ...own, failure: error }]);
    },
  );

  it.each<ErrorCode>(['AGENT_INPUT_SCHEMA', 'PATH_NOT_ALLOWED', 'AGENT_UNKNOWN_ACTION', 'AGENT_NOT_RUNNABLE', 'LEASE_LOST'])(
    '%s says nothing of the agent',
    (code) => expect(judged(code).judged).toEqual([]),
  );

  it('that blames a dependency speaks of that alone', () => {
    const { error, judged: said } = judged('DEPENDENCY_FAILED', 'github-api');
    expect(said).toEqual([{ ...github, failure: error }]);
  });

  it.each(['other', 'toString'])('that blames %s, which the agent does not depend on, is the agent’s own', (dependency) => {
    const { error, judged: said } = judged('DEPENDENCY_FAILED', dependency);
    expect(said).toEqual([{ ...own, failure: error }]);
  });

  it('that is good speaks for the agent and all it depends on', () => {
    expect(judgedBy({ ok: true, output: null }, 'scan', { breaker: rule, dependsOn })).toEqual([own, github, mail]);
    expect(judgedBy({ ok: true, output: null }, 'scan', {})).toEqual([]);
  });
});
