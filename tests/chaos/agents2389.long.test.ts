// @module-tag needs-mosquitto
import { guardLeaks, startMosquitto } from '@hivekeeper/testkit';
import { describe, expect, it } from 'vitest';
import { startAgent } from '../e2e/agent2389/agents.ts';
import { countingModel } from '../e2e/agent2389/counting-model.ts';
import { type Line, listen } from '../e2e/agent2389/line.ts';
import { fuzzedTasks, isAnswerOf, keepTo, send, type Task, taskFor } from '../e2e/agent2389/tasks.ts';
import { temporaryDirectory } from '../stack/stack.ts';

guardLeaks();

const someTasks = (count: number) =>
  Array.from({ length: count }, () => {
    const task = taskFor();
    return { ...task, instruction: task.task_id };
  });
const answersOf = (line: Line, tasks: readonly Task[]) => Map.groupBy(line.seen.filter(isAnswerOf(tasks)), ({ topic }) => topic);

describe('agents of the 2389 protocol', () => {
  it.each([2, 5])('%d replicas do each of 1,000 tasks once', async (count) => {
    await using directory = await temporaryDirectory('replicas');
    await using broker = await startMosquitto();
    await using line = await listen(broker.url, ['/conversations/#']);
    await using model = await countingModel();
    await using replicas = new AsyncDisposableStack();
    for (let replica = 0; replica < count; replica += 1)
      replicas.use(
        await startAgent({ directory: directory.path, broker: broker.url, sections: model.sections, state: `replica-${replica}` }),
      );
    const tasks = someTasks(1_000);
    await send(line, ...tasks);
    await line.count(isAnswerOf(tasks), 1_000);
    expect([...model.asked.values()].filter((times) => times !== 1)).toEqual([]);
    expect(model.asked.size).toBe(1_000);
    expect([...answersOf(line, tasks).values()].filter((answers) => answers.length !== 1)).toEqual([]);
  });

  it('an agent that is sent 10,000 envelopes that are nearly good answers the next good one', async () => {
    await using directory = await temporaryDirectory('fuzzed');
    await using broker = await startMosquitto();
    await using line = await listen(broker.url, ['/conversations/#']);
    await using agent = await startAgent({ directory: directory.path, broker: broker.url });
    await Promise.all(fuzzedTasks(10_000).map((text) => line.client.publishAsync('/control/agents/echo/input', text, { qos: 1 })));
    const good = taskFor();
    await send(line, good);
    expect(JSON.parse((await line.first(isAnswerOf([good]))).text)).toHaveProperty('response');
    await agent.end('SIGTERM');
  });

  it('a broker that is killed 50 times under load, all it knew deleted, loses no task that its sender keeps to, and none is done twice', async () => {
    await using directory = await temporaryDirectory('broker-kills');
    await using broker = await startMosquitto();
    await using line = await listen(broker.url, ['/conversations/#']);
    await using model = await countingModel();
    await using agent = await startAgent({ directory: directory.path, broker: broker.url, sections: model.sections });
    const tasks = someTasks(5_000);
    const slowestMs: number[] = [];
    for (let kill = 0; kill < 50; kill += 1) {
      const batch = tasks.slice(kill * 100, (kill + 1) * 100);
      void send(line, ...batch);
      await line.count(isAnswerOf(batch), 1 + (kill % 50));
      await broker.kill();
      await broker.forget();
      await broker.start();
      const backMs = performance.now();
      const probe = taskFor();
      await keepTo(line, [probe]);
      slowestMs.push(performance.now() - backMs);
      await keepTo(line, batch);
    }
    expect(Math.max(...slowestMs)).toBeLessThan(5_000);
    expect(tasks.filter(({ task_id }) => model.asked.get(task_id) !== 1)).toEqual([]);
    const answers = answersOf(line, tasks);
    expect(answers.size).toBe(5_000);
    // A broker may be told twice (QoS 1), and then it is told the same.
    expect([...answers.values()].filter((all) => new Set(all.map(({ text }) => text)).size !== 1)).toEqual([]);
    const told = {
      slowestMs: Math.round(Math.max(...slowestMs)),
      answeredAgain: [...answers.values()].filter((all) => all.length > 1).length,
    };
    process.stdout.write(`${JSON.stringify({ kills: 50, tasks: 5_000, lost: 0, doneTwice: 0, ...told })}\n`);
    await agent.end('SIGKILL');
  });

  it('an agent that is killed 30 times under load answers every task, and none with two different answers', async () => {
    await using directory = await temporaryDirectory('agent-kills');
    await using broker = await startMosquitto();
    await using line = await listen(broker.url, ['/conversations/#']);
    await using model = await countingModel();
    const tasks = someTasks(3_000);
    for (let kill = 0; kill < 30; kill += 1) {
      const agent = await startAgent({ directory: directory.path, broker: broker.url, sections: model.sections });
      const batch = tasks.slice(kill * 100, (kill + 1) * 100);
      void send(line, ...batch);
      await line.count(isAnswerOf(batch), 1 + ((kill * 7) % 100));
      await agent.end('SIGKILL');
    }
    await using last = await startAgent({ directory: directory.path, broker: broker.url, sections: model.sections });
    while (answersOf(line, tasks).size < 3_000) await line.count(isAnswerOf(tasks), line.seen.length + 1);
    const answers = [...answersOf(line, tasks).values()];
    expect(answers.filter((all) => new Set(all.map(({ text }) => text)).size !== 1)).toEqual([]);
    const told = {
      repeated: answers.filter((all) => all.length > 1).length,
      askedTwice: [...model.asked.values()].filter((times) => times > 1).length,
    };
    process.stdout.write(`${JSON.stringify({ kills: 30, tasks: 3_000, lost: 0, differentAnswers: 0, ...told })}\n`);
    await last.end('SIGTERM');
  });
});
