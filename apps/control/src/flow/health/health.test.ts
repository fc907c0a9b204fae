import { FakeClock, guardLeaks } from '@hivekeeper/testkit';
import { beforeEach, describe, expect, it } from 'vitest';
import { Health, roundsUntilStalled, type Sign } from './health.ts';

guardLeaks();

const secondMs = 1_000;
let clock: FakeClock;
let signs: Sign[];
const sign = (of: string, more: Partial<Sign> = {}): Sign => ({
  part: 'lane',
  of,
  isWanted: true,
  progress: 0,
  detail: `${of} stands still`,
  ...more,
});
const watched = (leaseMs = 10_000) => new Health({ clock, signs: () => signs, leaseMs });

beforeEach(() => {
  clock = new FakeClock();
  signs = [];
});

describe('health', () => {
  it('finds a part stalled within fifteen seconds, says which and for how long, and is well again with its next progress', async () => {
    using health = watched();
    signs = [sign('lane')];
    await clock.advance(14 * secondMs);
    expect(health.readiness()).toEqual({ ready: true });
    await clock.advance(secondMs);
    expect(health.readiness()).toEqual({
      ready: false,
      part: 'lane',
      detail: 'lane stands still, for 14 s',
      remedy: expect.stringMatching(/^Restart the control plane/),
    });
    signs = [sign('lane', { progress: 1 })];
    await clock.advance(secondMs);
    expect(health.readiness()).toEqual({ ready: true });
  });

  it('holds nothing against a part of which nothing was wanted, or that moves now and then', async () => {
    using health = watched();
    for (let second = 0; second < 60; second += 1) {
      signs = [sign('idle', { isWanted: second % 14 !== 0 }), sign('slow', { progress: Math.floor(second / 13) })];
      await clock.advance(secondMs);
      expect(health.readiness()).toEqual({ ready: true });
    }
  });

  it('names the first of several, which stalls the others', async () => {
    using health = watched();
    signs = [sign('lane', { progress: 1 }), sign('queue node', { part: 'worker' })];
    await clock.advance(5 * secondMs);
    signs = [sign('lane', { progress: 2 }), sign('queue node', { part: 'worker' })];
    await clock.advance(12 * secondMs);
    expect(health.readiness()).toMatchObject({ part: 'worker' });
    await clock.advance(5 * secondMs);
    expect(health.readiness()).toMatchObject({ part: 'lane' });
  });

  it('counts a queue on when what is wrong with it changes', async () => {
    using health = watched();
    signs = [sign('queue node', { part: 'worker', detail: 'leased' })];
    await clock.advance(10 * secondMs);
    signs = [sign('queue node', { part: 'scheduler', detail: 'waiting' })];
    await clock.advance(5 * secondMs);
    expect(health.readiness()).toMatchObject({ part: 'scheduler', detail: 'waiting, for 14 s' });
  });

  it('waits longer where leases are longer, since nothing is heard of a healthy worker for a quarter of one', () => {
    expect([1_000, 10_000, 60_000].map(roundsUntilStalled)).toEqual([14, 14, 77]);
  });
});
