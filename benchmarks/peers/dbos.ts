import { DBOS } from '@dbos-inc/dbos-sdk';
import { startDatabase } from '../harness/database.ts';
import type { Engine, EngineDefinition, EngineStart } from '../harness/engine.ts';
import { versionOf } from './package-version.ts';

async function start({ directory, step }: EngineStart): Promise<Engine> {
  const database = await startDatabase(directory);
  DBOS.setConfig({ name: 'bench', systemDatabaseUrl: database.url, logLevel: 'error' });
  const runStep = () => DBOS.runStep(async () => step(), { name: 'step' });
  const sequence = DBOS.registerWorkflow(
    async (stepCount: number) => {
      for (let index = 0; index < stepCount; index += 1) await runStep();
    },
    { name: 'sequence' },
  );
  const fanOut = DBOS.registerWorkflow(
    async (width: number) => {
      await Promise.all(Array.from({ length: width }, runStep));
    },
    { name: 'fanOut' },
  );
  await DBOS.launch();
  return {
    durability: database.durability,
    runSequence: (stepCount) => sequence(stepCount),
    runFanOut: (width) => fanOut(width),
    stop: async () => {
      await DBOS.shutdown();
      await database.stop();
    },
  };
}

export const engine: EngineDefinition = {
  name: 'DBOS',
  version: versionOf('@dbos-inc/dbos-sdk'),
  kind: 'workflows',
  isDurable: true,
  remark: 'Workflows run in the caller’s process, without a queue: its fastest way.',
  start,
};
