import type { RunId } from '@hivekeeper/contract';
import { expect, it } from 'vitest';
import { throttlesOf } from './throttle.ts';

const work = { runId: 'run_1' as RunId, workflow: 'review' };
const everything = {
  maxCostMicroUsd: 500,
  concurrency: { limit: 3 },
  rate: { limit: 10, windowMs: 1_000 },
  breaker: { failures: 5, windowMs: 60_000, coolDownMs: 30_000 },
  dependsOn: { 'github-api': { failures: 5, windowMs: 60_000, coolDownMs: 30_000 } },
};

it('a ticket has the key of its node, and what its agent says, in this order', () => {
  expect(throttlesOf(everything, { ...work, agent: '2/scan', concurrency: { key: 'repo a', limit: 1 } })).toEqual([
    { kind: 'key', key: 'key:repo a', limit: 1 },
    { kind: 'agent', key: 'agent:2/scan', limit: 3 },
    { kind: 'rate', key: 'rate:2/scan', limit: 10, windowMs: 1_000 },
    { kind: 'breaker', key: 'breaker:2/scan' },
    { kind: 'breaker', key: 'dependency:github-api' },
    { kind: 'budget', key: 'budget:tenant:', scope: 'tenant', maxMicroUsd: 500 },
    { kind: 'budget', key: 'budget:workflow:review', scope: 'workflow', maxMicroUsd: 500 },
    { kind: 'budget', key: 'budget:agent:2/scan', scope: 'agent', maxMicroUsd: 500 },
    { kind: 'budget', key: 'budget:run:run_1', scope: 'run', maxMicroUsd: 500 },
  ]);
});

it.each([
  ['an agent that says nothing', {}],
  ['an agent nobody registered', undefined],
])('a ticket of %s has none', (_, spec) => {
  expect(throttlesOf(spec, { ...work, agent: 'scan' })).toBeUndefined();
});
