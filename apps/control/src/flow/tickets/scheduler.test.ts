import { defaultTenantId, type TenantId, type TicketId, type WorkerId } from '@hivekeeper/contract';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type ReadyTicket, rankMsOf, Scheduler } from './scheduler.ts';

const minuteMs = 60_000;
const urgency = { readyAtMs: 1_000_000, priority: 0, timeoutMs: minuteMs };

describe('the rank of a ticket', () => {
  it('goes by the time it became ready', () => {
    expect(rankMsOf(urgency)).toBeLessThan(rankMsOf({ ...urgency, readyAtMs: urgency.readyAtMs + 1 }));
  });

  it('lets a minute of waiting make up for one level of priority', () => {
    const later = { ...urgency, priority: 1, readyAtMs: urgency.readyAtMs + minuteMs };
    expect(rankMsOf(later)).toBe(rankMsOf(urgency));
    expect(rankMsOf({ ...later, readyAtMs: later.readyAtMs + 1 })).toBeGreaterThan(rankMsOf(urgency));
  });

  it.each([
    { what: 'no deadline', deadlineInMs: undefined, soonerByMs: 0 },
    { what: 'a deadline far away', deadlineInMs: 60 * minuteMs, soonerByMs: 0 },
    { what: 'four minutes to spare', deadlineInMs: 5 * minuteMs, soonerByMs: 6 * minuteMs },
    { what: 'nothing to spare', deadlineInMs: minuteMs, soonerByMs: 10 * minuteMs },
    { what: 'a deadline already missed', deadlineInMs: -60 * minuteMs, soonerByMs: 10 * minuteMs },
  ])('with $what counts as ready $soonerByMs ms sooner', ({ deadlineInMs, soonerByMs }) => {
    const deadlineAtMs = deadlineInMs === undefined ? undefined : urgency.readyAtMs + deadlineInMs;
    expect(rankMsOf(urgency) - rankMsOf({ ...urgency, deadlineAtMs })).toBe(soonerByMs);
  });
});

const worker = (number: number): WorkerId => `wrk_${number}` as WorkerId;
const ticket = (number: number, requirement = 'node', rankMs = number): ReadyTicket => ({
  ticketId: `tkt_${number}` as TicketId,
  tenantId: defaultTenantId,
  requirement,
  rankMs,
});

function schedulerOf(
  workers: Readonly<Record<number, { readonly can: readonly string[]; readonly credits: number }>>,
): Scheduler<ReadyTicket> {
  const scheduler = new Scheduler<ReadyTicket>();
  for (const [number, { can, credits }] of Object.entries(workers)) {
    scheduler.addWorker(worker(Number(number)), can);
    scheduler.setCredits(worker(Number(number)), credits);
  }
  return scheduler;
}

const assigned = (scheduler: Scheduler<ReadyTicket>, most = 100) =>
  scheduler.assign(most).map(({ ticket: { ticketId }, workerId }) => `${ticketId.slice(4)}>${workerId.slice(4)}`);

