import { HiveError } from '@hivekeeper/contract';
import { newLog, pause } from '@hivekeeper/kernel';
import { FakeClock } from '@hivekeeper/testkit';
import { beforeEach, describe, expect, it } from 'vitest';
import type { Postmaster, PostmasterExit } from './postmaster.ts';
import { Supervisor } from './supervisor.ts';

class FakePostmaster implements Postmaster {
  readonly pid: number;
  readonly exited: Promise<PostmasterExit>;
  isStopped = false;
  readonly #end: (exit: PostmasterExit) => void;

  constructor(pid: number) {
    this.pid = pid;
    const { promise, resolve } = Promise.withResolvers<PostmasterExit>();
    this.exited = promise;
    this.#end = resolve;
  }

  async stop(): Promise<void> {
    this.isStopped = true;
    this.#end({ code: 0, signal: null });
  }

  crash(): void {
    this.#end({ code: null, signal: 'SIGKILL' });
  }
}

describe('a supervisor', () => {
  let clock: FakeClock;
  let started: { readonly postmaster: FakePostmaster; readonly atMs: number }[];
  let failuresLeft: number;
  let attempts: number[];
  let told: string[];
  const last = () => started.at(-1)!.postmaster;

  beforeEach(() => {
    clock = new FakeClock();
    started = [];
    attempts = [];
    failuresLeft = 0;
    told = [];
  });

  const begin = () =>
    Supervisor.start({
      clock,
      wait: (delayMs, signal) => pause(clock, delayMs, signal),
      log: newLog({ level: 'silent', component: 'test' }),
      onExit: ({ signal }) => told.push(`ended by ${signal}`),
      onRestart: () => told.push('runs again'),
      start: async () => {
        attempts.push(clock.monotonicMs());
        if (failuresLeft > 0) {
          failuresLeft -= 1;
          throw new HiveError('DATABASE_UNAVAILABLE', 'no');
        }
        const postmaster = new FakePostmaster(100 + started.length);
        started.push({ postmaster, atMs: clock.monotonicMs() });
        return postmaster;
      },
    });

  it('rejects when the first start fails', async () => {
    failuresLeft = 1;
    await expect(begin()).rejects.toThrow('no');
  });

  it('starts a server again that ended unasked, and tells both', async () => {
    const supervisor = await begin();
    last().crash();
    await clock.advance(50);
    expect(started).toHaveLength(2);
    expect(supervisor.pid).toBe(101);
    expect(told).toEqual(['ended by SIGKILL', 'runs again']);
    await supervisor.stop();
  });

  it('waits twice as long after each failed start, at most two seconds', async () => {
    const supervisor = await begin();
    failuresLeft = 8;
    last().crash();
    await clock.advance(20_000);
    const waits = attempts.slice(1).map((atMs, index) => atMs - (attempts[index] ?? 0));
    expect(waits).toEqual([50, 100, 200, 400, 800, 1_600, 2_000, 2_000, 2_000]);
    expect(started).toHaveLength(2);
    await supervisor.stop();
  });

  it('waits longer for a server that keeps ending at once, and starts one at once that was well', async () => {
    const supervisor = await begin();
    for (let count = 0; count < 3; count += 1) {
      last().crash();
      await clock.advance(count === 0 ? 50 : 200);
    }
    expect(started.map(({ atMs }) => atMs)).toEqual([0, 50, 150, 450]);
    await clock.advance(5_000);
    const crashedAtMs = clock.monotonicMs();
    last().crash();
    await clock.advance(50);
    expect(started.at(-1)?.atMs).toBe(crashedAtMs + 50);
    await supervisor.stop();
  });

  it('does not start a server again that was stopped', async () => {
    const supervisor = await begin();
    await supervisor.stop();
    await clock.advance(10_000);
    expect(started).toHaveLength(1);
    expect(told).toEqual([]);
  });

  it('stops while it waits to start again', async () => {
    const supervisor = await begin();
    last().crash();
    await clock.advance(10);
    await supervisor.stop();
    await clock.advance(10_000);
    expect(started).toHaveLength(1);
    expect(clock.pendingTimers).toBe(0);
  });
});
