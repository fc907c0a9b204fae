import { describe, expect, it } from 'vitest';
import { Batches } from './batches.ts';

interface Sent {
  readonly calls: readonly string[];
  readonly answer: (error?: unknown) => void;
}

/** Batches of calls named `lane:what`; each one that is sent waits for the test's answer. */
function stage() {
  const sent: Sent[] = [];
  const watchers: (() => void)[] = [];
  const batches = new Batches<string>({
    isEverybodys: (error) => (error as Error).message === 'everybody',
    laneOf: (call) => call.split(':')[0] ?? '',
    send: (calls) =>
      new Promise((resolve, reject) => {
        sent.push({ calls, answer: (error) => (error === undefined ? resolve() : reject(error)) });
        for (const wake of watchers.splice(0)) wake();
      }),
  });
  const nth = async (number: number): Promise<Sent> => {
    while (sent.length < number) await new Promise<void>((resolve) => watchers.push(resolve));
    return sent[number - 1] ?? expect.fail();
  };
  return { batches, sent, nth };
}

describe('calls of the ledger', () => {
  it('that arrive while a batch is under way share the next one', async () => {
    const { batches, sent, nth } = stage();
    const first = batches.submit('a:1');
    (await nth(1)).answer; // under way
    const others = [batches.submit('b:1'), batches.submit('c:1')];
    expect(sent.map(({ calls }) => calls)).toEqual([['a:1']]);
    (await nth(1)).answer();
    await first;
    (await nth(2)).answer();
    await Promise.all(others);
    expect(sent.map(({ calls }) => calls)).toEqual([['a:1'], ['b:1', 'c:1']]);
  });

  it('of one lane are never in one batch, and keep their order', async () => {
    const { batches, sent, nth } = stage();
    const all = Promise.all(['a:1', 'a:2', 'b:1', 'a:3'].map((call) => batches.submit(call)));
    for (const number of [1, 2, 3]) (await nth(number)).answer();
    await all;
    expect(sent.map(({ calls }) => calls)).toEqual([['a:1', 'b:1'], ['a:2'], ['a:3']]);
  });

  it('that fail together are tried one by one, so that the cause harms nobody else', async () => {
    const { batches, sent, nth } = stage();
    const results = Promise.allSettled(['a:1', 'b:poison', 'c:1'].map((call) => batches.submit(call)));
    (await nth(1)).answer(new RangeError('poison'));
    (await nth(2)).answer();
    (await nth(3)).answer(new RangeError('poison'));
    (await nth(4)).answer();
    expect((await results).map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
    expect(sent).toHaveLength(4);
  });

  it('that meet a database which is away fail together: each alone would only take longer', async () => {
    const { batches, sent, nth } = stage();
    const results = Promise.allSettled(['a:1', 'b:1'].map((call) => batches.submit(call)));
    (await nth(1)).answer(new Error('everybody'));
    expect((await results).map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    expect(sent).toHaveLength(1);
  });

  it('are at most 256 in one batch', async () => {
    const { batches, sent, nth } = stage();
    const all = Promise.all(Array.from({ length: 300 }, (_, index) => batches.submit(`lane${index}:1`)));
    (await nth(1)).answer();
    (await nth(2)).answer();
    await all;
    expect(sent.map(({ calls }) => calls.length)).toEqual([256, 44]);
  });
});
