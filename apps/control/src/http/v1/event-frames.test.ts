import type { RunNotice } from '@hivekeeper/contract';
import { FakeClock } from '@hivekeeper/testkit';
import { describe, expect, it } from 'vitest';
import type { NumberedNotice } from '../../flow/runs/index.ts';
import { EventFrames, frameOf } from './event-frames.ts';

const notice = (id: string, type: 'run.started' | 'run.finished' = 'run.started'): NumberedNotice => ({
  id,
  notice: (type === 'run.started' ? { type, atMs: 1 } : { type, atMs: 1, status: 'SUCCESS' }) satisfies RunNotice,
});
const limits = { heartbeatMs: 15_000, mostUnread: 3 };

function stream(past: readonly NumberedNotice[] = []) {
  const clock = new FakeClock();
  let wasDropped = false;
  const frames = new EventFrames(clock, limits, () => {
    wasDropped = true;
  });
  const pulled = frames.frames(past);
  const next = async () => (await pulled.next()).value;
  return { clock, frames, pulled, next, wasDropped: () => wasDropped };
}

describe('the frames of a stream', () => {
  it('name the notice, its number and its data, each on one line', () => {
    expect(
      frameOf({
        id: '4.1',
        notice: { type: 'run.finished', atMs: 2, status: 'FAILED', error: { code: 'AGENT_FAILED', message: 'two\nlines' } },
      }),
    ).toBe(
      'id: 4.1\nevent: run.finished\ndata: {"type":"run.finished","atMs":2,"status":"FAILED","error":{"code":"AGENT_FAILED","message":"two\\nlines"}}\n\n',
    );
  });

  it('open at once, tell the past, then what comes, and end after run.finished', async () => {
    const { frames, pulled, next } = stream([notice('1.0')]);
    frames.push([notice('2.0'), notice('3.0', 'run.finished'), notice('4.0')]);
    expect(await next()).toMatch(/^retry: 1000\n: .*\n\n$/);
    expect([await next(), await next(), await next()]).toEqual([
      frameOf(notice('1.0')),
      frameOf(notice('2.0')),
      frameOf(notice('3.0', 'run.finished')),
    ]);
    expect((await pulled.next()).done).toBe(true);
  });

  it('end with the past where that holds the end', async () => {
    const { pulled, next } = stream([notice('3.0', 'run.finished')]);
    await next();
    await next();
    expect((await pulled.next()).done).toBe(true);
  });

  it('say every 15 s of silence that they are still there', async () => {
    const { clock, frames, next } = stream();
    await next();
    const first = next();
    await clock.advance(15_000);
    expect(await first).toBe(': still here\n\n');
    const second = next();
    await clock.advance(14_999);
    frames.push([notice('1.0')]);
    expect(await second).toBe(frameOf(notice('1.0')));
    expect(clock.pendingTimers).toBe(0);
  });

  it('end when they are told to, also while they wait', async () => {
    const { frames, pulled, next, clock } = stream();
    await next();
    const waiting = pulled.next();
    await clock.advance(0);
    frames.end();
    expect((await waiting).done).toBe(true);
    expect(clock.pendingTimers).toBe(0);
  });

  it('drop a reader that leaves too much unread, and keep nothing for it', async () => {
    const { frames, pulled, next, wasDropped } = stream();
    await next();
    frames.push([notice('1.0'), notice('2.0'), notice('3.0')]);
    expect(wasDropped()).toBe(false);
    frames.push([notice('4.0')]);
    expect(wasDropped()).toBe(true);
    expect((await pulled.next()).done).toBe(true);
  });
});
