// @module-tag needs-bwrap
import { mkdir } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import type { Client } from '@hivekeeper/client';
import { expect, test } from 'vitest';
import { descendants, killAll, startStack, temporaryDirectory } from '../stack/stack.ts';

const recorder = resolve(import.meta.dirname, 'fixtures/recorder');

/** Reads the run until `isOver` says so; gives the most attempts that were under way at once. */
async function mostUnderWay(client: Client, runId: string, isOver: (doneCount: number, underWay: number) => boolean): Promise<number> {
  for (let most = 0; ;) {
    const attempts = (await client.run(runId)).nodes[0]?.attempts ?? [];
    const countOf = (status: string) => attempts.filter((attempt) => attempt.status === status).length;
    most = Math.max(most, countOf('RUNNING'));
    if (isOver(countOf('SUCCESS'), countOf('RUNNING'))) return most;
  }
}

test('places of a key are free again after kill -9 of the worker that held them, and of the control plane that gave them', async () => {
  await using directory = await temporaryDirectory('limits');
  const records = join(directory.path, 'records');
  await mkdir(records, { mode: 0o777 });
  const options = { dataDirectory: join(directory.path, 'data'), workerCount: 2, roots: [directory.path], leaseMs: 2_000 };
  const first = await startStack(options);
  await first.client.registerAgent({ entryPath: recorder });
  const concurrency = { key: 'door of {{ run.id }}', limit: 3 };
  const nodes = [{ id: 'w', agent: 'recorder', map: '{{ context.items }}', input: { directory: records }, concurrency }];
  await first.client.deployWorkflow({ name: 'narrow', nodes });
  const { id } = await first.client.startRun('narrow', { context: { items: Array.from({ length: 60 }, (_, index) => index) } });

  const seen = [await mostUnderWay(first.client, id, (doneCount, underWay) => doneCount >= 10 && underWay > 0)];
  killAll(await descendants(first.pid, 'apps/worker/src/main.ts'));
  seen.push(await mostUnderWay(first.client, id, (doneCount, underWay) => doneCount >= 25 && underWay > 0));
  killAll([first.pid]);

  await using second = await startStack(options);
  seen.push(await mostUnderWay(second.client, id, (doneCount) => doneCount === 60));
  for await (const { event } of second.client.events(id)) if (event.type === 'run.finished') expect(event.status).toBe('SUCCESS');
  const attempts = (await second.client.run(id)).nodes[0]?.attempts ?? [];
  expect(attempts.filter(({ status }) => status === 'LOST').length).toBeGreaterThanOrEqual(2);
  expect(Math.max(...seen)).toBe(3);
});
