import { defaultTenantId, type Outcome } from '@hivekeeper/contract';
import { FakeClock, type FreshDatabase } from '@hivekeeper/testkit';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { PostgresDatabase } from '../../apps/control/src/adapters/postgres/index.ts';
import { chain, deploy, engineOn, type EngineLike, migratedDatabase, seatWorker, start, succeed } from './fixture.ts';

const secondMs = 1_000;
let database: FreshDatabase;
let clock: FakeClock;

beforeAll(async () => {
  database = await migratedDatabase();
});
afterAll(() => database.drop());
beforeEach(() => {
  clock = new FakeClock();
});

/** The calls by which lane, driver and desk do their work. */
type Call = 'commit' | 'due' | 'expired';

/** An engine whose calls can be made to hang, as where a lock is never given back. */
async function hangingEngine(more: EngineLike = {}) {
  const open = Promise.withResolvers<void>();
  const reached = Promise.withResolvers<void>();
  let hanging: Call | undefined;
  let underWayCount = 0;
  const watched =
    <Args extends unknown[], T>(name: Call | undefined, call: (...args: Args) => T | Promise<T>) =>
    async (...args: Args): Promise<T> => {
      if (name !== undefined && name === hanging) {
        reached.resolve();
        await open.promise;
      }
      underWayCount += 1;
      try {
        return await call(...args);
      } finally {
        underWayCount -= 1;
      }
    };
  const through = ({ runStore, ticketStore, ...rest }: PostgresDatabase): PostgresDatabase => ({
    ...rest,
    runStore: { ...runStore, commit: watched('commit', runStore.commit), due: watched('due', runStore.due) },
    ticketStore: {
      ...ticketStore,
      expired: watched('expired', ticketStore.expired),
      ready: watched(undefined, ticketStore.ready),
    },
  });
  const engine = await engineOn(database.url, { clock, through, ...more });
  const free = () => {
    hanging = undefined;
    open.resolve();
  };
  const readiness = () => engine.services.health.readiness();
  /** Lets time pass, and what the engine asks the database in it be answered. */
  const pass = async (seconds: number) => {
    for (let second = 0; second < seconds; second += 1) {
      await clock.advance(secondMs);
      for (let quietTurns = 0; quietTurns < 5; quietTurns = underWayCount > 0 ? 0 : quietTurns + 1) await nextTurn();
    }
  };
  return {
    engine,
    pass,
    readiness,
    readyAgain: async () => {
      for (let second = 0; second < 60 && !readiness().ready; second += 1) await pass(1);
      expect(readiness()).toEqual({ ready: true });
    },
    /** Resolves when such a call hangs. */
    hang: async (name: Call) => {
      hanging = name;
      while ((await Promise.race([reached.promise.then(() => true), pass(1)])) !== true);
    },
    free,
    [Symbol.asyncDispose]: async () => {
      // What hangs would hold up the end of a test that failed.
      free();
      await engine[Symbol.asyncDispose]();
    },
  };
}

describe('a part that stands still is named within fifteen seconds, and forgotten when it moves again', () => {
  test.each<[part: string, call: Call]>([
    ['lane', 'commit'],
    ['driver', 'due'],
    ['desk', 'expired'],
  ])('%s', async (part, call) => {
    await using house = await hangingEngine();
    await deploy(house.engine, chain('one', 1));
    seatWorker(house.engine, succeed);
    await house.pass(20);
    expect(house.readiness()).toEqual({ ready: true });
    const hung = house.hang(call);
    const started = start(house.engine, 'one');
    await hung;
    await house.pass(7);
    expect(house.readiness()).toEqual({ ready: true });
    await house.pass(8);
    expect(house.readiness()).toMatchObject({ ready: false, part });
    house.free();
    await started;
    await house.readyAgain();
  });

  test('scheduler: it does not know the credits of a worker that listens', async () => {
    await using house = await hangingEngine();
    await deploy(house.engine, chain('one', 1));
    const worker = seatWorker(house.engine, succeed);
    house.engine.services.desk.setCredits(worker.workerId, 0);
    await start(house.engine, 'one');
    await house.pass(15);
    expect(house.readiness()).toMatchObject({
      ready: false,
      part: 'scheduler',
      detail: '1 tickets that require builtin wait and none moved, though 1 workers have a place, for 14 s',
    });
    house.engine.services.desk.setCredits(worker.workerId, 1);
    await house.readyAgain();
  });

  test('worker: it was given a ticket and is not heard of', async () => {
    await using house = await hangingEngine();
    const { desk, runs } = house.engine.services;
    await deploy(house.engine, chain('one', 1));
    const worker = seatWorker(house.engine, () => undefined);
    await start(house.engine, 'one');
    const { ticketId, token } = await worker.ticket(1);
    await house.pass(15);
    expect(house.readiness()).toMatchObject({ ready: false, part: 'worker' });
    await desk.heartbeat(worker.workerId, [{ ticketId, token }]);
    await house.readyAgain();
    await runs.settle({ workerId: worker.workerId, ticketId, token, outcome: { ok: true, output: 1 } });
  });

  test('nobody, while a queue is never empty and its tickets are settled one by one', async () => {
    await using house = await hangingEngine();
    await deploy(house.engine, chain('many', 30));
    // Before the round, so that it finds the next one leased.
    const soon = () => new Promise<Outcome>((settle) => void clock.after(0.7 * secondMs, () => settle({ ok: true, output: 1 })));
    const worker = seatWorker(house.engine, soon, 1);
    const runIds = [await start(house.engine, 'many'), await start(house.engine, 'many')];
    await house.pass(20);
    expect(worker.tickets.length).toBeGreaterThan(10);
    expect(house.readiness()).toEqual({ ready: true });
    for (const runId of runIds) await house.engine.services.orders.cancel({ tenantId: defaultTenantId, runId, by: 'test' });
  });

  test('nobody, while a ticket waits for a worker that is not there', async () => {
    await using house = await hangingEngine();
    await deploy(house.engine, { name: 'labelled', nodes: [{ id: 'a', agent: 'noop', requires: ['gpu'] }] });
    seatWorker(house.engine, succeed);
    const runId = await start(house.engine, 'labelled');
    await house.pass(30);
    expect(house.readiness()).toEqual({ ready: true });
    await house.engine.services.orders.cancel({ tenantId: defaultTenantId, runId, by: 'test' });
  });
});
