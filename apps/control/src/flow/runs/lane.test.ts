import { defaultTenantId, HiveError, type RunId, ticketIdOf } from '@hivekeeper/contract';
import { FakeClock } from '@hivekeeper/testkit';
import fc from 'fast-check';
import { beforeEach, describe, expect, it } from 'vitest';
import { type Fate, LaneUnderTest } from './lane-under-test.ts';

let clock: FakeClock;
let world: LaneUnderTest;

beforeEach(() => {
  clock = new FakeClock();
  world = new LaneUnderTest(clock);
});

/** Lets everything happen that needs no time. */
const settled = async (turns = 10) => {
  for (let turn = 0; turn < turns; turn += 1) await clock.advance(0);
};
const next = async (nth: number) => {
  await settled();
  const ticket = world.given[nth - 1];
  if (ticket === undefined) throw new HiveError('INTERNAL', `no ticket ${nth} was given`);
  return ticket;
};
const takeAll = async (count: number) => {
  await next(count);
  return world.given.slice(0, count);
};
const cancel = (runId: RunId) => world.orders.cancel({ tenantId: defaultTenantId, runId, by: 'test' });
const codeOf = (call: Promise<unknown>) =>
  call.then(
    () => 'done',
    (error: unknown) => (HiveError.is(error) ? error.code : String(error)),
  );
const unavailable = new HiveError('DATABASE_UNAVAILABLE');

/** Holds every commit from now on until the returned function is called. */
function holdCommits(): () => void {
  const { promise, resolve } = Promise.withResolvers<void>();
  world.database.gate = promise;
  return resolve;
}

describe('a batch', () => {
  it('takes everything that arrives in one turn', async () => {
    await Promise.all([world.start(1), world.start(1), world.start(1)]);
    expect(world.database.asked.map(({ runs }) => runs.length)).toEqual([3]);
  });

  it('is busy while one is under way, and counts as progress once it is stored', async () => {
    const release = holdCommits();
    const started = world.start(1);
    await settled();
    expect(world.lane.progress()).toEqual({ isBusy: true, storedCount: 0 });
    release();
    await started;
    expect(world.lane.progress().storedCount).toBe(1);
  });

  it('forms from what arrives while two commits are under way', async () => {
    const release = holdCommits();
    const starts = [world.start(1)];
    await settled();
    starts.push(world.start(1));
    await settled();
    for (let count = 0; count < 5; count += 1) starts.push(world.start(1));
    await settled();
    expect(world.database.asked.map(({ runs }) => runs.length)).toEqual([1, 1]);
    release();
    await Promise.all(starts);
    expect(world.database.asked.map(({ runs }) => runs.length)).toEqual([1, 1, 5]);
  });

  it('has a run alone: what else is wanted of it waits, what is wanted of others does not', async () => {
    world.seat(1, 9);
    const [first, second] = await Promise.all([world.start(2), world.start(2)]);
    const [one, two] = [await next(1), await next(2)];
    const release = holdCommits();
    const calls = [world.settle(one)];
    await settled();
    calls.push(cancel(first), world.settle(two));
    await settled();
    expect(world.database.asked.slice(1).map(({ runs }) => runs.map(({ runId }) => runId))).toEqual([[first], [second]]);
    release();
    await Promise.all(calls);
    expect(world.database.eventsOf(first).map(({ type }) => type)).toEqual(['run.created', 'ticket.settled', 'run.cancelled']);
  });

  it('takes all that has gathered for one run, and half of what has gathered for many', async () => {
    world.seat(1, 100);
    await world.start(20, { isWide: true });
    await Promise.all((await takeAll(20)).map((ticket) => world.settle(ticket)));
    expect(world.database.asked.map(({ runs }) => runs.map(({ settled }) => settled.length))).toEqual([[0], [20]]);
    await Promise.all(Array.from({ length: 20 }, () => world.start(1)));
    expect(world.database.asked.slice(2).map(({ runs }) => runs.length)).toEqual([10, 10]);
  });

  it('gives its workers their tickets in the same commit, and tells nobody before it is stored', async () => {
    const release = holdCommits();
    const workerId = world.seat(1, 1);
    const start = world.start(2, { isWide: true });
    await settled();
    expect(world.given).toEqual([]);
    expect(world.database.asked[0]?.runs[0]?.issued.map((ticket) => ticket.workerId)).toEqual([workerId, undefined]);
    release();
    await start;
    expect(world.given).toHaveLength(1);
  });

  it('sets the wake-up of a run once it is stored, and not again while it stays the same', async () => {
    world.seat(1, 1);
    const release = holdCommits();
    const start = world.start(2, { timeoutMs: 5_000 });
    await settled();
    expect(world.wakeUps).toEqual([]);
    release();
    const runId = await start;
    await world.settle(await next(1));
    expect(world.wakeUps).toEqual([{ runId, atMs: clock.nowMs() + 5_000 }]);
  });
});

