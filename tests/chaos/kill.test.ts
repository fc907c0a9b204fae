// @module-tag needs-bwrap
import { mkdir, readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { HiveError, isTerminal, type RunView } from '@hivekeeper/contract';
import { retry } from '@hivekeeper/kernel';
import { describe, expect, test } from 'vitest';
import { allGone, descendants, killAll, rest, type Stack, startStack, temporaryDirectory } from '../stack/stack.ts';

const runCount = 50;
const nodeCount = 10;
const recorder = resolve(import.meta.dirname, 'fixtures/recorder');

interface Scene {
  readonly data: string;
  readonly records: string;
  readonly runIds: readonly string[];
  stack: Stack;
}

/** 50 runs of ten nodes, under way. */
async function begin(directory: string): Promise<Scene> {
  const data = join(directory, 'data');
  const records = join(directory, 'records');
  await mkdir(records, { mode: 0o777 });
  const stack = await startStack({ dataDirectory: data, roots: [directory], leaseMs: 3_000, environment: { HIVE_PARALLEL: '8' } });
  await stack.client.registerAgent({ entryPath: recorder });
  await stack.client.deployWorkflow({
    name: 'ten',
    nodes: Array.from({ length: nodeCount }, (_, index) => ({
      id: `n${index}`,
      agent: 'recorder',
      input: { directory: records },
      needs: index === 0 ? [] : [`n${index - 1}`],
    })),
  });
  const runIds = await Promise.all(Array.from({ length: runCount }, async () => (await stack.client.startRun('ten', { context: {} })).id));
  return { data, records, runIds, stack };
}

const executionsIn = async (records: string): Promise<string[]> =>
  (await readFile(join(records, 'executions'), 'utf8').catch(() => '')).split('\n').filter((line) => line !== '');

/** Resolves when the agents have been executed so often: the fault shall meet work under way. */
async function executed({ records }: Scene, count: number): Promise<void> {
  while ((await executionsIn(records)).length < count) await rest();
}

/** Resolves with every run once it has ended; a refusal that passes is met as any client would: by asking again. */
const finished = ({ runIds, stack }: Scene): Promise<RunView[]> =>
  Promise.all(
    runIds.map((runId) =>
      retry(
        async () => {
          for await (const { event } of stack.client.events(runId)) if (event.type === 'run.finished') break;
          return stack.client.run(runId);
        },
        {
          maxAttempts: 10,
          minDelayMs: 200,
          maxDelayMs: 2_000,
          isRetryable: (error) => HiveError.is(error) && error.entry.consequence === 'retry',
        },
      ),
    ),
  );

/** Every run succeeded, every node has exactly one recorded result, and an agent ran again only where a lease was lost. */
async function judge(scene: Scene): Promise<{ readonly lost: number; readonly executions: number }> {
  const runs = await finished(scene);
  expect(runs.flatMap((run) => (run.status === 'SUCCESS' ? [] : [{ id: run.id, status: run.status, error: run.error }]))).toEqual([]);
  expect(runs.every((run) => isTerminal(run.status))).toBe(true);
  const executions = await executionsIn(scene.records);
  const times = new Map<string, number>();
  for (const line of executions)
    times.set(line.split(' ').slice(0, 2).join(' '), (times.get(line.split(' ').slice(0, 2).join(' ')) ?? 0) + 1);
  let lost = 0;
  for (const run of runs) {
    for (const node of run.nodes) {
      expect(node.attempts.filter((attempt) => attempt.status === 'SUCCESS')).toHaveLength(1);
      const losses = node.attempts.filter((attempt) => attempt.status === 'LOST').length;
      lost += losses;
      const executedTimes = times.get(`${run.id} ${node.id}`) ?? 0;
      expect(executedTimes).toBeGreaterThanOrEqual(1);
      expect(executedTimes).toBeLessThanOrEqual(1 + losses);
    }
  }
  expect(new Set(executions).size).toBe(executions.length);
  return { lost, executions: executions.length };
}

/** Kills what of the stack has that in its command line. */
async function killOf(stack: Stack, program: string): Promise<void> {
  const found = await descendants(stack.pid, program);
  expect(found.length).toBeGreaterThanOrEqual(1);
  killAll(found);
  await allGone(found);
}

const restart = async (scene: Scene, directory: string): Promise<void> => {
  const { data, stack } = scene;
  scene.stack = await startStack({ dataDirectory: data, port: stack.port, roots: [directory], environment: { HIVE_PARALLEL: '8' } });
};

describe('kill -9 in the middle of 50 runs of ten nodes', () => {
  test('of the worker, whose tickets go to its successor, and of PostgreSQL, which is started again: nothing acknowledged is missing', async () => {
    await using directory = await temporaryDirectory('kill-parts');
    const scene = await begin(directory.path);
    await using stack = scene.stack;
    for (const [count, program] of [
      [60, 'apps/worker/src/main.ts'],
      [140, 'postgres'],
      [220, 'apps/worker/src/main.ts'],
      [300, 'postgres'],
      [380, 'apps/worker/src/main.ts'],
    ] as const) {
      await executed(scene, count);
      await killOf(stack, program);
    }
    const { lost } = await judge(scene);
    expect(lost).toBeGreaterThanOrEqual(1);
  });

  test('of the control plane, of which nothing stays alive, and of everything at once: the next start finishes every run', async () => {
    await using directory = await temporaryDirectory('kill-all');
    const scene = await begin(directory.path);
    for (const [count, isAtOnce] of [
      [60, false],
      [180, true],
      [300, false],
    ] as const) {
      await executed(scene, count);
      const others = await descendants(scene.stack.pid);
      expect(others.length).toBeGreaterThanOrEqual(2);
      const all = [scene.stack.pid, ...others];
      killAll(isAtOnce ? all : [scene.stack.pid]);
      await allGone(all);
      await restart(scene, directory.path);
    }
    await judge(scene);
    await scene.stack.stop();
  });
});
