import { expect, it } from 'vitest';
import { simulate } from './simulation.ts';

it('12,000 schedules end as the reference says and break no invariant on the way', { timeout: 120_000 }, () => {
  const { tally, failure } = simulate({ scheduleCount: 12_000, seed: Date.now() | 0 });
  expect(failure).toBeUndefined();
  expect(tally.scheduleCount).toBe(12_000);
});
