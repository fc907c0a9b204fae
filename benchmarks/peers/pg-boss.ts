import { PgBoss, type Job } from 'pg-boss';
import { startDatabase } from '../harness/database.ts';
import { type Engine, type EngineDefinition, type EngineStart, Waiters } from '../harness/engine.ts';
import { versionOf } from './package-version.ts';

interface StepData {
  readonly key: string;
  readonly remaining: number;
}

const working = {
  batchSize: 100,
  localConcurrency: 2,
  burstWhenBatchFull: true,
  pollingIntervalSeconds: 0.5,
  notifyPollingIntervalSeconds: 0.5,
} as const;

async function start({ directory, step }: EngineStart): Promise<Engine> {
  const database = await startDatabase(directory);
  const waiters = new Waiters();
  const boss = new PgBoss({ connectionString: database.url, useListenNotify: true, schedule: false, max: 10 });
  await boss.start();
  await boss.getDb().executeSql('CREATE TABLE joins (key text PRIMARY KEY, remaining int NOT NULL)');
  for (const queue of ['step', 'item', 'join']) await boss.createQueue(queue, { notify: true });
  await boss.work<StepData>('step', working, async (jobs) => {
    jobs.forEach(step);
    const next = jobs.filter((job) => job.data.remaining > 1).map((job) => ({ data: { ...job.data, remaining: job.data.remaining - 1 } }));
    if (next.length > 0) await boss.insert('step', next);
    settleAll(
      jobs.filter((job) => job.data.remaining === 1),
      waiters,
    );
  });
  await boss.work<StepData>('item', working, async (jobs) => {
    jobs.forEach(step);
    for (const [key, items] of Map.groupBy(jobs, (job) => job.data.key)) {
      const { rows } = await boss
        .getDb()
        .executeSql('UPDATE joins SET remaining = remaining - $2 WHERE key = $1 RETURNING remaining', [key, items.length]);
      if (rows[0].remaining === 0) await boss.send('join', { key });
    }
  });
  await boss.work<StepData>('join', working, async (jobs) => settleAll(jobs, waiters));
  return {
    durability: database.durability,
    runSequence: async (stepCount) => {
      const { key, settled } = waiters.open();
      await boss.send('step', { key, remaining: stepCount });
      await settled;
    },
    runFanOut: async (width) => {
      const { key, settled } = waiters.open();
      await boss.getDb().executeSql('INSERT INTO joins VALUES ($1, $2)', [key, width]);
      await boss.insert(
        'item',
        Array.from({ length: width }, () => ({ data: { key } })),
      );
      await settled;
    },
    stop: async () => {
      await boss.stop({ graceful: false });
      await database.stop();
    },
  };
}

const settleAll = (jobs: readonly Job<StepData>[], waiters: Waiters): void => jobs.forEach((job) => waiters.settle(job.data.key));

export const engine: EngineDefinition = {
  name: 'pg-boss',
  version: versionOf('pg-boss'),
  kind: 'jobs',
  isDurable: true,
  remark: 'A job queue: each step issues the next, in batches of up to 100. The end is taken before its own commit, which favours it.',
  start,
};
