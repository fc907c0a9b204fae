// @module-tag needs-bwrap
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { descendants, type Stack, startStack, temporaryDirectory } from '../stack/stack.ts';

const pollMs = 100;

/** What `/ready` says, which nobody needs a key for. */
async function readiness({ url }: Stack): Promise<{ readonly status: number; readonly part?: string; readonly detail?: string }> {
  const response = await fetch(`${url}/ready`);
  return { ...((await response.json()) as { readonly part?: string }), status: response.status };
}

async function until<T>(look: () => Promise<T>, isWanted: (seen: T) => boolean): Promise<T> {
  for (;;) {
    const seen = await look();
    if (isWanted(seen)) return seen;
    await pause(pollMs);
  }
}

async function deployQuick({ client }: Stack, directory: string): Promise<void> {
  await mkdir(directory);
  await writeFile(join(directory, 'agent.json'), JSON.stringify({ name: 'quick', version: '1.0.0', runtime: 'exec', entry: 'quick.sh' }));
  await writeFile(join(directory, 'quick.sh'), `#!/bin/sh\nprintf '{}'\n`, { mode: 0o755 });
  await client.registerAgent({ entryPath: directory });
  await client.deployWorkflow({ name: 'quick', nodes: [{ id: 'quick', agent: 'quick' }] });
}

test('canaries go through every queue by real workers and are nobody’s runs; a stopped worker is named while work waits for it', async () => {
  await using directory = await temporaryDirectory('health');
  await using stack = await startStack({ dataDirectory: join(directory.path, 'data'), environment: { HIVE_CANARY_MS: '500' } });
  const { client } = stack;
  await deployQuick(stack, join(directory.path, 'quick'));
  const workers = await until(
    async () => (await client.status()).workers,
    ({ length }) => length > 0,
  );
  const queues = ['exec', 'node', 'python'].filter((queue) => workers[0]?.capabilities.includes(queue));
  const isSettled = ({ canaries }: Awaited<ReturnType<typeof client.health>>) =>
    canaries.length === queues.length && canaries.every(({ latencyMs }) => latencyMs !== undefined);
  const report = await until(() => client.health(), isSettled);
  expect(report).toMatchObject({ ready: true, stuckRuns: [], acceptedRuns: 0, imbalance: 0 });
  expect(report.canaries.map(({ queue, error }) => [queue, error])).toEqual(queues.map((queue) => [queue, undefined]));
  expect(await client.listRuns()).toEqual([]);
  const metrics = await (await fetch(`${stack.url}/metrics`, { headers: { authorization: `Bearer ${stack.adminKey}` } })).text();
  for (const line of ['hive_ready 1', 'hive_stuck_runs 0', 'hive_runs_accepted 0']) expect(metrics.split('\n')).toContain(line);
  expect(metrics).toMatch(/^hive_canary_latency_seconds\{queue="node"\} 0\.\d+$/m);

  const [pid = 0] = await descendants(stack.pid, 'apps/worker/src/main.ts');
  process.kill(pid, 'SIGSTOP');
  try {
    const { id } = await client.startRun('quick', { context: {} });
    const stalled = await until(
      () => readiness(stack),
      ({ status }) => status === 503,
    );
    expect(stalled).toMatchObject({ part: 'worker', detail: expect.stringMatching(/^tickets that require \w+ do not move: /) });
    expect((await fetch(`${stack.url}/live`)).status).toBe(200);
    process.kill(pid, 'SIGCONT');
    await until(
      () => readiness(stack),
      ({ status }) => status === 200,
    );
    for await (const { event } of client.events(id)) if (event.type === 'run.finished') break;
    expect((await client.run(id)).status).toBe('SUCCESS');
  } finally {
    process.kill(pid, 'SIGCONT');
  }
});
