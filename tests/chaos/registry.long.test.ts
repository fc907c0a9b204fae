/** 1,000 agents that beat over HTTP at a control plane in a process of its own; some die at once, and it stands still itself. */
import { setTimeout as pause } from 'node:timers/promises';
import type { InstanceChange } from '@hivekeeper/contract';
import { expect, test } from 'vitest';
import { type Stack, startStack, temporaryDirectory } from '../stack/stack.ts';

const agentCount = 1_000;
const dyingCount = 200;
const noticedWithinMs = 5_000;

interface Fleet {
  readonly ids: readonly string[];
  readonly silence: (ids: readonly string[]) => void;
  readonly stop: () => Promise<void>;
  /** Beats that failed otherwise than by an outage. */
  readonly refused: () => number;
}

/** Registers the agents, and lets each beat once a second, spread over the second. */
async function startAgents({ client }: Stack): Promise<Fleet> {
  const ids: string[] = [];
  for (let number = 0; number < agentCount; number += 50)
    ids.push(
      ...(await Promise.all(
        Array.from({ length: 50 }, async (_, index) => (await client.registerInstance({ name: `agent-${number + index}` })).id),
      )),
    );
  const silent = new Set<string>();
  const ending = new AbortController();
  let refusedCount = 0;
  const live = async (id: string, index: number) => {
    await pause(index % 1_000);
    for (; !silent.has(id) && !ending.signal.aborted; await pause(1_000))
      await client.beat(id, { telemetry: { executionCount: index } }).catch(() => (refusedCount += 1));
  };
  const lives = ids.map(live);
  return {
    ids,
    silence: (dying) => void dying.forEach((id) => silent.add(id)),
    stop: async () => {
      ending.abort();
      await Promise.all(lives);
    },
    refused: () => refusedCount,
  };
}

const found = async ({ client }: Stack) => new Set((await client.discover({ limit: 1_000 })).instances.map(({ id }) => String(id)));

test('200 of 1,000 agents fall silent at once: all are noticed within 5 s, and of the others none is, also after a standstill', async () => {
  await using directory = await temporaryDirectory('registry');
  await using stack = await startStack({ dataDirectory: directory.path, workerCount: 0 });
  const agents = await startAgents(stack);
  const watching = new AbortController();
  const changes: InstanceChange[] = [];
  const watch = (async () => {
    for await (const change of stack.client.instanceChanges({ signal: watching.signal })) changes.push(change);
  })();
  try {
    await pause(3_000);
    expect((await found(stack)).size).toBe(agentCount);

    process.kill(stack.pid, 'SIGSTOP');
    await pause(5_000);
    process.kill(stack.pid, 'SIGCONT');
    expect((await found(stack)).size).toBe(agentCount);
    await pause(4_000);
    expect((await found(stack)).size).toBe(agentCount);

    const dying = agents.ids.slice(0, dyingCount);
    agents.silence(dying);
    const silencedAtMs = Date.now();
    // The last beats may be on their way yet.
    await expect.poll(async () => (await found(stack)).size, { interval: 100, timeout: 20_000 }).toBe(agentCount - dyingCount);
    const noticedMs = Date.now() - silencedAtMs;
    const left = await found(stack);
    expect(dying.filter((id) => left.has(id))).toEqual([]);
    await pause(3_000);
    const dropped = new Set(
      changes.filter(({ instance: { health } }) => health === 'unhealthy').map(({ instance }) => String(instance.id)),
    );
    const figures = { agentCount, dyingCount, noticedMs, droppedCount: dropped.size, refusedBeatCount: agents.refused() };
    process.stdout.write(`${JSON.stringify(figures)}\n`);
    expect(dropped).toEqual(new Set(dying));
    expect(noticedMs).toBeLessThanOrEqual(noticedWithinMs);
    expect(agents.refused()).toBe(0);
  } finally {
    watching.abort();
    await agents.stop();
    await watch.catch(() => undefined);
  }
});
