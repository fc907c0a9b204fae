import {
  type ErrorCode,
  HiveError,
  type HeartbeatRequest,
  type LeasedTicket,
  type Outcome,
  type PollRequest,
  type PollResponse,
  type ReleaseRequest,
  type TicketId,
  type WorkerId,
} from '@hivekeeper/contract';
import { newLog } from '@hivekeeper/kernel';
import { FakeClock, seededRandom } from '@hivekeeper/testkit';
import { describe, expect, it } from 'vitest';
import type { Execution } from '../agents/process/index.ts';
import { type WorkerApi, newDeliver } from '../report/index.ts';
import { Intake } from './intake.ts';

const leaseMs = 20_000;
const ticketOf = (id: string, token = '1.1'): LeasedTicket =>
  ({
    ticketId: id,
    token,
    runId: 'run',
    nodeId: 'n',
    attempt: 1,
    agent: { name: 'one' },
    leaseMs,
    timeoutMs: 1_000,
  }) as unknown as LeasedTicket;

/** A control plane that answers as the test says, and a worker of two places beside it. */
class Stage {
  readonly clock = new FakeClock();
  readonly polls: PollRequest[] = [];
  readonly beats: HeartbeatRequest[] = [];
  readonly settled: { readonly ticketId: string; readonly outcome: Outcome }[] = [];
  readonly released: ReleaseRequest['tickets'][number][] = [];
  /** Agents at work, by ticket and token. */
  readonly running = new Map<string, (execution: Execution) => void>();
  readonly killed: string[] = [];
  registerCount = 0;
  revoked: TicketId[] = [];
  /** Answered without waiting, to a poll without credits. */
  lost: LeasedTicket[] = [];
  refusals: Partial<Record<keyof WorkerApi, ErrorCode>> = {};
  isDyingSlowly = false;
  /** Heartbeats are answered once this has resolved. */
  beatGate: Promise<void> = Promise.resolve();
  readonly intake: Intake;
  ended: Promise<void>;
  #answerPoll: ((answer: PollResponse) => void) | undefined;

  constructor() {
    const parts = { clock: this.clock, random: seededRandom(1), log: newLog({ level: 'silent', component: 'test' }) };
    const api = this.#api();
    const workerId = 'wrk_1' as WorkerId;
    this.intake = new Intake({
      ...parts,
      api,
      registration: { workerId, name: 'w', capabilities: [], maxParallel: 2 },
      deliver: newDeliver({ ...parts, api, workerId }),
      execute: ({ ticketId, token }, { signal, onProgress }) =>
        new Promise((resolve) => {
          onProgress({ of: ticketId });
          this.running.set(`${ticketId} ${token}`, resolve);
          signal.addEventListener('abort', () => {
            this.killed.push(`${ticketId} ${token}`);
            if (!this.isDyingSlowly) resolve({ kind: 'aborted' });
          });
        }),
    });
    this.ended = this.intake.run();
    // Tests that expect a rejection look at `ended` themselves.
    this.ended.catch(() => undefined);
  }

  #api(): WorkerApi {
    const meet = (call: keyof WorkerApi) => {
      const code = this.refusals[call];
      if (code !== undefined) throw new HiveError(code);
    };
    return {
      register: async () => {
        this.registerCount += 1;
        meet('register');
      },
      poll: async (body, signal) => {
        this.polls.push(body);
        meet('poll');
        if (body.waitMs === 0) return { tickets: this.lost, revoked: [] };
        return new Promise((resolve, reject) => {
          this.#answerPoll = resolve;
          signal?.addEventListener('abort', () => reject(signal.reason));
        });
      },
      heartbeat: async (body) => {
        this.beats.push(body);
        meet('heartbeat');
        await this.beatGate;
        return { revoked: this.revoked };
      },
      settle: async ({ ticketId, outcome }) => {
        meet('settle');
        this.settled.push({ ticketId, outcome });
      },
      release: async ({ tickets }) => {
        meet('release');
        this.released.push(...tickets);
      },
    };
  }

  async hand(...tickets: readonly LeasedTicket[]): Promise<void> {
    await this.answer({ tickets: [...tickets], revoked: [] });
  }

  async answer(answer: PollResponse): Promise<void> {
    await this.clock.advance(0);
    this.#answerPoll?.(answer);
    await this.clock.advance(0);
  }

  async finish(ticket: string): Promise<void> {
    this.running.get(ticket)?.({ kind: 'finished', outcome: { ok: true, output: ticket } });
    await this.clock.advance(0);
  }
}