describe('a ticket', () => {
  it('that two want to end at once is ended once, and both callers with the same token are told so', async () => {
    world.seat(1, 1);
    const runId = await world.start(1);
    const ticket = await next(1);
    expect(await Promise.all([codeOf(world.settle(ticket)), codeOf(world.settle(ticket))])).toEqual(['done', 'done']);
    expect(world.database.eventsOf(runId).filter(({ type }) => type === 'ticket.settled')).toHaveLength(1);
  });

  it('that is settled while its lease runs out has the result that came first, and stops nobody', async () => {
    const workerId = world.seat(1, 1);
    const runId = await world.start(1);
    const ticket = await next(1);
    const calls = [
      world.settle(ticket),
      world.runs.lose({ ticketId: ticket.ticketId, token: ticket.token, runId, workerId }),
      world.start(1),
    ];
    await Promise.all(calls);
    expect(world.database.eventsOf(runId).map(({ type }) => type)).toEqual(['run.created', 'ticket.settled']);
  });

  it('is refused to a worker that does not hold it, and to another token', async () => {
    world.seat(1, 1);
    const other = world.seat(2, 0);
    await world.start(1);
    const ticket = await next(1);
    const refused = [
      world.settle({ ...ticket, workerId: other }),
      world.settle({ ...ticket, token: '1.99' }),
      world.settle({ ...ticket, token: '2.1' }),
    ];
    expect(await Promise.all(refused.map(codeOf))).toEqual(['TICKET_NOT_HELD', 'TICKET_NOT_HELD', 'TICKET_NOT_HELD']);
    expect(await codeOf(world.settle(ticket))).toBe('done');
    expect(await codeOf(world.settle(ticket))).toBe('done');
    expect(await codeOf(world.settle({ ...ticket, workerId: other }))).toBe('TICKET_NOT_HELD');
  });

  it('that nobody can take at first goes to the first worker with a credit, once stored', async () => {
    const release = holdCommits();
    const start = world.start(1);
    await settled();
    world.seat(1, 1);
    await settled();
    release();
    await start;
    expect((await next(1)).ticketId).toBe(ticketIdOf(await start, 0));
  });
});

describe('a refusal', () => {
  it('is told only after what it rests on is stored', async () => {
    const runId = await world.start(1);
    const release = holdCommits();
    const calls = [
      cancel(runId),
      codeOf(world.orders.decideApproval({ tenantId: defaultTenantId, approvalId: 'apr_1.0' as never, approved: true, by: 'x' })),
    ];
    world.seat(1, 1);
    let isTold = false;
    const late = codeOf(
      world.lane.submit({
        runId,
        actor: 'test',
        judge: () => {
          throw new HiveError('RUN_FINISHED');
        },
      }),
    ).finally(() => {
      isTold = true;
    });
    await settled();
    expect(isTold).toBe(false);
    release();
    await Promise.all(calls);
    expect(await late).toBe('RUN_FINISHED');
  });

  it('is judged anew where what it rests on was not stored', async () => {
    const runId = await world.start(1);
    world.database.moveOn(runId, { type: 'run.woken', atMs: clock.nowMs() });
    let judgements = 0;
    const refused = world.lane.submit({
      runId,
      actor: 'test',
      judge: () => {
        judgements += 1;
        throw new HiveError('RUN_FINISHED');
      },
    });
    expect(await Promise.all([codeOf(cancel(runId)), codeOf(refused)])).toEqual(['done', 'RUN_FINISHED']);
    expect(judgements).toBe(2);
  });

  it('by a taken key harms no neighbour', async () => {
    const idempotency = { route: 'r', key: 'k', bodySha256: 'b' };
    await world.start(1, { idempotency });
    const twin = codeOf(world.start(1, { idempotency }));
    const neighbour = world.start(1);
    expect(await twin).toBe('IDEMPOTENCY_KEY_REUSED');
    expect(world.database.runs.has(await neighbour)).toBe(true);
  });

  it('of a run that does not exist is NOT_FOUND', async () => {
    expect(await codeOf(world.runs.wake('run_none' as RunId))).toBe('NOT_FOUND');
  });
});

describe('a run that moved on elsewhere', () => {
  it('is read again and judged anew, and its neighbours are stored', async () => {
    const runId = await world.start(1);
    world.database.moveOn(runId, { type: 'run.cancelled', atMs: clock.nowMs(), by: 'other' });
    const neighbour = world.start(1);
    expect(await codeOf(cancel(runId))).toBe('done');
    await neighbour;
    expect(world.database.eventsOf(runId).filter(({ type }) => type === 'run.cancelled')).toHaveLength(1);
  });
});

