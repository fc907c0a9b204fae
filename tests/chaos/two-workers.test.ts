// @module-tag needs-bwrap
import { mkdir, readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { describe, expect, test } from 'vitest';
import { descendants, rest, startStack, temporaryDirectory } from '../stack/stack.ts';

const recorder = resolve(import.meta.dirname, 'fixtures/recorder');

describe('two workers', () => {
  test('settle 1,000 tickets once each, and both take their share', async () => {
    await using directory = await temporaryDirectory('thousand');
    const records = join(directory.path, 'records');
    await mkdir(records, { mode: 0o777 });
    await using stack = await startStack({
      dataDirectory: join(directory.path, 'data'),
      workerCount: 2,
      roots: [directory.path],
      environment: { HIVE_PARALLEL: '6' },
    });
    await stack.client.registerAgent({ entryPath: recorder });
    await stack.client.deployWorkflow({
      name: 'thousand',
      nodes: [{ id: 'w', agent: 'recorder', map: '{{ context.items }}', input: { directory: records } }],
    });
    const { id } = await stack.client.startRun('thousand', { context: { items: Array.from({ length: 1_000 }, (_, index) => index) } });
    for await (const { event } of stack.client.events(id)) if (event.type === 'run.finished') expect(event.status).toBe('SUCCESS');
    const attempts = (await stack.client.run(id)).nodes[0]!.attempts;
    expect(attempts.filter((attempt) => attempt.status === 'SUCCESS')).toHaveLength(1_000);
    expect(new Set(attempts.map((attempt) => attempt.workerId)).size).toBe(2);
    const executions = (await readFile(join(records, 'executions'), 'utf8')).trim().split('\n');
    expect(executions).toHaveLength(attempts.length);
  });

  test('a worker that is stopped and continued finds its tickets gone, and nothing changes', async () => {
    await using directory = await temporaryDirectory('stopped');
    const records = join(directory.path, 'records');
    await mkdir(records, { mode: 0o777 });
    await using stack = await startStack({
      dataDirectory: join(directory.path, 'data'),
      workerCount: 2,
      roots: [directory.path],
      leaseMs: 2_000,
      environment: { HIVE_PARALLEL: '4' },
    });
    await stack.client.registerAgent({ entryPath: recorder });
    await stack.client.deployWorkflow({
      name: 'many',
      nodes: [{ id: 'w', agent: 'recorder', map: '{{ context.items }}', input: { directory: records } }],
    });
    const { id } = await stack.client.startRun('many', { context: { items: Array.from({ length: 200 }, (_, index) => index) } });
    const executions = async () => (await readFile(join(records, 'executions'), 'utf8').catch(() => '')).split('\n').length - 1;
    while ((await executions()) < 40) await rest();
    const [stopped] = await descendants(stack.pid, 'apps/worker/src/main.ts');
    process.kill(stopped!, 'SIGSTOP');
    for await (const { event } of stack.client.events(id)) if (event.type === 'run.finished') expect(event.status).toBe('SUCCESS');
    process.kill(stopped!, 'SIGCONT');
    const before = (await stack.client.run(id)).nodes[0]!;
    const lost = before.attempts.filter((attempt) => attempt.status === 'LOST');
    expect(lost.length).toBeGreaterThanOrEqual(1);
    // The continued worker is heard of again; by then its own fence has dropped what it held (late-results.test.ts has one without).
    while ((await stack.client.workers()).some((worker) => worker.state !== 'connected' || worker.heldCount > 0)) await rest();
    const after = (await stack.client.run(id)).nodes[0]!;
    expect(after).toEqual(before);
    expect(after.attempts.filter((attempt) => attempt.status === 'SUCCESS')).toHaveLength(200);
  });
});
