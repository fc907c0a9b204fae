import { type AgentSpec, agentManifestSchema, type RunId } from '@hivekeeper/contract';
import { idMaker } from '@hivekeeper/kernel';
import { FakeClock, seededRandom } from '@hivekeeper/testkit';
import { beforeEach, describe, expect, it } from 'vitest';
import { type Rollout, specFor } from './rollout.ts';

const specOf = (version: string): AgentSpec => ({ ...agentManifestSchema.parse({ name: 'scanner', version }), trust: 'untrusted' });
const [stable, canary] = [specOf('1.0.0'), specOf('2.0.0')];

let clock: FakeClock;
let newRunId: () => RunId;
beforeEach(() => {
  clock = new FakeClock();
  const newId = idMaker(clock, seededRandom(1));
  newRunId = () => newId('run') as RunId;
});

const agent = (rollouts: readonly Rollout[], name = 'scanner') => ({
  name,
  spec: stable,
  versions: { '1.0.0': stable, '2.0.0': canary },
  rollouts,
});
const since = (weights: Rollout['weights']) => ({ sinceMs: clock.nowMs(), weights });
const versionOf = (runId: RunId | undefined, ...given: Parameters<typeof agent>) => specFor(agent(...given), runId).version;

describe('the version of an agent that a run gets', () => {
  it('is the current one without a rollout, without weights, and where no run is named', () => {
    const runId = newRunId();
    expect([versionOf(runId, []), versionOf(runId, [since({})]), versionOf(undefined, [since({ '2.0.0': 1 })])]).toEqual([
      '1.0.0',
      '1.0.0',
      '1.0.0',
    ]);
  });

  it('follows the weights over many runs', () => {
    const rollouts = [since({ '1.0.0': 90, '2.0.0': 10 })];
    const canaries = Array.from({ length: 40_000 }, newRunId).filter((runId) => versionOf(runId, rollouts) === '2.0.0').length;
    expect(canaries / 40_000).toBeCloseTo(0.1, 2);
  });

  it('is always the same for the same run, whoever asks and whatever is rolled out later', async () => {
    const first = since({ '1.0.0': 50, '2.0.0': 50 });
    const runIds = Array.from({ length: 100 }, newRunId);
    const before = runIds.map((runId) => versionOf(runId, [first]));
    await clock.advance(60_000);
    const later = [first, since({ '2.0.0': 1 })];
    expect(runIds.map((runId) => versionOf(runId, later))).toEqual(before);
    expect(versionOf(newRunId(), later)).toBe('2.0.0');
  });

  it('is not that of a rollout which began after the run', async () => {
    const runId = newRunId();
    await clock.advance(1);
    expect(versionOf(runId, [since({ '2.0.0': 1 })])).toBe('1.0.0');
  });

  it('is chosen for each agent by itself', () => {
    const rollouts = [since({ '1.0.0': 50, '2.0.0': 50 })];
    const runIds = Array.from({ length: 100 }, newRunId);
    const chosen = (name: string) => runIds.map((runId) => versionOf(runId, rollouts, name));
    expect(chosen('scanner')).not.toEqual(chosen('judge'));
  });

  it('is the current one where its version is kept no more', () => {
    expect(specFor({ ...agent([since({ '2.0.0': 1 })]), versions: {} }, newRunId()).version).toBe('1.0.0');
  });
});