describe('a commit whose fate is not known', () => {
  const failing = (...fates: Fate[]) => {
    world.database.fateOf = () => fates.shift() ?? 'stored';
  };

  it.each(['lost', 'unsure'] as const)('(%s) is repeated until its outcome is, and begins the run once', async (fate) => {
    failing(fate);
    const start = world.start(1);
    await settled();
    await clock.advance(1_000);
    expect([...world.database.runs.keys()]).toEqual([await start]);
    expect(world.database.eventsOf(await start)).toHaveLength(1);
  });

  it.each(['lost', 'unsure'] as const)('(%s) settles a ticket once', async (fate) => {
    world.seat(1, 1);
    const runId = await world.start(1);
    failing(fate);
    const call = world.settle(await next(1));
    await settled();
    await clock.advance(1_000);
    await call;
    expect(world.database.eventsOf(runId).filter(({ type }) => type === 'ticket.settled')).toHaveLength(1);
  });

  it('is given up after four tries', async () => {
    failing('lost', 'lost', 'lost', 'lost', 'lost');
    const start = codeOf(world.start(1));
    await clock.advance(5_000);
    expect(await start).toBe('DATABASE_UNAVAILABLE');
    expect(world.database.asked).toHaveLength(4);
  });

  it('keeps the lane from being idle until it is known', async () => {
    failing('lost');
    const start = world.start(1);
    await settled();
    let isIdle = false;
    const idle = world.lane.idle().then(() => {
      isIdle = true;
    });
    await settled();
    expect(isIdle).toBe(false);
    await clock.advance(1_000);
    await Promise.all([start, idle]);
  });

  it('does not make the lane ask without end when only leases wait', async () => {
    await world.start(1);
    world.database.fateOf = () => 'lost';
    world.seat(1, 1);
    await settled(100);
    expect(world.database.asked.length).toBeLessThanOrEqual(2);
    await world.lane.idle();
    world.database.fateOf = () => 'stored';
    await clock.advance(1_000);
    expect(world.given).toHaveLength(1);
  });

  it('is also that of a journal that cannot be read', async () => {
    world.seat(1, 1);
    const runId = await world.start(1);
    world.database.moveOn(runId, { type: 'run.woken', atMs: 0 });
    const call = world.settle(await next(1));
    world.database.loadFault = unavailable;
    await settled();
    world.database.loadFault = undefined;
    await clock.advance(1_000);
    expect(await codeOf(call)).toBe('done');
  });
});

describe('a poisoned intent', () => {
  it('fails alone', async () => {
    const runId = await world.start(1);
    world.database.poison = runId;
    const calls = [world.start(1), cancel(runId), world.start(1)];
    expect(await Promise.all(calls.map(codeOf))).toEqual(['done', 'TypeError: invalid byte sequence for encoding "UTF8": 0x00', 'done']);
  });

  it('costs no worker a credit', async () => {
    world.seat(1, 3);
    const runId = await world.start(1);
    world.database.poison = runId;
    await Promise.all([codeOf(cancel(runId)), world.start(1), world.start(1), world.start(1)]);
    await settled();
    expect(world.given).toHaveLength(3);
  });

  it('that makes a listener throw does not make its commit look lost', async () => {
    world.seat(1, 2);
    await world.start(2);
    world.board.post = () => {
      throw new TypeError('a broken board');
    };
    expect(await codeOf(world.settle(await next(1)))).toBe('done');
    expect((await next(2)).nodeId).toBe('n1');
  });
});

it('loses no ticket and no credit over any sequence of failures', async () => {
  const fates = fc.array(fc.constantFrom<Fate>('stored', 'stored', 'lost', 'unsure'), { maxLength: 30 });
  const runs = fc.array(fc.record({ nodeCount: fc.integer({ min: 1, max: 4 }), isWide: fc.boolean() }), { minLength: 1, maxLength: 6 });
  await fc.assert(
    fc.asyncProperty(fates, runs, fc.integer({ min: 1, max: 3 }), async (given, wanted, credits) => {
      clock = new FakeClock();
      world = new LaneUnderTest(clock);
      const left = [...given];
      world.database.fateOf = () => left.shift() ?? 'stored';
      const workerId = world.seat(1, credits);
      const told = wanted.map((run) => codeOf(world.start(run.nodeCount, run)));
      await clock.advance(20_000);
      expect(['done', 'DATABASE_UNAVAILABLE']).toEqual(expect.arrayContaining([...new Set(await Promise.all(told))]));
      world.database.fateOf = () => 'stored';
      await finishAll(workerId, credits);
      const holding = new Set(world.given.map(({ ticketId }) => ticketId));
      expect(holding.size, 'nothing is delivered twice').toBe(world.given.length);
      // What was leased by a commit whose answer was lost is the lease's to end; all else has been worked on.
      for (const row of world.database.tickets.values()) expect(row.workerId, `${row.ticketId} is leased`).toBe(workerId);
    }),
    { numRuns: 60 },
  );
});

/** Settles whatever is given until nothing more comes; never is more given than the worker asked for. */
async function finishAll(workerId: LaneUnderTest['given'][number]['workerId'], credits: number): Promise<void> {
  await world.desk.sweep();
  await settled();
  const isAnyReady = [...world.database.tickets.values()].some((row) => row.workerId === undefined);
  if (isAnyReady) expect(world.given, 'every credit is used').toHaveLength(credits);
  expect(world.given.length, 'and no other').toBeLessThanOrEqual(credits);
  for (let nth = 0; ;) {
    world.desk.setCredits(workerId, credits);
    await world.desk.sweep();
    await settled();
    const fresh = world.given.slice(nth);
    if (fresh.length === 0) return;
    nth = world.given.length;
    await Promise.all(fresh.map((ticket) => world.settle(ticket)));
  }
}
