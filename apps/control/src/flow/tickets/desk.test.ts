import {
  type AgentSpec,
  agentManifestSchema,
  defaultTenantId,
  type HeldTicket,
  HiveError,
  type LeasedTicket,
  type RunId,
  type TicketId,
  ticketIdOf,
  type WorkerId,
} from '@hivekeeper/contract';
import { newLog } from '@hivekeeper/kernel';
import { FakeClock } from '@hivekeeper/testkit';
import { beforeEach, describe, expect, it } from 'vitest';
import { TicketDesk } from './desk.ts';
import type { IssuedTicket, Lease, LeaseAnswers, TicketStore } from './ticket-store.ts';

const agent: AgentSpec = { ...agentManifestSchema.parse({ name: 'scanner', version: '1.0.0' }), trust: 'trusted' };
const workerOf = (number: number) => `wrk_${number}` as WorkerId;
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

interface Row extends IssuedTicket {
  workerId?: WorkerId | undefined;
  token: string;
}

let clock: FakeClock;
let desk: TicketDesk;
let rows: Map<TicketId, Row>;
let expired: Lease[];
let readyReads: (readonly string[])[];
let readyFault: Error | undefined;
let changes: number;
let lost: Lease[];
let progressed: RunId[];
let counter: number;

const isHeld = (workerId: WorkerId, { ticketId, token }: { ticketId: TicketId; token: string }) =>
  rows.get(ticketId)?.workerId === workerId && rows.get(ticketId)?.token === token;

const store: TicketStore = {
  renew: async (workerId, tickets) => new Set(tickets.filter((ticket) => isHeld(workerId, ticket)).map(({ ticketId }) => ticketId)),
  release: async (workerId, tickets) => tickets.filter((ticket) => isHeld(workerId, ticket)).map(({ ticketId }) => free(ticketId)),
  expired: async () => expired,
  ready: async (_most, capabilities) => {
    readyReads.push(capabilities);
    if (readyFault !== undefined) throw readyFault;
    return [...rows.values()].filter(({ workerId, requirement }) => workerId === undefined && capabilities.includes(requirement));
  },
  heldBy: async (worker) => [...rows.values()].filter(({ workerId }) => workerId === worker),
  ofRun: async () => [],
  progressOf: async () => [],
  counts: async () => ({ ready: 0, leased: 0 }),
};

function free(ticketId: TicketId): Row {
  const row: Row = { ...(rows.get(ticketId) as Row), workerId: undefined, token: '' };
  rows.set(ticketId, row);
  return row;
}

beforeEach(() => {
  clock = new FakeClock();
  rows = new Map();
  [expired, readyReads, lost, progressed, changes, counter, readyFault] = [[], [], [], [], 0, 0, undefined];
  desk = new TicketDesk({
    store,
    clock,
    log: newLog({ level: 'silent', component: 'test' }),
    findAgent: (_tenantId, name) => (name === 'scanner' ? agent : undefined),
    epoch: 7,
    leaseMs: 10_000,
    silentAfterMs: 5_000,
  });
  desk.listen({
    ticketLost: (lease) => lost.push(lease),
    capacityChanged: () => (changes += 1),
    progressed: (runId) => progressed.push(runId),
    roomMade: () => {},
  });
});

interface Seated {
  readonly workerId: WorkerId;
  readonly tickets: LeasedTicket[];
  readonly revoked: TicketId[];
}

function seat(number: number, credits: number, capabilities: readonly string[] = ['node']): Seated {
  const seated: Seated = { workerId: workerOf(number), tickets: [], revoked: [] };
  desk.attach({
    workerId: seated.workerId,
    name: `w${number}`,
    capabilities,
    maxParallel: 9,
    isListening: false,
    deliver: (tickets) => void seated.tickets.push(...tickets),
    revoke: (ticketIds) => void seated.revoked.push(...ticketIds),
  });
  desk.setCredits(seated.workerId, credits);
  return seated;
}

/** What the database says of the leases a commit asked for. */
const answers = (counters = new Map<TicketId, string>()): LeaseAnswers => ({ counters, refusals: new Map() });