describe('taking work', () => {
  it('registers, asks for as much as it has places for, does it and settles it', async () => {
    const stage = new Stage();
    await stage.hand(ticketOf('a'));
    expect(stage.polls).toMatchObject([
      { credits: 2, held: [] },
      { credits: 1, held: [{ ticketId: 'a', token: '1.1' }] },
    ]);
    await stage.finish('a 1.1');
    expect(stage.settled).toEqual([{ ticketId: 'a', outcome: { ok: true, output: 'a 1.1' } }]);
    stage.intake.abandon();
    await stage.ended;
  });

  it('does not ask while every place is taken, and asks as soon as one is free', async () => {
    const stage = new Stage();
    await stage.hand(ticketOf('a'), ticketOf('b'));
    expect(stage.polls).toHaveLength(1);
    await stage.finish('b 1.1');
    expect(stage.polls[1]).toMatchObject({ credits: 1, held: [{ ticketId: 'a' }] });
    stage.intake.abandon();
    await stage.ended;
  });

  it('takes a ticket that comes twice once', async () => {
    const stage = new Stage();
    await stage.hand(ticketOf('a'));
    await stage.hand(ticketOf('a'));
    expect(stage.running.size).toBe(1);
    expect(stage.killed).toEqual([]);
    stage.intake.abandon();
    await stage.ended;
  });

  it('gives up the older lease of a ticket before it starts on the newer', async () => {
    const stage = new Stage();
    stage.isDyingSlowly = true;
    await stage.hand(ticketOf('a', '1.1'));
    await stage.hand(ticketOf('a', '1.2'));
    expect(stage.killed).toEqual(['a 1.1']);
    expect([...stage.running.keys()]).toEqual(['a 1.1']);
    stage.running.get('a 1.1')?.({ kind: 'aborted' });
    await stage.clock.advance(0);
    expect([...stage.running.keys()]).toEqual(['a 1.1', 'a 1.2']);
    await stage.finish('a 1.2');
    expect(stage.settled).toMatchObject([{ ticketId: 'a' }]);
    stage.intake.abandon();
    await stage.ended;
  });
});

