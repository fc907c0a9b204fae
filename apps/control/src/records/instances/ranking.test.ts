import { expect, it } from 'vitest';
import { byRank, rankOf } from './ranking.ts';

it('somebody of whom nothing is known stands in the middle', () => {
  expect(rankOf({ health: 'healthy', telemetry: {} })).toEqual({
    score: 0.7,
    parts: [
      { name: 'health', weight: 0.4, value: 1, because: 'healthy' },
      { name: 'success', weight: 0.4, value: 0.5, because: 'no executions yet' },
      { name: 'room', weight: 0.2, value: 0.5, because: 'it does not tell its load' },
    ],
  });
});

it('the score is the sum of its parts', () => {
  const { score, parts } = rankOf({ health: 'degraded', telemetry: { executionCount: 98, failureCount: 9, loadRatio: 0.25 } });
  expect(parts.map(({ value }) => value)).toEqual([0.5, 0.9, 0.75]);
  expect(score).toBeCloseTo(0.4 * 0.5 + 0.4 * 0.9 + 0.2 * 0.75);
});

it('one success out of one proves less than a thousand out of a thousand', () => {
  const after = (executionCount: number) => rankOf({ health: 'healthy', telemetry: { executionCount, failureCount: 0 } }).score;
  expect(after(1)).toBeLessThan(after(1_000));
});

it('a fresh agent that tells a ratio of 0 over no executions is not taken for a failing one', () => {
  expect(rankOf({ health: 'healthy', telemetry: { executionCount: 0, successRatio: 0 } }).parts[1]?.value).toBe(0.5);
});

it('of equals the lower id comes first', () => {
  const rank = rankOf({ health: 'healthy', telemetry: {} });
  const better = rankOf({ health: 'healthy', telemetry: { loadRatio: 0 } });
  const ids = [
    { id: 'c', rank },
    { id: 'a', rank },
    { id: 'b', rank: better },
  ]
    .sort(byRank)
    .map(({ id }) => id);
  expect(ids).toEqual(['b', 'a', 'c']);
});