/** A commit that leases what the desk assigns, and stores the rest as ready. */
function commit(fresh: readonly IssuedTicket[]): void {
  const assignments = desk.assign(fresh, 100);
  for (const ticket of fresh) rows.set(ticket.ticketId, { ...ticket, token: '' });
  const counters = new Map<TicketId, string>();
  for (const { ticket, workerId } of assignments) {
    const row = rows.get(ticket.ticketId);
    if (row === undefined || row.workerId !== undefined) continue;
    counter += 1;
    rows.set(ticket.ticketId, { ...row, workerId, token: String(counter) });
    counters.set(ticket.ticketId, String(counter));
  }
  desk.deliver(assignments, answers(counters), fresh);
}

const idsOf = ({ tickets }: Seated) => tickets.map(({ ticketId }) => ticketId);
const heldOf = ({ tickets }: Seated) => tickets.map(({ ticketId, token }) => ({ ticketId, token }));

describe('handing out', () => {
  it('delivers committed leases with their tokens and agents', () => {
    const worker = seat(1, 2);
    commit([ticketOf(1)]);
    expect(worker.tickets).toEqual([expect.objectContaining({ ticketId: idOf(1), token: '7.1', agent, leaseMs: 10_000 })]);
    expect(desk.leaseOf(idOf(1))).toEqual({ token: '7.1', workerId: worker.workerId, requirement: 'node', leasedAtMs: clock.nowMs() });
  });

  it('lets no other batch lease a ticket whose own commit is still under way', () => {
    seat(1, 0);
    const fresh = [ticketOf(1)];
    expect(desk.assign(fresh, 100)).toEqual([]);
    desk.setCredits(workerOf(1), 1);
    expect(desk.assign([], 100)).toEqual([]);
    desk.deliver([], answers(), fresh);
    expect(desk.assign([], 100).map(({ ticket }) => ticket.ticketId)).toEqual([idOf(1)]);
  });

  it('gives credits and stored tickets back when a commit fails, and forgets fresh ones', () => {
    seat(1, 2);
    desk.deliver([], answers(), [ticketOf(1)]);
    const assignments = desk.assign([ticketOf(2)], 100);
    expect(assignments).toHaveLength(2);
    desk.unassign(assignments, new Set([idOf(2)]));
    const again = desk.assign([ticketOf(3)], 100);
    expect(again.map(({ ticket }) => ticket.ticketId)).toEqual([idOf(1), idOf(3)]);
  });

  it('does not count twice what is assigned while a worker names its credits', () => {
    seat(1, 2);
    const assignments = desk.assign([ticketOf(1), ticketOf(2)], 100);
    desk.setCredits(workerOf(1), 2);
    expect(desk.assign([ticketOf(3)], 100)).toEqual([]);
    desk.unassign(assignments, new Set([idOf(1), idOf(2)]));
    expect(desk.assign([ticketOf(4), ticketOf(5), ticketOf(6)], 100)).toHaveLength(2);
  });

  it('counts them too when the worker registers anew meanwhile, and gives nothing before it has named its credits', () => {
    seat(1, 2);
    const assignments = desk.assign([ticketOf(1), ticketOf(2)], 100);
    seat(1, 2);
    expect(desk.assign([ticketOf(3)], 100)).toEqual([]);
    desk.deliver(
      assignments,
      answers(
        new Map([
          [idOf(1), '1'],
          [idOf(2), '2'],
        ]),
      ),
    );
    seat(1, 0);
    expect(desk.assign([ticketOf(4)], 100)).toEqual([]);
  });

  it('gives the credit back where another control plane took the ticket', () => {
    const worker = seat(1, 1);
    const assignments = desk.assign([ticketOf(1)], 100);
    desk.deliver(assignments, answers());
    expect(worker.tickets).toEqual([]);
    expect(desk.assign([ticketOf(2)], 100)).toHaveLength(1);
  });

  it('passes over a ticket whose agent is gone and delivers its neighbours', async () => {
    const worker = seat(1, 3);
    commit([ticketOf(1), ticketOf(2, { agent: 'removed' }), ticketOf(3)]);
    expect(idsOf(worker)).toEqual([idOf(1), idOf(3)]);
    expect(desk.assign([ticketOf(4)], 100)).toHaveLength(1);
  });

  it('ends when the control plane stops: what becomes ready is for others', async () => {
    seat(1, 5);
    desk.stopHandingOut();
    expect(desk.assign([ticketOf(1)], 100)).toEqual([]);
    await desk.sweep();
    expect(readyReads).toEqual([]);
  });
});

