import type { JsonValue, RunNotice, TicketId } from '@hivekeeper/contract';
import { FakeClock } from '@hivekeeper/testkit';
import { describe, expect, it } from 'vitest';
import type { RunNews } from '../../flow/runs/index.ts';
import { EventFrames, frameOf } from './event-frames.ts';

const notice = (id: string, type: 'run.started' | 'run.finished' = 'run.started'): RunNews => ({
  id,
  notice: (type === 'run.started' ? { type, atMs: 1 } : { type, atMs: 1, status: 'SUCCESS' }) satisfies RunNotice,
});
const progress = (ticketId: string, said: JsonValue): RunNews => ({
  notice: { type: 'attempt.progressed', atMs: 1, nodeId: 'a', slot: 0, attempt: 1, ticketId: ticketId as TicketId, progress: said },
});
const sizeBytes = frameOf(notice('1.0')).length;
const limits = { heartbeatMs: 15_000, unreadLimitBytes: 3 * sizeBytes, farewellMs: 10_000 };

function stream(past: readonly RunNews[] = []) {
  const clock = new FakeClock();
  let isCut = false;
  const frames = new EventFrames({ clock, limits, cut: () => (isCut = true) });
  frames.push(past);
  const pulled = frames.frames();
  const next = async () => (await pulled.next()).value;
  const rest = async () => {
    const texts: string[] = [];
    for await (const text of pulled) texts.push(text);
    return texts;
  };
  return { clock, frames, pulled, next, rest, isCut: () => isCut };
}

const ending = (reason: string, clock: FakeClock) =>
  `event: stream.ended\ndata: {"type":"stream.ended","atMs":${clock.nowMs()},"reason":"${reason}"}\n\n`;

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

  it('end at once, and with nothing more, when the reader is gone', async () => {
    const { frames, pulled, next, clock } = stream();
    await next();
    const waiting = pulled.next();
    await clock.advance(0);
    frames.push([notice('1.0')]);
    frames.leave();
    expect(frames.closed.aborted).toBe(true);
    await waiting;
    expect((await pulled.next()).done).toBe(true);
    expect(clock.pendingTimers).toBe(0);
  });

  it('carry progress without a number, and of one attempt the last that is unread, in its place', async () => {
    const { frames, next } = stream();
    await next();
    frames.push([progress('tkt_1', 1), progress('tkt_2', 'a')]);
    // Also where there is room for nothing else.
    frames.push([progress('tkt_1', 2)]);
    expect(await next()).toBe(
      'event: attempt.progressed\ndata: {"type":"attempt.progressed","atMs":1,"nodeId":"a","slot":0,"attempt":1,"ticketId":"tkt_1","progress":2}\n\n',
    );
    expect(await next()).toContain('"progress":"a"');
    frames.push([progress('tkt_1', 3)]);
    expect(await next()).toContain('"progress":3');
  });

  it('say that they end where the server closes, after what is unread', async () => {
    const { frames, rest, clock } = stream([notice('1.0')]);
    frames.close('closing');
    frames.push([notice('2.0')]);
    expect((await rest()).slice(1)).toEqual([frameOf(notice('1.0')), ending('closing', clock)]);
  });
});

describe('a reader that leaves too much unread', () => {
  it('gets what there is and the end, and nothing more is kept for it', async () => {
    const { frames, rest, clock } = stream();
    frames.push([notice('1.0'), notice('2.0'), notice('3.0')]);
    expect(frames.closed.aborted).toBe(false);
    frames.push([notice('4.0'), notice('5.0'), notice('6.0', 'run.finished')]);
    expect(frames.closed.aborted).toBe(true);
    const kept = ['1.0', '2.0', '3.0'].map((id) => frameOf(notice(id)));
    expect((await rest()).slice(1)).toEqual([...kept, ending('unread', clock)]);
  });

  it('is cut off where it does not read even that', async () => {
    const { frames, clock, isCut } = stream(['1.0', '2.0', '3.0', '4.0'].map((id) => notice(id)));
    await clock.advance(9_999);
    expect(isCut()).toBe(false);
    await clock.advance(1);
    expect(isCut()).toBe(true);
    frames.leave();
    expect(clock.pendingTimers).toBe(0);
  });

  it('is one that does not read, not one that reads much', async () => {
    const { frames, next } = stream();
    await next();
    for (let version = 1; version <= 100; version += 1) {
      frames.push([notice(`${version}.0`), progress('tkt_1', 'x'.repeat(sizeBytes))]);
      expect(await next()).toContain(`id: ${version}.0\n`);
      await next();
    }
    for (let count = 0; count < 100; count += 1) frames.push([progress('tkt_1', count)]);
    expect(frames.closed.aborted).toBe(false);
  });

  it('misses progress before anything else', async () => {
    const { frames, rest } = stream();
    frames.push(Array.from({ length: 100 }, (_, index) => progress(`tkt_${index}`, 'x'.repeat(sizeBytes))));
    expect(frames.closed.aborted).toBe(false);
    frames.push([notice('1.0')]);
    expect(frames.closed.aborted).toBe(true);
    expect((await rest()).join('').length).toBeLessThan(10 * sizeBytes);
  });

  it('gets at least one event, however large, each time it comes back', async () => {
    const { rest } = stream([{ ...progress('tkt_1', 'x'.repeat(10 * sizeBytes)) }, notice('1.0')]);
    expect((await rest())[1]).toContain('xxx');
  });
});
