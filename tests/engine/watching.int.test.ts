import type { AddressInfo } from 'node:net';
import { createClient, type StreamedEvent } from '@hivekeeper/client';
import { type AttemptProgress, defaultTenantId, type RunId } from '@hivekeeper/contract';
import postgres from 'postgres';
import { beforeAll, describe, expect, test, vi } from 'vitest';
import type { Engine } from '../../apps/control/src/engine.ts';
import { createServer } from '../../apps/control/src/http/server.ts';
import { chain, deploy, engineOn, ownDatabase, seatWorker, start, succeed } from './fixture.ts';

const nodeCount = 10;

const { database, sql } = await ownDatabase();
beforeAll(async () => {
  await using engine = await engineOn(database.url);
  await deploy(engine, chain('watched', nodeCount));
});

/** Numbers and types of all that a watcher of a chain is told, where each node succeeds at its first attempt. */
const everything = (() => {
  const begins = (version: number, index: number) => [`${version}.${index} node.started`, `${version}.${index + 1} ticket.issued`];
  const versions = Array.from({ length: nodeCount }, (_, index) => index + 2);
  return [
    '1.0 run.started',
    ...begins(1, 1),
    ...versions.flatMap((version) => [
      `${version}.0 node.finished`,
      ...(version <= nodeCount ? begins(version, 1) : [`${version}.1 run.finished`]),
    ]),
  ];
})();

interface Watcher {
  /** `id type` of each notice, in the order it came. */
  readonly told: string[];
  readonly progress: AttemptProgress[];
  /** Resolves once so much was told, or said. */
  until(isEnough: () => boolean): Promise<void>;
  readonly stop: () => void;
}

async function watch({ services }: Engine, runId: RunId, lastId?: string): Promise<Watcher> {
  const told: string[] = [];
  const progress: AttemptProgress[] = [];
  const waiting = new Set<() => void>();
  const until = (isEnough: () => boolean) =>
    new Promise<void>((resolve) => {
      const look = () => {
        if (!isEnough()) return;
        waiting.delete(look);
        resolve();
      };
      waiting.add(look);
      look();
    });
  const stop = await services.runs.watch({
    tenantId: defaultTenantId,
    runId,
    lastId,
    onNews: (news) => {
      for (const { id, notice } of news) {
        if (notice.type === 'attempt.progressed') progress.push(notice);
        else told.push(`${id} ${notice.type}`);
      }
      for (const look of waiting) look();
    },
  });
  return { told, progress, until, stop };
}

const isOver = ({ told }: Pick<Watcher, 'told'>) => told.at(-1)?.endsWith('run.finished') === true;

