import { expect, it } from 'vitest';
import { healthOf, isAvailable, worseOf } from './health.ts';

it.each([
  [0, 1_000, 'healthy'],
  [1_999, 1_000, 'healthy'],
  [2_000, 1_000, 'degraded'],
  [3_499, 1_000, 'degraded'],
  [3_500, 1_000, 'unhealthy'],
  [29_999, 1_000, 'unhealthy'],
  [30_000, 1_000, 'gone'],
  [3_499, 200, 'degraded'],
  [104_999, 30_000, 'degraded'],
  [105_000, 30_000, 'unhealthy'],
] as const)('silent for %i ms where a beat was promised every %i ms is %s', (silentMs, beatIntervalMs, health) => {
  expect(healthOf(silentMs, beatIntervalMs)).toBe(health);
});

it('of two healths the worse one counts, whichever comes first', () => {
  expect([worseOf('healthy', 'gone'), worseOf('unhealthy', 'degraded'), worseOf('healthy', 'healthy')]).toEqual([
    'gone',
    'unhealthy',
    'healthy',
  ]);
});

it('new work goes to who lives and was ordered nothing else', () => {
  const are = (['healthy', 'degraded', 'unhealthy', 'gone'] as const).map((health) => isAvailable({ health, duty: 'active' }));
  expect(are).toEqual([true, true, false, false]);
  expect(isAvailable({ health: 'healthy', duty: 'cordoned' }) || isAvailable({ health: 'healthy', duty: 'draining' })).toBe(false);
});