describe('keeping leases', () => {
  it('renews four times a lease, with progress, and only while something is held', async () => {
    const stage = new Stage();
    await stage.clock.advance(leaseMs);
    expect(stage.beats).toEqual([]);
    await stage.hand(ticketOf('a'));
    await stage.clock.advance(leaseMs);
    expect(stage.beats).toHaveLength(4);
    expect(stage.beats[0]).toEqual({ workerId: 'wrk_1', tickets: [{ ticketId: 'a', token: '1.1', progress: { of: 'a' } }] });
    await stage.finish('a 1.1');
    await stage.clock.advance(2 * leaseMs);
    expect(stage.beats).toHaveLength(4);
    stage.intake.abandon();
    await stage.ended;
    expect(stage.clock.pendingTimers).toBe(0);
  });

  it('drops what a heartbeat says is revoked, and delivers nothing for it', async () => {
    const stage = new Stage();
    await stage.hand(ticketOf('a'), ticketOf('b'));
    stage.revoked = ['a' as TicketId];
    await stage.clock.advance(leaseMs / 4);
    expect(stage.killed).toEqual(['a 1.1']);
    expect(stage.settled).toEqual([]);
    stage.intake.abandon();
    await stage.ended;
  });

  it('drops what a poll says is revoked', async () => {
    const stage = new Stage();
    await stage.hand(ticketOf('a'));
    await stage.answer({ tickets: [], revoked: ['a' as TicketId] });
    expect(stage.killed).toEqual(['a 1.1']);
    stage.intake.abandon();
    await stage.ended;
  });

  it('takes a ticket anew that one and the same poll revokes and hands out', async () => {
    const stage = new Stage();
    await stage.hand(ticketOf('a', '1.1'));
    await stage.answer({ tickets: [ticketOf('a', '1.2')], revoked: ['a' as TicketId] });
    expect(stage.killed).toEqual(['a 1.1']);
    expect([...stage.running.keys()]).toEqual(['a 1.1', 'a 1.2']);
    stage.intake.abandon();
    await stage.ended;
  });

  it('does not drop a newer lease for a heartbeat about the older that was still on its way', async () => {
    const stage = new Stage();
    await stage.hand(ticketOf('a', '1.1'));
    let answerBeat: (() => void) | undefined;
    stage.beatGate = new Promise((resolve) => (answerBeat = resolve));
    await stage.clock.advance(leaseMs / 4);
    await stage.hand(ticketOf('a', '1.2'));
    stage.revoked = ['a' as TicketId];
    answerBeat?.();
    await stage.clock.advance(0);
    expect(stage.killed).toEqual(['a 1.1']);
    stage.intake.abandon();
    await stage.ended;
  });

  it('fences itself a second before a lease that was not renewed ends', async () => {
    const stage = new Stage();
    stage.refusals = { heartbeat: 'UNREACHABLE' };
    await stage.hand(ticketOf('a'));
    await stage.clock.advance(leaseMs - 1_001);
    expect(stage.killed).toEqual([]);
    await stage.clock.advance(1);
    expect(stage.killed).toEqual(['a 1.1']);
    stage.intake.abandon();
    await stage.ended;
  });

  it('survives three lost heartbeats', async () => {
    const stage = new Stage();
    stage.refusals = { heartbeat: 'UNREACHABLE' };
    await stage.hand(ticketOf('a'));
    await stage.clock.advance((leaseMs / 4) * 3 - 1);
    stage.refusals = {};
    await stage.clock.advance(leaseMs);
    expect(stage.killed).toEqual([]);
    stage.intake.abandon();
    await stage.ended;
  });

  it('renews also while a result waits to be taken', async () => {
    const stage = new Stage();
    stage.refusals = { settle: 'UNREACHABLE' };
    await stage.hand(ticketOf('a'));
    await stage.finish('a 1.1');
    await stage.clock.advance(3 * leaseMs);
    expect(stage.beats.length).toBeGreaterThanOrEqual(12);
    stage.refusals = {};
    await stage.clock.advance(10_000);
    expect(stage.settled).toHaveLength(1);
    stage.intake.abandon();
    await stage.ended;
  });

  it('registers again where a heartbeat finds that it is not known', async () => {
    const stage = new Stage();
    await stage.hand(ticketOf('a'), ticketOf('b'));
    stage.refusals = { heartbeat: 'NOT_FOUND' };
    await stage.clock.advance(leaseMs / 4);
    expect(stage.registerCount).toBe(2);
    stage.intake.abandon();
    await stage.ended;
  });
});

