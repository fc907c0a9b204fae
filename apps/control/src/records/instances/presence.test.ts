import type { InstanceId } from '@hivekeeper/contract';
import { FakeClock } from '@hivekeeper/testkit';
import { beforeEach, describe, expect, it } from 'vitest';
import { Attention } from './attention.ts';
import { Presence } from './presence.ts';

const id = 'ins_1' as InstanceId;
const other = 'ins_2' as InstanceId;

let clock: FakeClock;
let attention: Attention;
let presence: Presence;
beforeEach(() => {
  clock = new FakeClock();
  attention = new Attention(clock, 300);
  presence = new Presence(attention);
  clock.every(250, () => attention.look());
});

const health = (of = id) => presence.health(of, 1_000);

describe('attention', () => {
  it('passes as the clock does while somebody looks', async () => {
    await clock.advance(10_000);
    expect([attention.nowMs(), attention.lostMs]).toEqual([10_000, 0]);
  });

  it('does not pass while the process stands still', async () => {
    let stalledMs = 0;
    const stalling = new Attention({ ...clock, monotonicMs: () => clock.monotonicMs() + stalledMs } as never, 300);
    stalledMs = 5_000;
    expect([stalling.nowMs(), stalling.lostMs]).toEqual([0, 0]);
    stalling.look();
    expect([stalling.nowMs(), stalling.lostMs]).toEqual([300, 4_700]);
  });
});

describe('health', () => {
  it('gets worse by silence, and better by a beat only', async () => {
    presence.heard(id);
    const seen = [];
    for (let second = 0; second < 32; second += 1) {
      seen.push(health());
      await clock.advance(1_000);
    }
    expect([...new Set(seen)]).toEqual(['healthy', 'degraded', 'unhealthy', 'gone']);
    expect(seen.join(' ')).toMatch(/^(healthy )+(degraded )+(unhealthy )+(gone ?)+$/);
    presence.heard(id);
    expect(health()).toBe('healthy');
  });

  it('does not come back because a longer pause was agreed on meanwhile', async () => {
    presence.heard(id);
    await clock.advance(4_000);
    expect([presence.health(id, 1_000), presence.health(id, 60_000)]).toEqual(['unhealthy', 'unhealthy']);
  });

  it('is good again by a beat that comes before the clock is looked at again', () => {
    presence.assume(id, 'unhealthy');
    presence.heard(id);
    expect([health(), [...presence.round().keys()]]).toEqual(['healthy', [id]]);
  });

  it('of somebody read from the database is never better than it was stored', async () => {
    presence.assume(id, 'unhealthy');
    presence.assume(other, 'healthy');
    expect([health(), health(other)]).toEqual(['unhealthy', 'healthy']);
    await clock.advance(3_500);
    expect(health(other)).toBe('unhealthy');
  });
});

describe('what another control plane heard', () => {
  const told = (silentMs: number, ageMs = 100) => presence.told({ planeId: 'there', ageMs, silences: new Map([[id, silentMs]]) });

  it('keeps somebody alive who beats there', async () => {
    presence.heard(id);
    for (let second = 0; second < 10; second += 1) {
      await clock.advance(1_000);
      told(300);
    }
    expect(health()).toBe('healthy');
  });

  it('tells of silence, too', async () => {
    presence.heard(id);
    await clock.advance(1_000);
    told(0);
    await clock.advance(500);
    told(3_600);
    expect(health()).toBe('healthy');
    await clock.advance(4_000);
    told(5_500);
    expect(health()).toBe('unhealthy');
  });

  it('is no proof of silence while that one stands still, until it was away for ten seconds', async () => {
    presence.heard(id);
    await clock.advance(500);
    told(0);
    await clock.advance(9_000);
    expect(health()).toBe('healthy');
    expect(presence.isOurs(id)).toBe(false);
    await clock.advance(5_000);
    expect(health()).toBe('unhealthy');
    expect(presence.isOurs(id)).toBe(true);
  });

  it('is not passed on as if we had heard it, nor is what is only assumed', () => {
    presence.heard(other);
    presence.assume(id, 'healthy');
    expect([...presence.round().keys()]).toEqual([other]);
    told(0);
    expect([...presence.round().keys()]).toEqual([other]);
  });
});