describe('a watcher of one control plane', () => {
  test('is told once and in order what another commits', async () => {
    await using here = await engineOn(database.url);
    await using there = await engineOn(database.url);
    seatWorker(there, succeed);
    const watchers = await Promise.all(
      Array.from({ length: 20 }, async () => {
        const runId = await start(there, 'watched');
        return watch(here, runId);
      }),
    );
    for (const watcher of watchers) {
      await watcher.until(() => isOver(watcher));
      expect(watcher.told).toEqual(everything);
      watcher.stop();
    }
  });

  test('is told once and in order where two commit in turn', async () => {
    await using here = await engineOn(database.url);
    await using there = await engineOn(database.url);
    const [left, right] = [seatWorker(here, succeed, 1), seatWorker(there, succeed, 1)];
    const watcher = await watch(here, await start(there, 'watched'));
    await watcher.until(() => isOver(watcher));
    expect(watcher.told).toEqual(everything);
    expect(left.tickets.length + right.tickets.length).toBe(nodeCount);
  });

  test('sees the run to its end where the one that commits it is replaced', async () => {
    await using here = await engineOn(database.url);
    const old = await engineOn(database.url, { leaseMs: 1_000 });
    const before = seatWorker(old, (ticket) => (ticket.nodeId === 'n4' ? undefined : { ok: true, output: 1 }));
    const runId = await start(old, 'watched');
    const watcher = await watch(here, runId);
    await before.ticket(5);
    await old[Symbol.asyncDispose]();
    await using fresh = await engineOn(database.url);
    seatWorker(fresh, succeed);
    await watcher.until(() => isOver(watcher));
    const late = await watch(fresh, runId);
    expect(watcher.told).toEqual(late.told);
    expect(watcher.told.filter((line) => line.endsWith('node.finished'))).toHaveLength(nodeCount);
    expect(watcher.told.filter((line) => line.endsWith('attempt.failed'))).toHaveLength(1);
  });

  test.each([
    ['every message is lost', () => false],
    [
      'every second message is lost',
      (
        (count) => () =>
          (count += 1) % 2 === 0
      )(0),
    ],
  ])('is told all the same where %s', async (_name, hears) => {
    await using here = await engineOn(database.url, { hears });
    await using there = await engineOn(database.url, { hears });
    const worker = seatWorker(there, () => undefined);
    const watcher = await watch(here, await start(there, 'watched'));
    for (let nth = 1; nth <= nodeCount; nth += 1) {
      const { ticketId, token } = await worker.ticket(nth);
      if (nth === 5) {
        await there.services.desk.heartbeat(worker.workerId, [{ ticketId, token, progress: 'half' }]);
        await watcher.until(() => watcher.progress.length > 0);
      }
      await there.services.runs.settle({ workerId: worker.workerId, ticketId, token, outcome: { ok: true, output: 1 } });
    }
    await watcher.until(() => isOver(watcher));
    expect(watcher.told).toEqual(everything);
  });

  test('is told all the same where connections are cut again and again', async () => {
    await using here = await engineOn(database.url);
    await using there = await engineOn(database.url);
    const worker = seatWorker(there, () => undefined);
    const watcher = await watch(here, await start(there, 'watched'));
    const retrying = async (settle: () => Promise<void>): Promise<void> =>
      settle().catch((error: { code?: string }) => (error.code === 'DATABASE_UNAVAILABLE' ? retrying(settle) : Promise.reject(error)));
    let cutCount = 0;
    for (let nth = 1; nth <= nodeCount; nth += 1) {
      const { ticketId, token } = await worker.ticket(nth);
      if (nth % 3 === 0)
        cutCount += (
          await sql`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'hivekeeper-engine' AND datname = current_database()`
        ).length;
      await retrying(() => there.services.runs.settle({ workerId: worker.workerId, ticketId, token, outcome: { ok: true, output: 1 } }));
      there.services.desk.setCredits(worker.workerId, 10);
    }
    await watcher.until(() => isOver(watcher));
    expect(watcher.told).toEqual(everything);
    expect(cutCount).toBeGreaterThanOrEqual(6);
  });

  test('goes on with another one after the event it saw last', async () => {
    await using here = await engineOn(database.url);
    await using there = await engineOn(database.url);
    await using elsewhere = await engineOn(database.url);
    const worker = seatWorker(there, () => undefined);
    const runId = await start(there, 'watched');
    const told: string[] = [];
    for (let nth = 1; nth <= nodeCount; nth += 1) {
      const watcher = await watch(nth % 2 === 0 ? here : elsewhere, runId, told.at(-1)?.split(' ')[0]);
      const { ticketId, token } = await worker.ticket(nth);
      await there.services.runs.settle({ workerId: worker.workerId, ticketId, token, outcome: { ok: true, output: 1 } });
      await watcher.until(() => nth < nodeCount || isOver(watcher));
      watcher.stop();
      told.push(...watcher.told);
    }
    expect(told).toEqual(everything);
  });

  test('is told what an agent says of its progress to a worker of another', async () => {
    await using here = await engineOn(database.url);
    await using there = await engineOn(database.url);
    const worker = seatWorker(there, () => undefined);
    const watcher = await watch(here, await start(there, 'watched'));
    const { ticketId, token } = await worker.ticket(1);
    const beat = (progress: { readonly done: number }) => there.services.desk.heartbeat(worker.workerId, [{ ticketId, token, progress }]);
    await beat({ done: 1 });
    await watcher.until(() => watcher.progress.length === 1);
    await beat({ done: 1 });
    await beat({ done: 2 });
    await watcher.until(() => watcher.progress.length === 2);
    expect(watcher.progress).toEqual([
      { type: 'attempt.progressed', atMs: expect.any(Number), nodeId: 'n0', slot: 0, attempt: 1, ticketId, progress: { done: 1 } },
      { type: 'attempt.progressed', atMs: expect.any(Number), nodeId: 'n0', slot: 0, attempt: 1, ticketId, progress: { done: 2 } },
    ]);
  });
});