describe('the scheduler', () => {
  it('gives the most urgent ticket first, in whatever order they came', () => {
    const scheduler = schedulerOf({ 1: { can: ['node'], credits: 2 } });
    for (const number of [3, 1, 2]) scheduler.offer(ticket(number));
    expect(assigned(scheduler)).toEqual(['1>1', '2>1']);
    expect(scheduler.readyCount).toBe(1);
  });

  it('spreads tickets evenly over workers with credits', () => {
    const scheduler = schedulerOf({ 1: { can: ['node'], credits: 9 }, 2: { can: ['node'], credits: 9 }, 3: { can: ['node'], credits: 9 } });
    for (let number = 1; number <= 6; number += 1) scheduler.offer(ticket(number));
    expect(assigned(scheduler)).toEqual(['1>1', '2>2', '3>3', '4>1', '5>2', '6>3']);
  });

  it('gives a ticket only to a worker that has all it requires', () => {
    const scheduler = schedulerOf({ 1: { can: ['node'], credits: 5 }, 2: { can: ['node', 'gpu'], credits: 1 } });
    scheduler.offer(ticket(1, 'gpu node'));
    scheduler.offer(ticket(2, 'python'));
    expect(assigned(scheduler)).toEqual(['1>2']);
  });

  it('does not let an endless supply of one kind starve a more urgent ticket of another', () => {
    const scheduler = schedulerOf({ 1: { can: ['node', 'python'], credits: 1 } });
    for (let number = 10; number < 20; number += 1) scheduler.offer(ticket(number));
    scheduler.offer(ticket(1, 'python'));
    expect(assigned(scheduler)).toEqual(['1>1']);
  });

  it('never gives a ticket that was withdrawn, also when it comes back at another rank', () => {
    const scheduler = schedulerOf({ 1: { can: ['node'], credits: 5 } });
    scheduler.offer(ticket(1));
    scheduler.offer(ticket(2));
    scheduler.withdraw(ticket(1).ticketId);
    scheduler.offer(ticket(1, 'node', 9));
    expect(assigned(scheduler)).toEqual(['2>1', '1>1']);
  });

  it('takes a ticket that is offered twice once', () => {
    const scheduler = schedulerOf({ 1: { can: ['node'], credits: 5 } });
    scheduler.offer(ticket(1));
    scheduler.offer(ticket(1));
    expect(assigned(scheduler)).toEqual(['1>1']);
  });

  it('follows a ticket that requires something else since it was offered', () => {
    const scheduler = schedulerOf({ 1: { can: ['node'], credits: 5 } });
    scheduler.offer(ticket(1, 'agent:late'));
    expect(assigned(scheduler)).toEqual([]);
    scheduler.offer(ticket(1, 'node'));
    expect(assigned(scheduler)).toEqual(['1>1']);
  });

  it('gives a worker a ticket for a credit that came back, and none once it is gone', () => {
    const scheduler = schedulerOf({ 1: { can: ['node'], credits: 1 } });
    for (const number of [1, 2, 3]) scheduler.offer(ticket(number));
    expect(assigned(scheduler)).toEqual(['1>1']);
    scheduler.returnCredit(worker(1));
    expect(assigned(scheduler)).toEqual(['2>1']);
    scheduler.returnCredit(worker(1));
    scheduler.removeWorker(worker(1));
    scheduler.returnCredit(worker(1));
    expect(assigned(scheduler)).toEqual([]);
  });

  it('goes on with what waits where ever new requirements came and went', () => {
    const scheduler = schedulerOf({ 1: { can: ['node'], credits: 2 }, 2: { can: ['label-7'], credits: 1 } });
    scheduler.offer(ticket(1));
    for (let number = 2; number < 1_000; number += 1) {
      scheduler.offer(ticket(number, `label-${number}`));
      if (number !== 900) scheduler.withdraw(ticket(number).ticketId);
    }
    scheduler.offer(ticket(7, 'label-7'));
    scheduler.addWorker(worker(3), ['label-900']);
    scheduler.setCredits(worker(3), 1);
    expect(assigned(scheduler)).toEqual(['1>1', '7>2', '900>3']);
    scheduler.removeWorker(worker(2));
    scheduler.offer(ticket(1_001));
    expect(assigned(scheduler)).toEqual(['1001>1']);
  });

  it('says what each worker with credits has for whom nothing waits, the same once', () => {
    const scheduler = schedulerOf({
      1: { can: ['node'], credits: 1 },
      2: { can: ['python', 'gpu'], credits: 1 },
      3: { can: ['exec'], credits: 0 },
      4: { can: ['gpu', 'python'], credits: 1 },
      5: { can: ['exec', 'gpu'], credits: 1 },
    });
    scheduler.offer(ticket(1, 'node'));
    scheduler.offer(ticket(2, 'gpu'));
    expect(scheduler.idleCapabilities()).toEqual([]);
    scheduler.withdraw(ticket(2).ticketId);
    expect(scheduler.idleCapabilities()).toEqual(['gpu python', 'exec gpu']);
  });
});

