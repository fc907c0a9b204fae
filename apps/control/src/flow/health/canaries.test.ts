import { newLog } from '@hivekeeper/kernel';
import { FakeClock, guardLeaks } from '@hivekeeper/testkit';
import { beforeEach, describe, expect, it } from 'vitest';
import { Canaries, type CanaryEnd } from './canaries.ts';

guardLeaks();

const log = newLog({ level: 'silent', component: 'test' });
const intervalMs = 30_000;
let clock: FakeClock;
let queues: string[];
let hasFreeWorker: boolean;
let sent: { readonly queue: string; readonly end: (end: CanaryEnd) => void; readonly fail: (error: Error) => void }[];

beforeEach(() => {
  clock = new FakeClock();
  queues = ['node'];
  hasFreeWorker = true;
  sent = [];
});

const keep = (more: { readonly intervalMs?: number } = {}) =>
  new Canaries({
    queues: () => queues,
    hasFreeWorker: () => hasFreeWorker,
    send: (queue) => {
      const { promise, resolve, reject } = Promise.withResolvers<CanaryEnd>();
      sent.push({ queue, end: resolve, fail: reject });
      return promise;
    },
    clock,
    log,
    intervalMs,
    ...more,
  });

describe('canaries', () => {
  it('go through every queue that is served, once an interval, and say how long they took and when', async () => {
    using canaries = keep();
    queues = ['node', 'exec'];
    await clock.advance(intervalMs);
    expect(sent.map(({ queue }) => queue)).toEqual(['node']);
    for (const nth of [0, 1]) {
      await clock.advance(120);
      sent[nth]?.end({ kind: 'settled' });
      await clock.advance(0);
    }
    expect(sent.map(({ queue }) => queue)).toEqual(['node', 'exec']);
    expect(canaries.views()).toEqual([
      { queue: 'exec', isUnderWay: false, endedAtMs: clock.nowMs(), latencyMs: 120 },
      { queue: 'node', isUnderWay: false, endedAtMs: clock.nowMs() - 120, latencyMs: 120 },
    ]);
    await clock.advance(intervalMs);
    expect(sent.map(({ queue }) => queue)).toEqual(['node', 'exec', 'node']);
  });

  it('do not wait for long for one of another queue that hangs', async () => {
    using canaries = keep();
    queues = ['node', 'exec'];
    await clock.advance(intervalMs);
    await clock.advance(1_999);
    expect(sent.map(({ queue }) => queue)).toEqual(['node']);
    await clock.advance(1);
    expect(sent.map(({ queue }) => queue)).toEqual(['node', 'exec']);
    expect(canaries.views().map(({ isUnderWay }) => isUnderWay)).toEqual([true, true]);
  });

  it('are not sent any more once the control plane stops', async () => {
    const canaries = keep();
    queues = ['node', 'exec'];
    await clock.advance(intervalMs);
    canaries[Symbol.dispose]();
    sent[0]?.end({ kind: 'settled' });
    await clock.advance(2 * intervalMs);
    expect([sent.length, clock.pendingTimers]).toEqual([1, 0]);
  });

  it('are one at a time in each queue', async () => {
    using canaries = keep();
    await clock.advance(3 * intervalMs);
    expect(sent).toHaveLength(1);
    sent[0]?.end({ kind: 'unserved' });
    await clock.advance(intervalMs);
    expect(sent).toHaveLength(2);
    expect(canaries.views()).toEqual([{ queue: 'node', isUnderWay: true }]);
  });

  it('move a queue also where they fail, and say with what', async () => {
    using canaries = keep();
    await clock.advance(intervalMs);
    sent[0]?.end({ kind: 'settled', error: { code: 'AGENT_NOT_RUNNABLE', message: 'it is not there' } });
    await clock.advance(0);
    expect(canaries.views()[0]).toMatchObject({ error: { code: 'AGENT_NOT_RUNNABLE', message: 'it is not there' } });
    expect(canaries.signs()[0]).toMatchObject({ progress: 1, isWanted: false });
  });

  it('are missed while one is under way and a worker has a place, and not where all are busy', async () => {
    using canaries = keep();
    await clock.advance(intervalMs);
    expect(canaries.signs()).toMatchObject([{ part: 'canary', of: 'canary node', isWanted: true, progress: 0 }]);
    hasFreeWorker = false;
    expect(canaries.signs()).toMatchObject([{ isWanted: false }]);
  });

  it('that nobody settled are no progress', async () => {
    using canaries = keep();
    await clock.advance(intervalMs);
    sent[0]?.end({ kind: 'unserved' });
    await clock.advance(0);
    expect(canaries.signs()).toMatchObject([{ progress: 0 }]);
  });

  it('are sent again in their time where one could not be sent', async () => {
    using canaries = keep();
    await clock.advance(intervalMs);
    sent[0]?.fail(new Error('the database is away'));
    await clock.advance(intervalMs);
    expect([sent.length, canaries.views()[0]?.isUnderWay]).toEqual([2, true]);
  });

  it('forget a queue that nobody serves any more', async () => {
    using canaries = keep();
    await clock.advance(intervalMs);
    queues = [];
    await clock.advance(intervalMs);
    expect([canaries.views(), canaries.signs()]).toEqual([[], []]);
  });

  it('are not sent where the interval is 0', async () => {
    using canaries = keep({ intervalMs: 0 });
    await clock.advance(10 * intervalMs);
    expect([sent, canaries.views(), clock.pendingTimers]).toEqual([[], [], 0]);
  });
});
