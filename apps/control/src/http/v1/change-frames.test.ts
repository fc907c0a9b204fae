import { FakeClock } from '@hivekeeper/testkit';
import { expect, it } from 'vitest';
import { ChangeFrames } from './change-frames.ts';

const open = (unreadLimitBytes = 1_000) => {
  const clock = new FakeClock();
  const frames = new ChangeFrames(clock, { heartbeatMs: 15_000, unreadLimitBytes });
  const pulled = frames.frames();
  return { clock, frames, next: async () => (await pulled.next()).value };
};

it('changes come in the order they were made, to the end', async () => {
  const { frames, next } = open();
  frames.push({ type: 'a' });
  frames.push({ type: 'b' });
  frames.end();
  frames.push({ type: 'late' });
  expect([await next(), await next(), await next(), await next()]).toEqual([
    'retry: 1000\n\n',
    'event: a\ndata: {"type":"a"}\n\n',
    'event: b\ndata: {"type":"b"}\n\n',
    undefined,
  ]);
});

it('a silent stream says that it is there, and goes on', async () => {
  const { clock, frames, next } = open();
  await next();
  const waiting = next();
  await clock.advance(15_000);
  expect(await waiting).toBe(': still here\n\n');
  const change = next();
  frames.push({ type: 'a' });
  expect(await change).toBe('event: a\ndata: {"type":"a"}\n\n');
  expect(clock.pendingTimers).toBe(0);
});

it('a reader that leaves too much unread is cut off, after what there is', async () => {
  const { frames, next } = open(40);
  for (const type of ['a', 'b', 'c']) frames.push({ type });
  expect([await next(), await next(), await next()]).toEqual(['retry: 1000\n\n', 'event: a\ndata: {"type":"a"}\n\n', undefined]);
});