/** The same promises without heaps and rings: what waits, and how many credits each worker has. */
interface Model {
  readonly waiting: Map<TicketId, ReadyTicket>;
  readonly credits: Map<WorkerId, number>;
  readonly given: Set<TicketId>;
}
interface Real {
  readonly scheduler: Scheduler<ReadyTicket>;
}
const capabilitiesOf = (workerId: WorkerId): readonly string[] =>
  (['node', 'python', 'node python'][Number(workerId.slice(4)) % 3] ?? '').split(' ');
const canTake = (workerId: WorkerId, { requirement }: ReadyTicket): boolean =>
  requirement === '' || requirement.split(' ').every((capability) => capabilitiesOf(workerId).includes(capability));

type Step = fc.Command<Model, Real>;
const step = (text: string, run: (model: Model, real: Real) => void): Step => ({ check: () => true, run, toString: () => text });

function assign(model: Model, { scheduler }: Real, most: number): void {
  for (const { ticket: given, workerId } of scheduler.assign(most)) {
    expect(model.waiting.has(given.ticketId) && !model.given.has(given.ticketId), 'a ticket that waits, and never twice').toBe(true);
    expect(canTake(workerId, given)).toBe(true);
    const credits = model.credits.get(workerId) ?? 0;
    expect(credits, 'never beyond the credits').toBeGreaterThan(0);
    const urgent = [...model.waiting.values()].filter((other) => other.requirement === given.requirement && other.rankMs < given.rankMs);
    expect(urgent, 'the most urgent of its requirement').toEqual([]);
    model.credits.set(workerId, credits - 1);
    model.waiting.delete(given.ticketId);
    model.given.add(given.ticketId);
  }
  if (most < 100) return;
  const left = [...model.waiting.values()].filter((other) =>
    [...model.credits].some(([workerId, credits]) => credits > 0 && canTake(workerId, other)),
  );
  expect(left, 'nobody who could work is left without work').toEqual([]);
}

const anyWorker = fc.nat(5).map(worker);
const steps = [
  fc.tuple(fc.nat(40), fc.constantFrom('', 'node', 'python', 'node python'), fc.nat(9)).map(([number, requirement, rankMs]) =>
    step(`offer ${number} ${requirement} ${rankMs}`, (model, { scheduler }) => {
      const offered = ticket(number, requirement, rankMs);
      if (model.given.has(offered.ticketId)) return;
      scheduler.offer(offered);
      if (model.waiting.get(offered.ticketId)?.requirement !== requirement) model.waiting.set(offered.ticketId, offered);
    }),
  ),
  fc.nat(40).map((number) =>
    step(`withdraw ${number}`, (model, { scheduler }) => {
      scheduler.withdraw(ticket(number).ticketId);
      model.waiting.delete(ticket(number).ticketId);
    }),
  ),
  fc.tuple(anyWorker, fc.nat(4)).map(([workerId, credits]) =>
    step(`credits ${workerId} ${credits}`, (model, { scheduler }) => {
      scheduler.addWorker(workerId, capabilitiesOf(workerId));
      scheduler.setCredits(workerId, credits);
      model.credits.set(workerId, credits);
    }),
  ),
  anyWorker.map((workerId) =>
    step(`return ${workerId}`, (model, { scheduler }) => {
      scheduler.returnCredit(workerId);
      const credits = model.credits.get(workerId);
      if (credits !== undefined) model.credits.set(workerId, credits + 1);
    }),
  ),
  anyWorker.map((workerId) =>
    step(`remove ${workerId}`, (model, { scheduler }) => {
      scheduler.removeWorker(workerId);
      model.credits.delete(workerId);
    }),
  ),
  fc.constantFrom(1, 3, 100).map((most) => step(`assign ${most}`, (model, real) => assign(model, real, most))),
];

it('gives each ticket once, within the credits, the most urgent first, whatever happens in between', () => {
  fc.assert(
    fc.property(fc.commands(steps, { maxCommands: 60 }), (commands) => {
      fc.modelRun(
        () => ({
          model: { waiting: new Map(), credits: new Map(), given: new Set<TicketId>() },
          real: { scheduler: new Scheduler<ReadyTicket>() },
        }),
        commands,
      );
    }),
    { numRuns: 300 },
  );
});

