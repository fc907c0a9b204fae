import type { LeasedTicket, TicketId, WorkerId } from '@hivekeeper/contract';
import { FakeClock } from '@hivekeeper/testkit';
import { beforeEach, expect, it } from 'vitest';
import { Mailbox } from './mailbox.ts';

let clock: FakeClock;
let mailbox: Mailbox;

beforeEach(() => {
  clock = new FakeClock();
  mailbox = new Mailbox({ workerId: 'wrk_1' as WorkerId, name: 'w', capabilities: ['node'], maxParallel: 2 }, clock);
});

const idOf = (number: number) => `tkt_${number}` as TicketId;
const ticket = (number: number) => ({ ticketId: idOf(number) }) as LeasedTicket;
const stays = new AbortController().signal;

it('answers at once with what came between polls, and only once', async () => {
  mailbox.deliver([ticket(1)]);
  mailbox.deliver([ticket(2)]);
  expect(mailbox.waitingIds).toEqual([idOf(1), idOf(2)]);
  expect((await mailbox.collect(30_000, stays)).tickets).toEqual([ticket(1), ticket(2)]);
  expect(await mailbox.collect(0, stays)).toEqual({ tickets: [], revoked: [] });
  expect(clock.pendingTimers).toBe(0);
});

it.each([
  { what: 'a ticket', come: () => mailbox.deliver([ticket(1)]), answer: { tickets: [ticket(1)], revoked: [] } },
  { what: 'a revocation', come: () => mailbox.revoke([idOf(9)]), answer: { tickets: [], revoked: [idOf(9)] } },
  { what: 'the end of the wait', come: () => clock.advance(30_000), answer: { tickets: [], revoked: [] } },
])('wakes a waiting poll with $what', async ({ come, answer }) => {
  const poll = mailbox.collect(30_000, stays);
  expect(mailbox.isListening).toBe(true);
  await come();
  expect(await poll).toEqual(answer);
  expect(mailbox.isListening).toBe(false);
  expect(clock.pendingTimers).toBe(0);
});

it('lets a newer poll end an older one, which returns empty', async () => {
  const older = mailbox.collect(30_000, stays);
  const newer = mailbox.collect(30_000, stays);
  expect(await older).toEqual({ tickets: [], revoked: [] });
  mailbox.deliver([ticket(1)]);
  expect((await newer).tickets).toEqual([ticket(1)]);
});

it('never hands out a ticket that was revoked before it was fetched', async () => {
  mailbox.deliver([ticket(1), ticket(2)]);
  mailbox.revoke([idOf(1)]);
  expect(await mailbox.collect(0, stays)).toEqual({ tickets: [ticket(2)], revoked: [idOf(1)] });
  expect(await mailbox.collect(0, stays)).toEqual({ tickets: [], revoked: [] });
});

it('keeps what came for a caller that hung up while it waited', async () => {
  const gone = new AbortController();
  const poll = mailbox.collect(30_000, gone.signal);
  gone.abort();
  mailbox.deliver([ticket(1)]);
  expect((await poll).tickets).toEqual([]);
  expect((await mailbox.collect(0, stays)).tickets).toEqual([ticket(1)]);
});

it('does not wait for a caller that had hung up before', async () => {
  expect(await mailbox.collect(30_000, AbortSignal.abort())).toEqual({ tickets: [], revoked: [] });
  expect(clock.pendingTimers).toBe(0);
});
