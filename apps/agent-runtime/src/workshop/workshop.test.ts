import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { HiveError } from '@hivekeeper/contract';
import { FakeClock } from '@hivekeeper/testkit';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Journal } from '../journal/index.ts';
import { Metrics, newAgentLog } from '../observe/index.ts';
import type { Answer, Model, Reply } from '../task/index.ts';
import { Workshop } from './workshop.ts';

const id = (digit: number) => `550e8400-e29b-41d4-a716-44665544000${digit}`;
const taskOf = (digit: number, change: object = {}) => ({
  ...{ task_id: id(digit), conversation_id: `c${digit}`, topic: '/control/agents/a/input', instruction: 'do', input: null, ...change },
});

describe('a workshop', () => {
  let directory: string;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'hive-workshop-'));
  });
  afterEach(() => rmSync(directory, { recursive: true, force: true }));

  /** One life of an agent: what it is asked, what it sends, and a model that answers when it is told to. */
  function life(options: { readonly concurrency?: number; readonly publish?: (answer: Answer) => Promise<void> } = {}) {
    const clock = new FakeClock();
    const journal = new Journal(directory);
    const asked: PromiseWithResolvers<Reply>[] = [];
    const sent: Answer[] = [];
    const metrics = new Metrics(clock);
    const model: Model = {
      ...{ name: 'm', isSimulated: true, check: () => Promise.resolve() },
      reply: ({ signal }) => {
        const question = Promise.withResolvers<Reply>();
        signal.addEventListener('abort', () => question.reject(signal.reason));
        asked.push(question);
        return question.promise;
      },
    };
    const tools = { descriptions: [], call: () => Promise.reject(new RangeError('none')), [Symbol.asyncDispose]: () => Promise.resolve() };
    const workshop = new Workshop({
      ...{ agentId: 'a', concurrency: options.concurrency ?? 1, journal, metrics, clock, tell: () => {} },
      means: { model, tools, systemPrompt: '', budget: { maxModelCalls: 1, maxToolCalls: 0 }, taskTimeoutMs: 1_000, clock },
      log: newAgentLog({ level: 'ERROR', format: 'json', clock, write: () => {} }),
      publish: options.publish ?? (async (answer) => void sent.push(answer)),
    });
    const take = (task: object) =>
      workshop.take({ topic: '/control/agents/a/input', payload: Buffer.from(JSON.stringify(task)), isRetained: false });
    const tick = () => clock.advance(0);
    return { ...{ clock, journal, workshop, asked, sent, metrics, take, tick }, [Symbol.dispose]: () => journal[Symbol.dispose]() };
  }
  const said = ({ payload }: Answer) => JSON.parse(payload) as { readonly response?: string; readonly error?: { readonly code: string } };

  it('has no more under way than it may, and does the rest in the order they came', async () => {
    using one = life({ concurrency: 2 });
    one.workshop.open();
    for (const digit of [1, 2, 3]) one.take(taskOf(digit));
    await one.tick();
    expect(one.asked).toHaveLength(2);
    one.asked[1]?.resolve({ text: 'two', toolCalls: [] });
    await one.tick();
    expect(one.asked).toHaveLength(3);
    expect(one.sent.map(said)).toEqual([{ response: 'two', task_id: id(2) }]);
  });

  it('begins a task again in its next life, and gives it up when that was its end three times', async () => {
    for (let lives = 0; lives < 3; lives += 1) {
      using one = life();
      one.workshop.open();
      if (lives === 0) one.take(taskOf(1));
      await one.tick();
      expect(one.asked).toHaveLength(1);
    }
    using last = life();
    last.workshop.open();
    await last.tick();
    expect(last.asked).toHaveLength(0);
    expect(last.sent.map(said)).toMatchObject([{ error: { code: 'internal_error' } }]);
  });

  it('sends in its next life what was decided and not sent, and does not do it again', async () => {
    {
      using one = life({ publish: () => new Promise(() => {}) });
      one.workshop.open();
      one.take(taskOf(1));
      await one.tick();
      one.asked[0]?.resolve({ text: 'decided', toolCalls: [] });
      await one.tick();
    }
    using other = life();
    other.workshop.open();
    other.take(taskOf(1));
    await other.tick();
    expect(other.asked).toHaveLength(0);
    expect(other.sent.map(said)).toEqual([{ response: 'decided', task_id: id(1) }]);
    expect(other.journal.answered()).toEqual([]);
  });

  it('answers again what it answered before, where it is asked to, and does not do it again', async () => {
    using one = life();
    one.workshop.open();
    one.take(taskOf(1));
    await one.tick();
    one.take(taskOf(1, { answer_again: true }));
    expect(one.sent).toEqual([]);
    one.asked[0]?.resolve({ text: 'x', toolCalls: [] });
    await one.tick();
    one.take(taskOf(1));
    one.take(taskOf(1, { answer_again: true }));
    await one.tick();
    expect(one.asked).toHaveLength(1);
    expect(one.sent.map(({ payload }) => payload)).toEqual([one.sent[0]?.payload, one.sent[0]?.payload]);
  });

  it('keeps an answer that the broker refuses, for its next life', async () => {
    using one = life({ publish: () => Promise.reject(new HiveError('BROKER_REFUSED')) });
    one.workshop.open();
    one.take(taskOf(1));
    await one.tick();
    one.asked[0]?.resolve({ text: 'x', toolCalls: [] });
    await one.tick();
    expect(one.journal.answered()).toHaveLength(1);
  });

  it('ends a task that takes longer than it may', async () => {
    using one = life();
    one.workshop.open();
    one.take(taskOf(1));
    await one.clock.advance(1_000);
    expect(one.sent.map(said)).toMatchObject([{ error: { code: 'internal_error', message: 'the task took longer than 1 s' } }]);
    expect(one.metrics.snapshot().tasks).toMatchObject({ tasks_failed: 1, tasks_processing: 0 });
  });

  it('that closes begins nothing more, and leaves what it stopped as if it had not begun', async () => {
    using one = life();
    one.workshop.open();
    for (const digit of [1, 2]) one.take(taskOf(digit));
    const closed = one.workshop.close(500);
    await one.clock.advance(500);
    await closed;
    expect(one.asked).toHaveLength(1);
    expect(one.sent).toEqual([]);
    expect(one.metrics.snapshot().tasks).toMatchObject({ tasks_processing: 0, tasks_completed: 0, tasks_failed: 0 });
    await one.workshop.handBack();
    expect(one.sent.map(({ topic, payload }) => [topic, (JSON.parse(payload) as { readonly task_id: string }).task_id])).toEqual([
      ['/control/agents/a/input', id(1)],
      ['/control/agents/a/input', id(2)],
    ]);
    expect(one.journal.unfinished()).toBe(0);
  });

  it('does not acknowledge what it cannot store, and says that it is ill until it can', () => {
    using one = life();
    one.journal[Symbol.dispose]();
    expect(() => one.take(taskOf(1))).toThrow();
    expect(one.workshop.fault).toMatch(/^The journal cannot be written/);
  });
});
