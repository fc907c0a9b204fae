import type { TicketId } from '@hivekeeper/contract';
import { FakeClock, seededRandom } from '@hivekeeper/testkit';
import { describe, expect, it } from 'vitest';
import { leaseMs, Stage, ticketOf } from './stage-under-test.ts';

const newStage = () => new Stage({ clock: new FakeClock(), random: seededRandom(1) });

describe('taking work', () => {
  it('registers, asks for as much as it has places for, does it and settles it', async () => {
    const stage = newStage();
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
    const stage = newStage();
    await stage.hand(ticketOf('a'), ticketOf('b'));
    expect(stage.polls).toHaveLength(1);
    await stage.finish('b 1.1');
    expect(stage.polls[1]).toMatchObject({ credits: 1, held: [{ ticketId: 'a' }] });
    stage.intake.abandon();
    await stage.ended;
  });

  it('takes a ticket that comes twice once', async () => {
    const stage = newStage();
    await stage.hand(ticketOf('a'));
    await stage.hand(ticketOf('a'));
    expect(stage.running.size).toBe(1);
    expect(stage.killed).toEqual([]);
    stage.intake.abandon();
    await stage.ended;
  });

  it('gives up the older lease of a ticket before it starts on the newer', async () => {
    const stage = newStage();
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

describe('an agent that asks by its socket', () => {
  const suspension = { kind: 'timer', step: 'a while', forMs: 1_000 } as const;

  it('to wait is ended, and what it waits for is told instead of what it said at its end', async () => {
    const stage = newStage();
    stage.isDyingSlowly = true;
    await stage.hand(ticketOf('a'));
    stage.sockets.get('a 1.1')?.onSuspend(suspension);
    expect(stage.killed).toEqual(['a 1.1']);
    await stage.finish('a 1.1');
    expect([stage.suspended, stage.settled]).toEqual([[{ ticketId: 'a', step: 'a while' }], []]);
    stage.intake.abandon();
    await stage.ended;
  });

  it('and is told that its ticket is somebody else’s is ended at once', async () => {
    const stage = newStage();
    await stage.hand(ticketOf('a'));
    stage.sockets.get('a 1.1')?.onNotHeld();
    await stage.clock.advance(0);
    expect([stage.killed, stage.suspended, stage.settled]).toEqual([['a 1.1'], [], []]);
    await stage.answer({ tickets: [], revoked: [] });
    expect(stage.polls.at(-1)).toMatchObject({ credits: 2, held: [] });
    stage.intake.abandon();
    await stage.ended;
  });

  it('is not begun where its socket cannot be opened', async () => {
    const stage = newStage();
    stage.socketFault = new RangeError('no space left on device');
    await stage.hand(ticketOf('a'));
    await stage.clock.advance(0);
    expect(stage.running.size).toBe(0);
    expect(stage.settled).toMatchObject([{ outcome: { ok: false, error: { code: 'INTERNAL', message: 'no space left on device' } } }]);
    stage.intake.abandon();
    await stage.ended;
  });
});

describe('keeping leases', () => {
  it('renews four times a lease, with progress, and only while something is held', async () => {
    const stage = newStage();
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
    const stage = newStage();
    await stage.hand(ticketOf('a'), ticketOf('b'));
    stage.revoked = ['a' as TicketId];
    await stage.clock.advance(leaseMs / 4);
    expect(stage.killed).toEqual(['a 1.1']);
    expect(stage.settled).toEqual([]);
    stage.intake.abandon();
    await stage.ended;
  });

  it('drops what a poll says is revoked', async () => {
    const stage = newStage();
    await stage.hand(ticketOf('a'));
    await stage.answer({ tickets: [], revoked: ['a' as TicketId] });
    expect(stage.killed).toEqual(['a 1.1']);
    stage.intake.abandon();
    await stage.ended;
  });

  it('takes a ticket anew that one and the same poll revokes and hands out', async () => {
    const stage = newStage();
    await stage.hand(ticketOf('a', '1.1'));
    await stage.answer({ tickets: [ticketOf('a', '1.2')], revoked: ['a' as TicketId] });
    expect(stage.killed).toEqual(['a 1.1']);
    expect([...stage.running.keys()]).toEqual(['a 1.1', 'a 1.2']);
    stage.intake.abandon();
    await stage.ended;
  });

  it('does not drop a newer lease for a heartbeat about the older that was still on its way', async () => {
    const stage = newStage();
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
    const stage = newStage();
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
    const stage = newStage();
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
    const stage = newStage();
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
    const stage = newStage();
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
    const stage = newStage();
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
    const stage = newStage();
    await stage.hand(ticketOf('a'));
    stage.refusals = { poll: 'UNREACHABLE', register: 'UNREACHABLE' };
    await stage.answer({ tickets: [], revoked: [] });
    await stage.clock.advance(leaseMs * 2);
    expect(stage.killed).toEqual([]);
    stage.intake.abandon();
    await stage.ended;
  });

  it.each(['UNAUTHENTICATED', 'FORBIDDEN'] as const)('that answers %s ends the worker, and kills what runs', async (code) => {
    const stage = newStage();
    await stage.hand(ticketOf('a'));
    stage.refusals = { poll: code };
    await stage.answer({ tickets: [], revoked: [] });
    await expect(stage.ended).rejects.toMatchObject({ code });
    expect(stage.killed).toEqual(['a 1.1']);
  });
});

describe('leaving', () => {
  it('takes nothing more, lets what runs finish, and ends', async () => {
    const stage = newStage();
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
    const stage = newStage();
    await stage.hand(ticketOf('a'));
    stage.intake.drain();
    await stage.clock.advance(leaseMs);
    expect(stage.beats).toHaveLength(4);
    stage.intake.abandon();
    await stage.ended;
  });

  it('gives back unstarted what was on its way when the poll was cut off', async () => {
    const stage = newStage();
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
    const stage = newStage();
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
    const stage = newStage();
    await stage.hand(ticketOf('a'));
    stage.refusals = { poll: 'UNREACHABLE', register: 'UNREACHABLE', heartbeat: 'UNREACHABLE', release: 'UNREACHABLE' };
    stage.intake.drain();
    await stage.clock.advance(30_000);
    await stage.ended;
    expect(stage.killed).toEqual(['a 1.1']);
  });

  it('in a hurry kills everything, waits until it is dead, and gives nothing back', async () => {
    const stage = newStage();
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
