import type { AgentSpec, PollResponse, TicketId, WorkerId } from '@hivekeeper/contract';
import { agentManifestSchema, defaultTenantId } from '@hivekeeper/contract';
import { newLog } from '@hivekeeper/kernel';
import { FakeClock } from '@hivekeeper/testkit';
import { beforeEach, expect, it } from 'vitest';
import { type IssuedTicket, Mailbox, TicketDesk } from '../../flow/tickets/index.ts';
import { MemoryTables } from '../testing/memory-tables.ts';
import { memoryTicketStore } from '../testing/memory-ticket-store.ts';
import { WorkerLines } from './worker-lines.ts';

const workerId = 'wrk_01JD0000000000000000000000' as WorkerId;
const agent: AgentSpec = { ...agentManifestSchema.parse({ name: 'scanner', version: '1.0.0' }), trust: 'trusted' };

let tables: MemoryTables;
let desk: TicketDesk;
let lines: WorkerLines;
let clock: FakeClock;
let databaseReads: number;
let lost: string[];

beforeEach(() => {
  clock = new FakeClock();
  tables = new MemoryTables(() => clock.nowMs());
  databaseReads = 0;
  const store = memoryTicketStore(tables);
  const counting = { ...store, heldBy: (worker: WorkerId) => ((databaseReads += 1), store.heldBy(worker)) };
  desk = new TicketDesk({
    store: counting,
    clock,
    log: newLog({ level: 'silent', component: 'test' }),
    findAgent: () => agent,
    epoch: 1,
    leaseMs: 30_000,
    silentAfterMs: 10_000,
  });
  lost = [];
  desk.listen({
    ticketLost: ({ ticketId }) => void lost.push(ticketId.slice(31)),
    capacityChanged: () => {},
    progressed: () => {},
    roomMade: () => {},
  });
  lines = new WorkerLines(desk, clock);
  lines.register({ workerId, name: 'w', capabilities: ['node'], maxParallel: 4 });
});

const ticketOf = (ordinal: number): IssuedTicket => ({
  ticketId: `tkt_01JD0000000000000000000000.${ordinal}` as TicketId,
  runId: 'run_01JD0000000000000000000000' as never,
  tenantId: defaultTenantId,
  nodeId: 'scan',
  slot: 0,
  attempt: 1,
  agent: 'scanner',
  input: {},
  memo: [],
  isHeld: false,
  timeoutMs: 1_000,
  requirement: 'node',
  rankMs: ordinal,
});

function lease(ordinal: number): void {
  const ticket = ticketOf(ordinal);
  const token = tables.nextCounter();
  tables.tickets.set(ticket.ticketId, { ...ticket, workerId, token, leasedAtMs: 0 });
  desk.deliver([{ ticket, workerId }], { counters: new Map([[ticket.ticketId, token]]), refusals: new Map() });
}

const poll = (held: readonly TicketId[] = [], signal = new AbortController().signal): Promise<PollResponse> =>
  lines.poll({ workerId, credits: 4, held: held.map((ticketId) => ({ ticketId, token: '1.1' })), waitMs: 0 }, signal);
const idsOf = ({ tickets }: PollResponse) => tickets.map(({ ticketId }) => ticketId.slice(31));

it('asks the database what the worker holds on its first poll, and never on an ordinary one', async () => {
  await poll();
  expect(databaseReads).toBe(1);
  lease(1);
  expect(idsOf(await poll())).toEqual(['1']);
  await poll([ticketOf(1).ticketId]);
  await poll([ticketOf(1).ticketId]);
  expect(databaseReads).toBe(1);
});

it('gives up a ticket whose answer was lost, and never sends it again: it may have been begun', async () => {
  await poll();
  lease(1);
  const [first, second] = [await poll(), await poll()];
  expect([idsOf(first), idsOf(second), lost]).toEqual([['1'], [], ['1']]);
});

it('does not send again what was settled meanwhile', async () => {
  await poll();
  lease(1);
  await poll();
  tables.tickets.clear();
  desk.close([ticketOf(1).ticketId], false);
  expect(idsOf(await poll())).toEqual([]);
  expect(databaseReads).toBe(1);
});

it('keeps what came for a caller that hung up', async () => {
  await poll();
  const hangUp = new AbortController();
  const waiting = lines.poll({ workerId, credits: 4, held: [], waitMs: 30_000 }, hangUp.signal);
  await clock.advance(0);
  hangUp.abort();
  lease(1);
  expect(await waiting).toEqual({ tickets: [], revoked: [] });
  expect(idsOf(await poll())).toEqual(['1']);
});

it('gives up what a worker that registers again was given before and does not hold', async () => {
  await poll();
  lease(1);
  await poll();
  lines.register({ workerId, name: 'w', capabilities: ['node'], maxParallel: 4 });
  lease(2);
  expect([idsOf(await poll()), lost]).toEqual([['2'], ['1']]);
});

it('refuses a worker that the desk has forgotten, and forgets it when another comes', async () => {
  desk.detach(workerId);
  await expect(poll()).rejects.toMatchObject({ code: 'NOT_FOUND' });
  lines.register({ workerId: 'wrk_01JD0000000000000000000001' as WorkerId, name: 'x', capabilities: [], maxParallel: 1 });
  desk.attach(new Mailbox({ workerId, name: 'w', capabilities: [], maxParallel: 1 }, clock));
  await expect(poll()).rejects.toMatchObject({ code: 'NOT_FOUND' });
});

it('takes a worker for connected that waited long at its end of the line, and has just been given something', async () => {
  const waiting = lines.poll({ workerId, credits: 4, held: [], waitMs: 25_000 }, new AbortController().signal);
  await clock.advance(20_000);
  lease(1);
  expect(idsOf(await waiting)).toEqual(['1']);
  expect(desk.workers()).toMatchObject([{ state: 'connected', lastSeenAtMs: clock.nowMs() }]);
  await clock.advance(10_001);
  expect(desk.workers()).toMatchObject([{ state: 'silent' }]);
});