describe('a control plane that is away', () => {
  it('is tried again with growing waits, and registered with anew before the next poll', async () => {
    const stage = new Stage();
    stage.refusals = { poll: 'UNREACHABLE' };
    await stage.clock.advance(60_000);
    const tries = stage.polls.length;
    expect(tries).toBeGreaterThan(5);
    expect(tries).toBeLessThan(20);
    expect(stage.registerCount).toBe(tries);
    stage.refusals = {};
    await stage.clock.advance(10_000);
    await stage.hand(ticketOf('a'));
    expect(stage.running.size).toBe(1);
    stage.intake.abandon();
    await stage.ended;
  });

  it('leaves what runs running', async () => {
    const stage = new Stage();
    await stage.hand(ticketOf('a'));
    stage.refusals = { poll: 'UNREACHABLE', register: 'UNREACHABLE' };
    await stage.answer({ tickets: [], revoked: [] });
    await stage.clock.advance(leaseMs * 2);
    expect(stage.killed).toEqual([]);
    stage.intake.abandon();
    await stage.ended;
  });

  it.each(['UNAUTHENTICATED', 'FORBIDDEN'] as const)('that answers %s ends the worker, and kills what runs', async (code) => {
    const stage = new Stage();
    await stage.hand(ticketOf('a'));
    stage.refusals = { poll: code };
    await stage.answer({ tickets: [], revoked: [] });
    await expect(stage.ended).rejects.toMatchObject({ code });
    expect(stage.killed).toEqual(['a 1.1']);
  });
});

describe('leaving', () => {
  it('takes nothing more, lets what runs finish, and ends', async () => {
    const stage = new Stage();
    await stage.hand(ticketOf('a'));
    const pollCount = stage.polls.length;
    stage.intake.drain();
    await stage.clock.advance(20_000);
    expect(stage.killed).toEqual([]);
    expect(stage.polls.slice(pollCount)).toMatchObject([{ credits: 0, waitMs: 0 }]);
    await stage.finish('a 1.1');
    await stage.ended;
    expect(stage.settled).toHaveLength(1);
    expect(stage.released).toEqual([]);
    expect(stage.clock.pendingTimers).toBe(0);
  });

  it('keeps renewing while it waits', async () => {
    const stage = new Stage();
    await stage.hand(ticketOf('a'));
    stage.intake.drain();
    await stage.clock.advance(leaseMs);
    expect(stage.beats).toHaveLength(4);
    stage.intake.abandon();
    await stage.ended;
  });

  it('gives back unstarted what was on its way when the poll was cut off', async () => {
    const stage = new Stage();
    await stage.hand(ticketOf('a'));
    stage.lost = [ticketOf('a'), ticketOf('lost', '1.7')];
    stage.intake.drain();
    await stage.clock.advance(0);
    expect(stage.released).toEqual([{ ticketId: 'lost', token: '1.7' }]);
    expect([...stage.running.keys()]).toEqual(['a 1.1']);
    await stage.finish('a 1.1');
    await stage.ended;
  });

  it('kills and gives back what has not finished after 25 s', async () => {
    const stage = new Stage();
    await stage.hand(ticketOf('a'));
    stage.intake.drain();
    await stage.clock.advance(24_999);
    expect(stage.killed).toEqual([]);
    await stage.clock.advance(1);
    await stage.ended;
    expect(stage.killed).toEqual(['a 1.1']);
    expect(stage.released).toEqual([{ ticketId: 'a', token: '1.1' }]);
  });

  it('ends also where the control plane is gone', async () => {
    const stage = new Stage();
    await stage.hand(ticketOf('a'));
    stage.refusals = { poll: 'UNREACHABLE', register: 'UNREACHABLE', heartbeat: 'UNREACHABLE', release: 'UNREACHABLE' };
    stage.intake.drain();
    await stage.clock.advance(30_000);
    await stage.ended;
    expect(stage.killed).toEqual(['a 1.1']);
  });

  it('in a hurry kills everything, waits until it is dead, and gives nothing back', async () => {
    const stage = new Stage();
    stage.isDyingSlowly = true;
    await stage.hand(ticketOf('a'));
    stage.intake.abandon();
    let hasEnded = false;
    void stage.ended.then(() => (hasEnded = true));
    await stage.clock.advance(0);
    expect(stage.killed).toEqual(['a 1.1']);
    expect(hasEnded).toBe(false);
    stage.running.get('a 1.1')?.({ kind: 'aborted' });
    await stage.ended;
    expect(stage.released).toEqual([]);
  });
});
