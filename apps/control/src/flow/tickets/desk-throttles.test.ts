import { type AgentSpec, agentManifestSchema, defaultTenantId, type RunId, type TicketId, type WorkerId } from '@hivekeeper/contract';
import { newLog } from '@hivekeeper/kernel';
import { FakeClock } from '@hivekeeper/testkit';
import { beforeEach, describe, expect, it } from 'vitest';
import { TicketDesk } from './desk.ts';
import type { IssuedTicket, LeaseAnswers, LeaseRefusal, TicketStore } from './ticket-store.ts';

const agent: AgentSpec = { ...agentManifestSchema.parse({ name: 'scanner', version: '1.0.0' }), trust: 'trusted' };
const workerId = 'wrk_1' as WorkerId;
const idOf = (number: number) => `tkt_${number}` as TicketId;
const ticketOf = (number: number, more: Partial<IssuedTicket> = {}): IssuedTicket => ({
  ticketId: idOf(number),
  runId: 'run_1' as RunId,
  tenantId: defaultTenantId,
  nodeId: 'n',
  slot: 0,
  attempt: 1,
  agent: 'scanner',
  input: {},
  memo: [],
  isHeld: false,
  timeoutMs: 1_000,
  requirement: 'node',
  rankMs: number,
  ...more,
});

let clock: FakeClock;
let desk: TicketDesk;
let ready: IssuedTicket[];
let changes: number;
let roomy: string[];

const store: TicketStore = {
  renew: async () => new Set(),
  release: async () => [],
  expired: async () => [],
  ready: async () => ready,
  heldBy: async () => [],
  ofRun: async () => [],
  progressOf: async () => [],
  counts: async () => ({ ready: 0, leased: 0 }),
};

beforeEach(() => {
  clock = new FakeClock();
  [ready, roomy, changes] = [[], [], 0];
  const log = newLog({ level: 'silent', component: 'test' });
  desk = new TicketDesk({ store, clock, log, findAgent: () => agent, epoch: 7, leaseMs: 10_000, silentAfterMs: 5_000 });
  desk.listen({
    ticketLost: () => {},
    capacityChanged: () => (changes += 1),
    progressed: () => {},
    roomMade: (fullKey) => roomy.push(fullKey),
  });
});

function seat(credits: number): void {
  const ends = { deliver: () => {}, revoke: () => {} };
  desk.attach({ workerId, name: 'w', capabilities: ['node'], maxParallel: 9, isListening: true, ...ends });
  desk.setCredits(workerId, credits);
}

/** What the database says of the leases a commit asked for. */
const answers = (counters = new Map<TicketId, string>(), refusals = new Map<TicketId, LeaseRefusal>()): LeaseAnswers => ({
  counters,
  refusals,
});

describe('a ticket with throttles', () => {
  const printer = { kind: 'key', key: 'key:printer', limit: 2 } as const;
  const rate = { kind: 'rate', key: 'rate:scanner', limit: 9, windowMs: 1_000 } as const;
  const scarce = (number: number) => ticketOf(number, { throttles: [printer, rate] });
  const printerKey = `${defaultTenantId} key:printer`;
  const handOut = () => desk.assign([], 100);
  const idsIn = (assignments: readonly { readonly ticket: IssuedTicket }[]) => assignments.map(({ ticket }) => ticket.ticketId);

  it('is not leased by the commit that issues it, but by the next one', () => {
    seat(5);
    const fresh = [scarce(1), ticketOf(2)];
    const assignments = desk.assign(fresh, 100);
    expect(idsIn(assignments)).toEqual([idOf(2)]);
    desk.deliver(assignments, answers(new Map([[idOf(2), '1']])), fresh);
    expect(idsIn(handOut())).toEqual([idOf(1)]);
  });

  it('that was refused waits until its time has come, and the worker gets something else meanwhile', async () => {
    seat(1);
    desk.deliver([], answers(), [scarce(1), ticketOf(2)]);
    desk.deliver(handOut(), answers(new Map(), new Map([[idOf(1), { key: rate.key, roomInMs: 249.2 }]])));
    const next = handOut();
    expect(idsIn(next)).toEqual([idOf(2)]);
    desk.unassign(next, new Set([idOf(2)]));
    await clock.advance(249);
    expect(handOut()).toEqual([]);
    const before = changes;
    await clock.advance(1);
    expect(changes).toBe(before + 1);
    expect(idsIn(handOut())).toEqual([idOf(1)]);
  });

  it('leaves no timer behind when nothing is handed out any more', () => {
    seat(1);
    desk.deliver([], answers(), [scarce(1)]);
    desk.deliver(handOut(), answers(new Map(), new Map([[idOf(1), { key: rate.key, roomInMs: 1_000 }]])));
    expect(clock.pendingTimers).toBe(1);
    desk.stopHandingOut();
    expect(clock.pendingTimers).toBe(0);
  });

  it.each<[how: string, end: (ticketId: TicketId) => unknown]>([
    ['settled', (ticketId) => desk.close([ticketId], false)],
    ['revoked', (ticketId) => desk.close([ticketId], true)],
    ['dropped', (ticketId) => desk.heartbeat(workerId, [{ ticketId, token: '7.1' }])],
  ])('makes room for the next one when it is %s, and says so', async (_, end) => {
    seat(5);
    desk.deliver([], answers(), [1, 2, 3].map(scarce));
    const leased = handOut();
    expect(idsIn(leased)).toEqual([idOf(1), idOf(2)]);
    desk.deliver(leased, answers(new Map(leased.map(({ ticket }, index) => [ticket.ticketId, String(index + 1)]))));
    expect(handOut()).toEqual([]);
    await end(idOf(1));
    expect(roomy).toEqual([printerKey]);
    expect(idsIn(handOut())).toEqual([idOf(3)]);
  });

  it('waits for a place of which nobody here has heard no longer than until the next sweep', async () => {
    seat(5);
    desk.deliver([], answers(), [scarce(1)]);
    desk.deliver(handOut(), answers(new Map(), new Map([[idOf(1), { key: printer.key }]])));
    expect(handOut()).toEqual([]);
    await desk.sweep();
    expect(idsIn(handOut())).toEqual([idOf(1)]);
  });

  it('goes on when another control plane says that its key has room', () => {
    seat(5);
    desk.deliver([], answers(), [scarce(1)]);
    desk.deliver(handOut(), answers(new Map(), new Map([[idOf(1), { key: printer.key }]])));
    desk.open(printerKey);
    expect(idsIn(handOut())).toEqual([idOf(1)]);
  });

  it('is read anew where its agent changed', async () => {
    seat(5);
    desk.deliver([], answers(), [1, 2, 3].map(scarce));
    expect(handOut()).toHaveLength(2);
    ready = [ticketOf(3)];
    desk.throttlesChanged();
    await desk.refill();
    expect(idsIn(handOut())).toEqual([idOf(3)]);
  });
});