describe('a heartbeat', () => {
  it('names what is no longer held, and the desk forgets it', async () => {
    const worker = seat(1, 2);
    commit([ticketOf(1), ticketOf(2)]);
    rows.delete(idOf(1));
    expect(await desk.heartbeat(worker.workerId, heldOf(worker))).toEqual([idOf(1)]);
    expect(desk.leaseOf(idOf(1))).toBeUndefined();
    expect(desk.workers()[0]?.heldCount).toBe(1);
  });

  it('refuses tokens of another epoch and tickets of another worker', async () => {
    const worker = seat(1, 1);
    const other = seat(2, 0);
    commit([ticketOf(1)]);
    expect(await desk.heartbeat(worker.workerId, [{ ticketId: idOf(1), token: '6.1' }])).toEqual([idOf(1)]);
    expect(await desk.heartbeat(other.workerId, heldOf(worker))).toEqual([idOf(1)]);
    expect(desk.leaseOf(idOf(1))?.workerId).toBe(worker.workerId);
    expect(await desk.heartbeat(worker.workerId, heldOf(worker))).toEqual([]);
  });

  it('that is late does not take a ticket from those who wait, nor from its new holder', async () => {
    const [first, second] = [seat(1, 1), seat(2, 0)];
    commit([ticketOf(1)]);
    const late = heldOf(first);
    await desk.release(first.workerId, late);
    await desk.heartbeat(first.workerId, late);
    desk.setCredits(second.workerId, 1);
    commit([]);
    expect(idsOf(second)).toEqual([idOf(1)]);
    await desk.heartbeat(first.workerId, late);
    expect(desk.leaseOf(idOf(1))?.workerId).toBe(second.workerId);
  });

  it('with progress tells of it, for what is still held, once a run', async () => {
    const worker = seat(1, 3);
    const runId = 'run_01JD0000000000000000000000' as RunId;
    const tickets = [0, 1, 2].map((ordinal) => ticketOf(ordinal, { ticketId: ticketIdOf(runId, ordinal), runId }));
    commit(tickets);
    const [gone, talking, other] = heldOf(worker) as [HeldTicket, HeldTicket, HeldTicket];
    rows.delete(gone.ticketId);
    await desk.heartbeat(worker.workerId, [{ ...gone, progress: 1 }, talking, other]);
    expect(progressed).toEqual([]);
    await desk.heartbeat(worker.workerId, [
      { ...talking, progress: 1 },
      { ...other, progress: 2 },
    ]);
    expect(progressed).toEqual([runId]);
  });

  it('of a worker that never registered is refused', async () => {
    await expect(desk.heartbeat(workerOf(9), [])).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });
});

describe('a release', () => {
  it('makes the ticket ready for somebody else, and gives the worker nothing more', async () => {
    const [first, second] = [seat(1, 3), seat(2, 0)];
    commit([ticketOf(1)]);
    await desk.release(first.workerId, heldOf(first));
    desk.setCredits(second.workerId, 1);
    commit([]);
    expect(idsOf(second)).toEqual([idOf(1)]);
    expect(desk.workers().find(({ id }) => id === first.workerId)).toMatchObject({ state: 'draining', heldCount: 0 });
  });

  it('that is repeated does not hide the ticket', async () => {
    const [first, second] = [seat(1, 1), seat(2, 0)];
    commit([ticketOf(1)]);
    const held = heldOf(first);
    await desk.release(first.workerId, held);
    await desk.release(first.workerId, held);
    desk.setCredits(second.workerId, 1);
    commit([]);
    expect(idsOf(second)).toEqual([idOf(1)]);
  });

  it('leaves a draining worker without the credit of a commit that fails later', async () => {
    const first = seat(1, 1);
    const assignments = desk.assign([ticketOf(1)], 100);
    await desk.release(first.workerId, []);
    desk.unassign(assignments, new Set([idOf(1)]));
    expect(desk.assign([ticketOf(2)], 100)).toEqual([]);
  });
});

