import { newLog } from '@hivekeeper/kernel';
import { FakeClock } from '@hivekeeper/testkit';
import { describe, expect, it } from 'vitest';
import { CallLog, type ModelCallRecord } from './index.ts';

const log = newLog({ level: 'silent', component: 'test' });
const call = (id: number) => ({ id: `call_${id}` }) as ModelCallRecord;

describe('calls that are over', () => {
  it('are stored together, and what the database does not take is stored later', async () => {
    const clock = new FakeClock();
    const stored: string[][] = [];
    let isAway = true;
    const add = (calls: readonly ModelCallRecord[]) => {
      if (isAway) return Promise.reject(new RangeError('away'));
      stored.push(calls.map(({ id }) => id));
      return Promise.resolve();
    };
    const calls = new CallLog({ store: { add }, clock, log });
    for (let id = 1; id <= 3; id += 1) calls.add(call(id));
    await clock.advance(250);
    expect(stored).toEqual([]);
    isAway = false;
    await clock.advance(250);
    expect(stored).toEqual([['call_1', 'call_2', 'call_3']]);
    for (let id = 1; id <= 600; id += 1) calls.add(call(id));
    await calls[Symbol.asyncDispose]();
    expect(stored.slice(1).map(({ length }) => length)).toEqual([500, 100]);
  });
});
