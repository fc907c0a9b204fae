import { type ErrorCode, HiveError, type HeldTicket, type SettleRequest, type SuspendRequest, type WorkerId } from '@hivekeeper/contract';
import { newLog } from '@hivekeeper/kernel';
import { FakeClock, seededRandom } from '@hivekeeper/testkit';
import { describe, expect, it } from 'vitest';
import { backoffMs } from './backoff.ts';
import { newDeliver, type Report } from './deliver.ts';

const held = { ticketId: 'tkt_1', token: '1.1' } as HeldTicket;
const good = { outcome: { ok: true, output: 1 } } as const;
const bad = { outcome: { ok: false, error: { code: 'AGENT_FAILED', message: 'no' } } } as const;
const waits = { suspension: { kind: 'timer', step: 's', forMs: 1 } } as const;

type Answer = ErrorCode | 'broken' | 'ok';

function controlPlane(...answers: readonly Answer[]) {
  const seen: (SettleRequest | SuspendRequest)[] = [];
  const clock = new FakeClock();
  const answer = async (body: SettleRequest | SuspendRequest) => {
    const next = answers[seen.push(body) - 1] ?? 'ok';
    if (next === 'broken') throw new TypeError('socket hang up');
    if (next !== 'ok') throw new HiveError(next);
  };
  const deliver = newDeliver({
    api: { settle: answer, suspend: answer },
    workerId: 'wrk_1' as WorkerId,
    clock,
    random: seededRandom(1),
    log: newLog({ level: 'silent', component: 'test' }),
  });
  return { seen, clock, deliver };
}

async function delivered(report: Report, ...answers: readonly Answer[]) {
  const { seen, clock, deliver } = controlPlane(...answers);
  const receipt = deliver(held, report, new AbortController().signal);
  await clock.advance(120_000);
  return { receipt: await receipt, seen };
}

describe('delivering a result', () => {
  it('is done when it was taken', async () => {
    expect(await delivered(good)).toMatchObject({
      receipt: 'accepted',
      seen: [{ workerId: 'wrk_1', ticketId: 'tkt_1', token: '1.1', ...good }],
    });
  });

  it.each(['UNREACHABLE', 'SHUTTING_DOWN', 'DATABASE_UNAVAILABLE', 'INTERNAL', 'NOT_FOUND', 'broken'] as const)(
    'is repeated after %s',
    async (answer) => {
      const { receipt, seen } = await delivered(good, answer, answer, answer);
      expect(receipt).toBe('accepted');
      expect(seen).toHaveLength(4);
    },
  );

  it('ends where somebody else holds the ticket', async () => {
    expect(await delivered(good, 'TICKET_NOT_HELD')).toMatchObject({ receipt: 'not-held', seen: [{}] });
  });

  it('ends where our token is not accepted', async () => {
    expect(await delivered(good, 'UNAUTHENTICATED')).toMatchObject({ receipt: 'refused', seen: [{}] });
  });

  it.each([
    ['BODY_TOO_LARGE', 'AGENT_OUTPUT_TOO_LARGE'],
    ['UNSTORABLE_VALUE', 'AGENT_OUTPUT_INVALID'],
  ] as const)('hands in a failure instead of what is refused with %s', async (answer, code) => {
    const { receipt, seen } = await delivered(good, answer);
    expect(receipt).toBe('accepted');
    expect(seen[1]).toMatchObject({ outcome: { ok: false, error: { code } } });
  });

  it('tells what an agent waits for, and hands in a failure where that is refused', async () => {
    const { receipt, seen } = await delivered(waits, 'UNREACHABLE', 'INVALID_REQUEST');
    expect(receipt).toBe('accepted');
    expect(seen).toMatchObject([waits, waits, { outcome: { ok: false, error: { code: 'AGENT_OUTPUT_INVALID' } } }]);
  });

  it('ends where even the failure is refused', async () => {
    expect(await delivered(bad, 'INVALID_REQUEST')).toMatchObject({ receipt: 'refused', seen: [{}] });
  });

  it('is given up when the ticket is dropped, also while it waits to try again', async () => {
    const { clock, deliver, seen } = controlPlane('UNREACHABLE', 'UNREACHABLE');
    const dropped = new AbortController();
    const receipt = deliver(held, good, dropped.signal);
    await clock.advance(0);
    dropped.abort();
    expect(await receipt).toBe('given-up');
    expect(seen).toHaveLength(1);
    expect(clock.pendingTimers).toBe(0);
  });
});

describe('the wait between attempts', () => {
  it('doubles up to ten seconds and is spread over its second half', () => {
    const at = (failureCount: number, random: number) => backoffMs(failureCount, { next: () => random, bytes: () => new Uint8Array() });
    expect([1, 2, 3, 4, 50].map((failureCount) => at(failureCount, 0))).toEqual([125, 250, 500, 1_000, 5_000]);
    expect(at(50, 0.999_999)).toBeCloseTo(10_000, 0);
  });
});
