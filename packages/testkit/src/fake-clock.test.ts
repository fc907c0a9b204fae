import { pause } from '@hivekeeper/kernel';
import { beforeEach, describe, expect, it } from 'vitest';
import { FakeClock } from './fake-clock.ts';

describe('a fake clock', () => {
  let clock: FakeClock;
  let fired: string[];
  const note = (name: string) => () => fired.push(`${name}@${clock.monotonicMs()}`);

  beforeEach(() => {
    clock = new FakeClock(1_000_000);
    fired = [];
  });

  it('moves only when it is told to, both clocks together', async () => {
    expect([clock.nowMs(), clock.monotonicMs()]).toEqual([1_000_000, 0]);
    await clock.advance(250);
    expect([clock.nowMs(), clock.monotonicMs()]).toEqual([1_000_250, 250]);
  });

  it('fires timers in the order of their times, each at its own instant, those of one instant in the order they were set', async () => {
    clock.after(30, note('late'));
    clock.after(10, note('first'));
    clock.after(10, note('second'));
    clock.after(31, note('never'));
    await clock.advance(30);
    expect(fired).toEqual(['first@10', 'second@10', 'late@30']);
    expect(clock.pendingTimers).toBe(1);
  });

  it('repeats an interval until it is cancelled, also by itself', async () => {
    const timer = clock.every(10, () => {
      note('tick')();
      if (fired.length === 3) timer.cancel();
    });
    await clock.advance(100);
    expect(fired).toEqual(['tick@10', 'tick@20', 'tick@30']);
    expect(clock.pendingTimers).toBe(0);
  });

  it('does not fire what was cancelled, by name or by the end of a scope', async () => {
    clock.after(10, note('cancelled')).cancel();
    clock.after(10, note('disposed'))[Symbol.dispose]();
    await clock.advance(100);
    expect(fired).toEqual([]);
  });

  it('lets promises run between timers, so that what waits in a loop waits as often as it should', async () => {
    const loop = async () => {
      for (let round = 0; round < 4; round += 1) {
        await pause(clock, 10);
        await Promise.resolve();
        note('round')();
      }
    };
    const ended = loop();
    await clock.advance(35);
    expect(fired).toEqual(['round@10', 'round@20', 'round@30']);
    await clock.advance(5);
    await ended;
    expect(fired.at(-1)).toBe('round@40');
  });

  it('fires at once what is due at once, and a timer set by a timer in the same move', async () => {
    clock.after(0, () => {
      note('now')();
      clock.after(5, note('then'));
    });
    await clock.advance(5);
    expect(fired).toEqual(['now@0', 'then@5']);
  });
});