const tenant = (number: number) => `ten_${number}` as TenantId;
const of = (tenantNumber: number, number: number, more: Partial<ReadyTicket> = {}): ReadyTicket => ({
  ...ticket(number),
  ticketId: `tkt_${tenantNumber}-${number}` as TicketId,
  tenantId: tenant(tenantNumber),
  ...more,
});

describe('between tenants', () => {
  it('shares of two that always have something waiting differ by one at most, however one of them floods', () => {
    const arrivals = fc.array(fc.tuple(fc.nat(60), fc.integer({ min: -200, max: 200 })), { minLength: 10, maxLength: 30 });
    fc.assert(
      fc.property(arrivals, (rounds) => {
        const scheduler = schedulerOf({ 1: { can: ['node', 'python'], credits: 10_000 } });
        let [next, most] = [0, 0];
        const had = [0, 0];
        for (const [flood, rankMs] of rounds) {
          for (let count = 0; count < flood + 8; count += 1)
            scheduler.offer(of(0, (next += 1), { rankMs, requirement: count % 2 === 0 ? 'node' : 'python' }));
          for (let count = 0; count < 8; count += 1) scheduler.offer(of(1, (next += 1), { rankMs: 1_000_000 }));
          for (const { ticket: each } of scheduler.assign(8)) {
            had[each.tenantId === tenant(0) ? 0 : 1]! += 1;
            most = Math.max(most, Math.abs(had[0]! - had[1]!));
          }
        }
        expect(most).toBeLessThanOrEqual(1);
      }),
      { numRuns: 200 },
    );
  });

  it('one that has three times the weight gets three times as much', () => {
    const scheduler = new Scheduler<ReadyTicket>((tenantId) => (tenantId === tenant(1) ? 3 : 1));
    scheduler.addWorker(worker(1), ['node']);
    scheduler.setCredits(worker(1), 1_000);
    for (let number = 0; number < 400; number += 1) for (const each of [0, 1]) scheduler.offer(of(each, number));
    const mine = scheduler.assign(200).filter(({ ticket: each }) => each.tenantId === tenant(1));
    expect(mine).toHaveLength(150);
  });

  it('one that had nothing to do is not repaid for it', () => {
    const scheduler = schedulerOf({ 1: { can: ['node'], credits: 1_000 } });
    for (let number = 0; number < 300; number += 1) scheduler.offer(of(0, number));
    scheduler.assign(100);
    for (let number = 0; number < 100; number += 1) scheduler.offer(of(1, number));
    const next = scheduler.assign(20).filter(({ ticket: each }) => each.tenantId === tenant(1));
    expect(next.length).toBeLessThanOrEqual(11);
  });
});

it('lets nothing overtake a ticket that becomes ready more than 210 minutes after it, whatever the priorities and deadlines', () => {
  const anyUrgency = fc.record({
    priority: fc.integer({ min: -100, max: 100 }),
    timeoutMs: fc.integer({ min: 100, max: 7 * 24 * 60 * minuteMs }),
    deadlineInMs: fc.option(fc.integer({ min: -1, max: 30 * 24 * 60 * minuteMs }), { nil: undefined }),
  });
  const rankOf = (
    readyAtMs: number,
    { deadlineInMs, ...rest }: { deadlineInMs: number | undefined; priority: number; timeoutMs: number },
  ) => rankMsOf({ ...rest, readyAtMs, deadlineAtMs: deadlineInMs === undefined ? undefined : readyAtMs + deadlineInMs });
  fc.assert(
    fc.property(anyUrgency, anyUrgency, fc.integer({ min: 1, max: 10 * minuteMs }), (mine, theirs, moreMs) => {
      const scheduler = schedulerOf({ 1: { can: ['node'], credits: 1 } });
      scheduler.offer(ticket(1, 'node', rankOf(0, mine)));
      for (let number = 2; number < 12; number += 1) scheduler.offer(ticket(number, 'node', rankOf(210 * minuteMs + moreMs, theirs)));
      expect(assigned(scheduler)).toEqual(['1>1']);
    }),
  );
});