test('control planes tell each other only of runs that somebody watches, and of their own never', async () => {
  await using here = await engineOn(database.url);
  await using there = await engineOn(database.url);
  const worker = seatWorker(there, () => undefined);
  const heard: string[] = [];
  const sentinel = Promise.withResolvers<void>();
  const ear = postgres(database.superuserUrl, { max: 1 });
  const finish = async (first: number) => {
    for (let nth = first; nth < first + nodeCount; nth += 1) {
      const { ticketId, token } = await worker.ticket(nth);
      await there.services.runs.settle({ workerId: worker.workerId, ticketId, token, outcome: { ok: true, output: 1 } });
    }
  };
  try {
    for (const channel of ['hive_watched', 'hive_moved'])
      await ear.listen(channel, (payload) => (payload === 'sentinel' ? sentinel.resolve() : heard.push(`${channel} ${payload}`)));
    const unwatched = await start(there, 'watched');
    await finish(1);
    const own = await start(there, 'watched');
    const ownWatcher = await watch(there, own);
    await finish(1 + nodeCount);
    const foreign = await start(there, 'watched');
    const watcher = await watch(here, foreign);
    const countOf = (line: string) => heard.filter((other) => other === line).length;
    // Its answer to the first word of it: from now on it knows that somebody watches.
    await vi.waitUntil(() => countOf(`hive_moved ${foreign}`) > 0, { timeout: 20_000, interval: 5 });
    await finish(1 + 2 * nodeCount);
    await watcher.until(() => isOver(watcher));
    await vi.waitUntil(() => countOf(`hive_moved ${foreign}`) > 1, { timeout: 20_000, interval: 5 });
    await sql`SELECT pg_notify('hive_moved', 'sentinel')`;
    await sentinel.promise;
    expect([ownWatcher.told, watcher.told]).toEqual([everything, everything]);
    expect(heard.filter((line) => line.includes(unwatched))).toEqual([]);
    expect(countOf(`hive_watched ${foreign}`)).toBeGreaterThan(0);
    // The other one's answer to the first word of it.
    expect(countOf(`hive_moved ${own}`)).toBe(1);
  } finally {
    await ear.end();
  }
});

test('a client follows a run to its end over HTTP though both control planes are replaced', async () => {
  const door = async (port: number) => {
    const engine = await engineOn(database.url, { leaseMs: 1_000 });
    const app = await createServer({ ...engine.services, version: '0.0.0-test', isDraining: () => false, authentication: 'none' });
    await app.listen({ host: '127.0.0.1', port });
    const stop = async () => {
      await app.close();
      await engine[Symbol.asyncDispose]();
    };
    return { engine, port: (app.server.address() as AddressInfo).port, stop };
  };
  let [here, there] = [await door(0), await door(0)];
  try {
    const worker = seatWorker(there.engine, (ticket) => (ticket.nodeId === 'n5' ? undefined : { ok: true, output: 1 }));
    const runId = await start(there.engine, 'watched');
    const streamed: StreamedEvent[] = [];
    const following = (async () => {
      for await (const event of createClient({ url: `http://127.0.0.1:${here.port}` }).events(runId)) streamed.push(event);
    })();
    await worker.ticket(6);
    await here.stop();
    here = await door(here.port);
    await there.stop();
    there = await door(there.port);
    seatWorker(there.engine, succeed);
    await following;
    const late = await watch(there.engine, runId);
    const told = streamed.flatMap(({ id, event }) => (id === undefined ? [] : [`${id} ${event.type}`]));
    expect(told).toEqual(late.told);
    expect(told.filter((line) => line.endsWith('node.finished'))).toHaveLength(nodeCount);
  } finally {
    await here.stop();
    await there.stop();
  }
});
