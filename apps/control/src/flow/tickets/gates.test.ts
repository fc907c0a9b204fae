import { defaultTenantId, type TicketId, type WorkerId } from '@hivekeeper/contract';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type ReadyTicket, Scheduler } from './scheduler.ts';
import type { Throttle } from './throttle.ts';

const ticket = (number: number): ReadyTicket => ({
  ticketId: `tkt_${number}` as TicketId,
  tenantId: defaultTenantId,
  requirement: 'node',
  rankMs: number,
});
const printer = (limit: number): Throttle => ({ kind: 'key', key: 'key:printer', limit });
const scarce = (number: number, ...throttles: Throttle[]): ReadyTicket => ({ ...ticket(number), throttles });
const given = (scheduler: Scheduler<ReadyTicket>) => scheduler.assign(100).map(({ ticket }) => ticket);
const numbersOf = (tickets: readonly ReadyTicket[]) => tickets.map(({ ticketId }) => Number(ticketId.slice(4)));
function busy(): Scheduler<ReadyTicket> {
  const scheduler = new Scheduler<ReadyTicket>();
  const workerId = 'wrk_1' as WorkerId;
  scheduler.addWorker(workerId, ['node']);
  scheduler.setCredits(workerId, 1_000);
  return scheduler;
}
const printerKey = `${defaultTenantId} key:printer`;

describe('a ticket with throttles', () => {
  it('waits while its key has no room, lets others pass, and goes on in its order', () => {
    const scheduler = busy();
    for (const number of [3, 2, 1]) scheduler.offer(scarce(number, printer(1)));
    scheduler.offer(ticket(9));
    const [first, other] = given(scheduler);
    expect(numbersOf([first!, other!])).toEqual([1, 9]);
    expect(scheduler.parkedKeys()).toEqual([printerKey]);
    scheduler.granted(first!);
    expect(given(scheduler)).toEqual([]);
    scheduler.ended(first!);
    expect(numbersOf(given(scheduler))).toEqual([2]);
  });

  it('that was refused is tried again when there may be room: somebody says so, or one is tried now and then', () => {
    const scheduler = busy();
    for (const number of [1, 2, 3]) scheduler.offer(scarce(number, printer(5)));
    const refused = given(scheduler);
    for (const each of refused) scheduler.refused(each, 'key:printer');
    for (const each of refused) scheduler.offer(each);
    expect(given(scheduler)).toEqual([]);
    scheduler.open(printerKey);
    const [probe] = given(scheduler);
    expect(numbersOf([probe!])).toEqual([1]);
    scheduler.granted(probe!);
    expect(numbersOf(given(scheduler)), 'one that was granted invites the next').toEqual([2]);
    expect(given(scheduler)).toEqual([]);
    scheduler.probe();
    expect(numbersOf(given(scheduler))).toEqual([3]);
  });

  it('that waits for a budget is tried when another that counts in it ends', () => {
    const scheduler = busy();
    const everything: Throttle = { kind: 'budget', key: 'budget:tenant:', scope: 'tenant', maxMicroUsd: 1 };
    for (const number of [1, 2, 3]) scheduler.offer(scarce(number, everything));
    const [first, second, third] = given(scheduler);
    scheduler.granted(first!);
    for (const each of [second!, third!]) scheduler.refused(each, 'budget:tenant:');
    for (const each of [second!, third!]) scheduler.offer(each);
    expect(given(scheduler)).toEqual([]);
    scheduler.ended(first!);
    expect(numbersOf(given(scheduler))).toEqual([2]);
  });

  it('needs room under each of its keys, and what waits behind it for one of them goes on', () => {
    const scheduler = busy();
    const agent: Throttle = { kind: 'agent', key: 'agent:scan', limit: 1 };
    scheduler.offer(scarce(1, printer(1)));
    const [holder] = given(scheduler);
    scheduler.offer(scarce(2, agent));
    const [other] = given(scheduler);
    scheduler.offer(scarce(3, agent, printer(1)));
    scheduler.offer(scarce(4, agent));
    expect(given(scheduler)).toEqual([]);
    scheduler.ended(other!);
    expect(numbersOf(given(scheduler)), '3 waits for the printer now, and does not keep 4').toEqual([4]);
    scheduler.ended(holder!);
    expect(given(scheduler)).toEqual([]);
  });

  it('that is withdrawn keeps its room from nobody', () => {
    const scheduler = busy();
    for (const number of [1, 2, 3]) scheduler.offer(scarce(number, printer(1)));
    const [first] = given(scheduler);
    scheduler.ended(first!);
    scheduler.withdraw(ticket(2).ticketId);
    expect(numbersOf(given(scheduler))).toEqual([3]);
  });

  it('of a rate or a breaker takes no place that its end would free', () => {
    const scheduler = busy();
    for (const number of [1, 2]) scheduler.offer(scarce(number, { kind: 'rate', key: 'rate:scan', limit: 1, windowMs: 1_000 }));
    const [first] = given(scheduler);
    scheduler.ended(first!);
    expect(given(scheduler)).toEqual([]);
    scheduler.open(`${defaultTenantId} rate:scan`);
    expect(numbersOf(given(scheduler))).toEqual([2]);
  });

  it('costs nobody else: ten thousand that wait for one key are looked at once, and one at a time afterwards', () => {
    const scheduler = busy();
    let looks = 0;
    for (let number = 1; number <= 10_000; number += 1) {
      const watched = scarce(number, printer(1));
      scheduler.offer(Object.defineProperty(watched, 'throttles', { get: () => ((looks += 1), [printer(1)]) }));
    }
    let [holder] = given(scheduler);
    looks = 0;
    for (let count = 0; count < 100; count += 1) {
      scheduler.ended(holder!);
      [holder] = given(scheduler);
    }
    expect(looks / 100).toBeLessThan(20);
  });
});

/** A scheduler and the database it leases from, which has the last word. */
class Printing {
  readonly scheduler = busy();
  readonly leased: ReadyTicket[] = [];

  readonly limit: number;

  constructor(limit: number) {
    this.limit = limit;
    for (let number = 0; number < 60; number += 1) this.scheduler.offer(scarce(number, printer(limit)));
  }

  lease(isRefused: boolean): void {
    for (const each of given(this.scheduler)) {
      if (isRefused || this.leased.length >= this.limit) {
        this.scheduler.refused(each, 'key:printer');
        this.scheduler.offer(each);
      } else {
        this.leased.push(each);
        this.scheduler.granted(each);
      }
    }
  }

  end(ended: readonly ReadyTicket[]): void {
    for (const each of ended) this.scheduler.ended(each);
  }
}

it('leaves no ticket waiting for ever, whatever was refused, ended or said before', () => {
  const moves = fc.array(fc.tuple(fc.constantFrom('lease', 'refuse', 'end', 'open', 'probe'), fc.nat(3)), { maxLength: 80 });
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 4 }), moves, (limit, plan) => {
      const printing = new Printing(limit);
      const { scheduler, leased } = printing;
      const doing = {
        lease: () => printing.lease(false),
        refuse: () => printing.lease(true),
        end: (at: number) => printing.end(leased.splice(at, 1)),
        open: () => scheduler.open(printerKey),
        probe: () => scheduler.probe(),
      };
      for (const [what, at] of plan) doing[what](at);
      for (let round = 0; scheduler.readyCount > 0 && round < 200; round += 1) {
        printing.end(leased.splice(0));
        scheduler.probe();
        printing.lease(false);
      }
      expect(scheduler.readyCount).toBe(0);
    }),
    { numRuns: 300 },
  );
});
