import { performance } from 'node:perf_hooks';
import { HiveError } from '@hivekeeper/contract';
import type { Engine } from './engine.ts';
import { quantile } from './statistics.ts';

/** How long each workload may take, and how many samples a latency needs at most. */
export interface Effort {
  readonly warmUpMs: number;
  readonly throughputMs: number;
  readonly latencyMs: number;
  readonly latencySamples: number;
}

/** One round of one engine. */
export interface EngineFigures {
  readonly w1PerSecond: number;
  readonly w2AloneP50Ms: number;
  readonly w2AloneP99Ms: number;
  readonly w2StepsPerSecond: number;
  readonly w3P50Ms: number;
  readonly w3P99Ms: number;
  /** Steps the engine ran in the measured windows, counted by the step itself. */
  readonly stepCount: number;
}

const sequenceLength = 10;
const fanOutWidth = 100;

/** W1 one-step workflows, 100 in parallel; W2 ten steps, alone and 50 in parallel; W3 fan-out 100 and join, alone. */
export async function measureEngine(engine: Engine, counter: { stepCount: number }, effort: Effort): Promise<EngineFigures> {
  await warmUp(engine, effort.warmUpMs);
  const before = counter.stepCount;
  const w2Alone = await latenciesMs(() => engine.runSequence(sequenceLength), effort);
  const w3 = await latenciesMs(() => engine.runFanOut(fanOutWidth), effort);
  const w1 = await throughput(() => engine.runSequence(1), { parallel: 100, durationMs: effort.throughputMs });
  const w2 = await throughput(() => engine.runSequence(sequenceLength), { parallel: 50, durationMs: effort.throughputMs });
  const dueCount = (w2Alone.length + w2.finishedCount) * sequenceLength + w3.length * fanOutWidth + w1.finishedCount;
  const stepCount = counter.stepCount - before;
  if (stepCount < dueCount) throw new HiveError('INTERNAL', `The engine reported ${dueCount} steps and ran ${stepCount}.`);
  return {
    w1PerSecond: w1.perSecond,
    w2AloneP50Ms: quantile(w2Alone, 0.5),
    w2AloneP99Ms: quantile(w2Alone, 0.99),
    w2StepsPerSecond: w2.perSecond * sequenceLength,
    w3P50Ms: quantile(w3, 0.5),
    w3P99Ms: quantile(w3, 0.99),
    stepCount,
  };
}

async function warmUp(engine: Engine, durationMs: number): Promise<void> {
  await throughput(() => engine.runSequence(sequenceLength), { parallel: 20, durationMs });
  await latenciesMs(() => engine.runFanOut(fanOutWidth), { latencyMs: durationMs / 2, latencySamples: 5 });
}

/** Runs one after another until time or samples run out; at least once. */
async function latenciesMs(work: () => Promise<void>, effort: Pick<Effort, 'latencyMs' | 'latencySamples'>): Promise<number[]> {
  const samples: number[] = [];
  const endsAt = performance.now() + effort.latencyMs;
  do {
    const startedAt = performance.now();
    await work();
    samples.push(performance.now() - startedAt);
  } while (performance.now() < endsAt && samples.length < effort.latencySamples);
  return samples;
}

/** Keeps `parallel` in flight for the duration, and counts from the first start to the last finish, so draining is paid for. */
async function throughput(
  work: () => Promise<void>,
  load: { parallel: number; durationMs: number },
): Promise<{ finishedCount: number; perSecond: number }> {
  const startedAt = performance.now();
  let finishedCount = 0;
  const lane = async () => {
    while (performance.now() - startedAt < load.durationMs) {
      await work();
      finishedCount += 1;
    }
  };
  await Promise.all(Array.from({ length: load.parallel }, lane));
  return { finishedCount, perSecond: (finishedCount * 1_000) / (performance.now() - startedAt) };
}
