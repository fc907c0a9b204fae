import { expect, it } from 'vitest';
import { throttlesOf } from './throttle.ts';

const everything = {
  concurrency: { limit: 3 },
  rate: { limit: 10, windowMs: 1_000 },
  breaker: { failures: 5, windowMs: 60_000, coolDownMs: 30_000 },
  dependsOn: { 'github-api': { failures: 5, windowMs: 60_000, coolDownMs: 30_000 } },
};

it('a ticket has the key of its node, and what its agent says, in this order', () => {
  expect(throttlesOf(everything, { agent: '2/scan', concurrency: { key: 'repo a', limit: 1 } })).toEqual([
    { kind: 'key', key: 'key:repo a', limit: 1 },
    { kind: 'agent', key: 'agent:2/scan', limit: 3 },
    { kind: 'rate', key: 'rate:2/scan', limit: 10, windowMs: 1_000 },
    { kind: 'breaker', key: 'breaker:2/scan' },
    { kind: 'breaker', key: 'dependency:github-api' },
  ]);
});

it.each([
  ['an agent that says nothing', {}],
  ['an agent nobody registered', undefined],
])('a ticket of %s has none', (_, spec) => {
  expect(throttlesOf(spec, { agent: 'scan' })).toBeUndefined();
});
