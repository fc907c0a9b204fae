import { FakeClock } from '@hivekeeper/testkit';
import { beforeEach, expect, it } from 'vitest';
import { Alarm } from './alarm.ts';

let clock: FakeClock;
let looks: number[];

beforeEach(() => {
  [clock, looks] = [new FakeClock(), []];
});

const alarm = (answer: () => number | Promise<number> = () => Number.POSITIVE_INFINITY, longestSleepMs = 60_000): Alarm =>
  new Alarm({
    clock,
    longestSleepMs,
    look: async () => {
      looks.push(clock.monotonicMs());
      return answer();
    },
  });

it('looks at once, and then as late as it may', async () => {
  alarm();
  await clock.advance(120_000);
  expect(looks).toEqual([0, 60_000, 120_000]);
});

it('looks at the earliest time that anybody named', async () => {
  const one = alarm();
  await clock.advance(0);
  for (const delayMs of [5_000, 1_000, 30_000]) one.ring(delayMs);
  await clock.advance(10_000);
  expect(looks).toEqual([0, 1_000]);
});

it('looks when the look before said so', async () => {
  const delays = [250, 500];
  alarm(() => delays.shift() ?? 10_000);
  await clock.advance(1_000);
  expect(looks).toEqual([0, 250, 750]);
});

it('never looks twice at a time, and does not forget who asked meanwhile', async () => {
  const { promise, resolve } = Promise.withResolvers<number>();
  const one = alarm(() => promise);
  await clock.advance(0);
  one.ring(0);
  await clock.advance(5_000);
  expect(looks).toEqual([0]);
  resolve(10_000);
  await clock.advance(0);
  expect(looks).toEqual([0, 5_000]);
});

it('ends with no timer set, and not before the look under way is done', async () => {
  const { promise, resolve } = Promise.withResolvers<number>();
  const one = alarm(() => promise);
  await clock.advance(0);
  let isEnded = false;
  const ended = one[Symbol.asyncDispose]().then(() => {
    isEnded = true;
  });
  await clock.advance(0);
  expect(isEnded).toBe(false);
  resolve(0);
  await ended;
  one.ring(0);
  expect([clock.pendingTimers, looks]).toEqual([0, [0]]);
});