describe('ready tickets that nobody told of', () => {
  const strand = (number: number, requirement = 'node') => rows.set(idOf(number), { ...ticketOf(number, { requirement }), token: '' });

  it('are found by the sweep, also when a notification was lost after the first look', async () => {
    const worker = seat(1, 2);
    await desk.sweep();
    strand(1);
    await desk.sweep();
    commit([]);
    expect(idsOf(worker)).toEqual([idOf(1)]);
  });

  it('are found though others wait that nobody here can run', async () => {
    const worker = seat(1, 1);
    commit([ticketOf(1, { requirement: 'python' })]);
    strand(2);
    await desk.sweep();
    commit([]);
    expect(idsOf(worker)).toEqual([idOf(2)]);
    expect(readyReads).toEqual([['node']]);
  });

  it('are asked for again after the database failed', async () => {
    seat(1, 1);
    strand(1);
    readyFault = new HiveError('DATABASE_UNAVAILABLE');
    desk.noticeMore();
    await expect(desk.refill()).rejects.toThrow();
    readyFault = undefined;
    await desk.refill();
    expect(desk.assign([], 100)).toHaveLength(1);
  });

  it('are not asked for while workers find enough in memory, or have no credits', async () => {
    seat(1, 0);
    await desk.sweep();
    desk.setCredits(workerOf(1), 1);
    desk.deliver([], answers(), [ticketOf(1)]);
    await desk.sweep();
    expect(readyReads).toEqual([]);
  });
});

describe('a worker that is gone', () => {
  it('is forgotten with all it held, though another control plane ended its tickets', async () => {
    const worker = seat(1, 1);
    commit([ticketOf(1)]);
    rows.clear();
    await clock.advance(49_000);
    await desk.sweep();
    expect(desk.workers()).toMatchObject([{ state: 'silent', heldCount: 1 }]);
    await clock.advance(2_000);
    await desk.sweep();
    expect(desk.workers()).toEqual([]);
    expect(desk.leaseOf(idOf(1))).toBeUndefined();
    expect(() => desk.setCredits(worker.workerId, 1)).toThrow(expect.objectContaining({ code: 'NOT_FOUND' }));
  });

  it('is not taken for silent while its poll waits', async () => {
    desk.attach({
      workerId: workerOf(1),
      name: 'w',
      capabilities: [],
      maxParallel: 1,
      isListening: true,
      deliver: () => {},
      revoke: () => {},
    });
    await clock.advance(60_000);
    await desk.sweep();
    expect(desk.workers()).toMatchObject([{ state: 'connected' }]);
  });
});

it('reports every lease that ran out, with the token its holder has', async () => {
  expired = [{ ticketId: idOf(1), token: '3', runId: 'run_1' as RunId, workerId: workerOf(1) }];
  await desk.sweep();
  expect(lost).toEqual([{ ...expired[0], token: '7.3' }]);
});

it('tells a holder to drop what is revoked, and only then', () => {
  const worker = seat(1, 2);
  commit([ticketOf(1), ticketOf(2)]);
  desk.close([idOf(1)], true);
  desk.close([idOf(2)], false);
  expect(worker.revoked).toEqual([idOf(1)]);
  expect(desk.leaseOf(idOf(2))).toBeUndefined();
});

it('says that there may be work whenever credits or tickets come', () => {
  seat(1, 0);
  expect(changes).toBe(0);
  desk.setCredits(workerOf(1), 1);
  desk.noticeMore();
  expect(changes).toBe(2);
});
