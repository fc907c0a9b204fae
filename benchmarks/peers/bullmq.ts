import { type Job, FlowProducer, Queue, Worker } from 'bullmq';
import { type Engine, type EngineDefinition, type EngineStart, type Step, Waiters } from '../harness/engine.ts';
import { freePort, probePort, startServer, untilReady } from '../harness/server.ts';
import { versionOf } from './package-version.ts';

interface RunData {
  readonly key: string;
  readonly stepCount: number;
  readonly stepIndex?: number;
}

/** BullMQ on a Redis of its own, with the given `appendfsync`. */
export const bullmqWith = (appendFsync: 'everysec' | 'always'): EngineDefinition => ({
  name: `BullMQ (appendfsync ${appendFsync})`,
  version: versionOf('bullmq'),
  kind: 'jobs',
  isDurable: appendFsync === 'always',
  remark:
    'A job queue: a run is one job that records its step after each (the documented pattern); fan-out is a flow of 100 jobs and a parent.',
  start: (options) => start(options, appendFsync),
});

async function start({ directory, step }: EngineStart, appendFsync: string): Promise<Engine> {
  const port = await freePort();
  const settings = [
    '--port',
    String(port),
    '--bind',
    '127.0.0.1',
    '--dir',
    directory,
    '--appendonly',
    'yes',
    '--appendfsync',
    appendFsync,
    '--save',
    '',
  ];
  const redis = startServer({ command: 'redis-server', args: settings, directory });
  await untilReady('Redis', () => probePort(port));
  const connection = { host: '127.0.0.1', port, maxRetriesPerRequest: null };
  // More than the runs in flight only adds empty fetches: 100 here was half as fast in W1.
  const concurrency = 50;
  const keep = { defaultJobOptions: { removeOnComplete: true } };
  const [runs, flows] = [new Queue<RunData>('runs', { connection, ...keep }), new FlowProducer({ connection })];
  const waiters = new Waiters();
  const workers = [
    new Worker<RunData>('runs', (job) => runSteps(job, step), { connection, concurrency }),
    new Worker('items', async () => step(), { connection, concurrency }),
    new Worker<RunData>('joins', async () => {}, { connection, concurrency }),
  ];
  for (const worker of workers) worker.on('completed', (job: Job<RunData>) => waiters.settle(job.data.key));
  return {
    durability: `Redis, append-only file, appendfsync ${appendFsync}`,
    runSequence: async (stepCount) => {
      const { key, settled } = waiters.open();
      await runs.add('run', { key, stepCount });
      await settled;
    },
    runFanOut: async (width) => {
      const { key, settled } = waiters.open();
      const opts = { removeOnComplete: true };
      const children = Array.from({ length: width }, () => ({ name: 'item', queueName: 'items', data: {}, opts }));
      await flows.add({ name: 'join', queueName: 'joins', data: { key }, opts, children });
      await settled;
    },
    stop: async () => {
      await Promise.all([...workers, runs, flows].map((part) => part.close()));
      await redis.stop();
    },
  };
}

/** The last step needs no record of its own: the job's completion is it. */
async function runSteps(job: Job<RunData>, step: Step): Promise<void> {
  for (let index = job.data.stepIndex ?? 0; index < job.data.stepCount; index += 1) {
    step();
    if (index + 1 < job.data.stepCount) await job.updateData({ ...job.data, stepIndex: index + 1 });
  }
}
