import { EventEmitter } from 'node:events';
import { Logger, run, type Job, type WorkerEvents } from 'graphile-worker';
import { Pool } from 'pg';
import { startDatabase } from '../harness/database.ts';
import { type Engine, type EngineDefinition, type EngineStart, Waiters } from '../harness/engine.ts';
import { versionOf } from './package-version.ts';

interface StepPayload {
  readonly key: string;
  readonly remaining: number;
}

async function start({ directory, step }: EngineStart): Promise<Engine> {
  const database = await startDatabase(directory);
  // A pool of our own: the runner's is still closing when its stop() resolves. Connections that end with the server are no news.
  const pool = new Pool({ connectionString: database.url, max: 20 });
  pool.on('error', () => {});
  const waiters = new Waiters();
  const events: WorkerEvents = new EventEmitter();
  events.on('job:complete', ({ job }) => settleLast(job, waiters));
  const runner = await run({
    // Batched fetching and completion, as its own performance page recommends; ten at a time did best on two cores.
    pgPool: pool,
    preset: { worker: { concurrentJobs: 10, localQueue: { size: 500 }, completeJobBatchDelay: 0, failJobBatchDelay: 0 } },
    noHandleSignals: true,
    logger: new Logger(() => () => {}),
    events,
    taskList: {
      step: async (payload, helpers) => {
        const { key, remaining } = payload as StepPayload;
        step();
        if (remaining > 1) await helpers.addJob('step', { key, remaining: remaining - 1 });
      },
      begin: async (payload, helpers) => {
        const { key, remaining } = payload as StepPayload;
        await helpers.addJob(
          'items',
          Array.from({ length: remaining }, () => ({ key })),
        );
      },
      items: async (payload, helpers) => {
        (payload as readonly unknown[]).forEach(step);
        await helpers.addJob('join', { key: (payload as readonly StepPayload[])[0]?.key, remaining: 1 });
      },
      join: async () => {},
    },
  });
  const runTask = (task: string) => async (remaining: number) => {
    const { key, settled } = waiters.open();
    await runner.addJob(task, { key, remaining });
    await settled;
  };
  return {
    durability: database.durability,
    runSequence: runTask('step'),
    runFanOut: runTask('begin'),
    stop: async () => {
      await runner.stop();
      await pool.end();
      await database.stop();
    },
  };
}

/** A run ends with its last step, or with its join; the event comes after the job is recorded as done. */
function settleLast(job: Job, waiters: Waiters): void {
  const { key, remaining } = job.payload as StepPayload;
  if (job.task_identifier === 'join' || (job.task_identifier === 'step' && remaining === 1)) waiters.settle(key);
}

export const engine: EngineDefinition = {
  name: 'Graphile Worker',
  version: versionOf('graphile-worker'),
  kind: 'jobs',
  isDurable: true,
  remark: 'A job queue: each step issues the next. Fan-out is one batch job for all 100 items, so the items share one record.',
  start,
};
