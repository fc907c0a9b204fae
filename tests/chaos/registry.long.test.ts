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
  /** Whose beats were heard no more than 3 s apart for sure, as far as it was not the control plane that stood still. */
  readonly faithful: () => ReadonlySet<string>;
  /** The control plane stands still: what is late now is not the agents' fault. */
  readonly forgive: () => void;
  /** Beats that failed. */
  readonly refused: () => number;
}

/** Registers the agents, and lets each beat once a second, spread over the second. */
async function startAgents({ client }: Stack): Promise<Fleet> {
  const ids: string[] = [];
  const silent = new Set<string>();
  const ending = new AbortController();
  let refusedCount = 0;
  let forgivenAtMs = 0;
  const late = new Set<string>();
  const sentAtMs = new Map<string, number>();
  const live = async (id: string, index: number) => {
    await pause(index % 1_000);
    for (; !silent.has(id) && !ending.signal.aborted; await pause(1_000)) {
      const beforeMs = sentAtMs.get(id);
      sentAtMs.set(id, performance.now());
      await client.beat(id, { telemetry: { executionCount: index } }).catch(() => (refusedCount += 1));
      // It was heard between a beat's sending and its answer: no two of its beats were heard further apart than this.
      const apartMs = performance.now() - Math.max(beforeMs ?? performance.now(), forgivenAtMs);
      if (apartMs > 3_000) late.add(id);
    }
  };
  // Each beats from its registration on: who waited for the others would be silent.
  const lives: Promise<void>[] = [];
  for (let number = 0; number < agentCount; number += 50)
    await Promise.all(
      Array.from({ length: 50 }, async (_, index) => {
        const { id } = await client.registerInstance({ name: `agent-${number + index}` });
        lives.push(live(id, ids.push(id)));
      }),
    );
  return {
    ids,
    silence: (dying) => void dying.forEach((id) => silent.add(id)),
    stop: async () => {
      ending.abort();
      await Promise.all(lives);
    },
    faithful: () => new Set(ids.filter((id) => !late.has(id))),
    forgive: () => void (forgivenAtMs = performance.now()),
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
    process.kill(stack.pid, 'SIGSTOP');
    await pause(5_000);
    process.kill(stack.pid, 'SIGCONT');
    agents.forgive();
    await pause(4_000);

    const dying = agents.ids.slice(0, dyingCount);
    agents.silence(dying);
    const silencedAtMs = Date.now();
    // The last beats may be on their way yet.
    const deadFound = async () => {
      const alive = await found(stack);
      return dying.filter((id) => alive.has(id)).length;
    };
    await expect.poll(deadFound, { interval: 100, timeout: 20_000 }).toBe(0);
    const noticedMs = Date.now() - silencedAtMs;
    await pause(3_000);
    const dropped = new Set(
      changes.filter(({ instance: { health } }) => health === 'unhealthy').map(({ instance }) => String(instance.id)),
    );
    const faithful = agents.faithful();
    const wronged = [...dropped].filter((id) => faithful.has(id) && !dying.includes(id));
    const counts = { faithfulCount: faithful.size, droppedCount: dropped.size, wronglyDroppedCount: wronged.length };
    const figures = { agentCount, dyingCount, noticedMs, ...counts, refusedBeatCount: agents.refused() };
    process.stdout.write(`${JSON.stringify(figures)}\n`);
    expect(wronged).toEqual([]);
    expect(dying.filter((id) => !dropped.has(id))).toEqual([]);
    // On a machine that is too busy to send the beats nothing was tried.
    expect(faithful.size).toBeGreaterThan(agentCount / 2);
    expect(noticedMs).toBeLessThanOrEqual(noticedWithinMs);
    expect(agents.refused()).toBe(0);
  } finally {
    watching.abort();
    await agents.stop();
    await watch.catch(() => undefined);
  }
});
