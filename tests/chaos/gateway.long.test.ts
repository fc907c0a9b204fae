// @module-tag needs-mosquitto
/** The platform at a broker that is killed, and killed itself: its nodes for agents over MQTT, and tasks for its own agents. */
import { join, resolve } from 'node:path';
import type { RunView } from '@hivekeeper/contract';
import { type Mosquitto, startMosquitto } from '@hivekeeper/testkit';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { startAgent } from '../e2e/agent2389/agents.ts';
import { countingModel } from '../e2e/agent2389/counting-model.ts';
import { type Line, listen, on } from '../e2e/agent2389/line.ts';
import { fuzzedTasks, isAnswerOf, keepTo, send, taskFor } from '../e2e/agent2389/tasks.ts';
import { allGone, descendants, killAll, type Stack, startStack, temporaryDirectory } from '../stack/stack.ts';

let parts: AsyncDisposableStack;
let broker: Mosquitto;
let line: Line;
let model: Awaited<ReturnType<typeof countingModel>>;
let begin: (port?: number) => Promise<Stack>;
let stack: Stack;

beforeEach(async () => {
  parts = new AsyncDisposableStack();
  const directory = parts.use(await temporaryDirectory('gateway-chaos'));
  broker = parts.use(await startMosquitto());
  line = parts.use(await listen(broker.url, ['/#']));
  model = parts.use(await countingModel());
  parts.use(await startAgent({ directory: directory.path, broker: broker.url, sections: model.sections }));
  begin = (port = 0) =>
    startStack({
      ...{ dataDirectory: join(directory.path, 'data'), roots: [directory.path], port, leaseMs: 2_000 },
      environment: { MQTT_URL: broker.url, HIVE_PARALLEL: '4' },
    });
  stack = await begin();
  parts.defer(async () => void (await stack.stop()));
  await stack.client.registerAgent({ entryPath: resolve(import.meta.dirname, 'fixtures/clerk') });
  await stack.client.deployWorkflow({
    name: 'ask',
    nodes: [{ id: 'n', agent: 'mqtt/echo', input: { instruction: '{{ context.what }}' }, retry: { maxAttempts: 1 } }],
  });
  await line.first(on('/control/agents/clerk/status'));
});
afterEach(() => parts.disposeAsync());

const clerkTasks = (count: number) => Array.from({ length: count }, () => taskFor({}, 'clerk'));
const questions = (kill: number, count: number) => Array.from({ length: count }, (_, index) => `question ${kill}.${index}`);
const ask = async (what: string) => (await stack.client.startRun('ask', { context: { what } })).id;

async function ended(runId: RunView['id']): Promise<RunView> {
  for (;;) {
    const run = await stack.client.run(runId);
    if (run.finishedAtMs !== undefined) return run;
    await new Promise((fulfil) => setTimeout(fulfil, 100));
  }
}

/** Every run succeeded by one result, and every task was done by one run, whose answer is the only one. */
async function judge(runIds: readonly RunView['id'][], tasks: ReturnType<typeof clerkTasks>): Promise<object> {
  const runs = await Promise.all(runIds.map(ended));
  expect(runs.filter(({ status }) => status !== 'SUCCESS').map(({ id, error }) => [id, error])).toEqual([]);
  const results = runs.map(({ nodes }) => nodes.flatMap(({ attempts }) => attempts.filter(({ status }) => status === 'SUCCESS')).length);
  expect(results.filter((count) => count !== 1)).toEqual([]);
  const answers = Map.groupBy(line.seen.filter(isAnswerOf(tasks, 'clerk')), ({ topic }) => topic);
  expect(answers.size).toBe(tasks.length);
  expect([...answers.values()].filter((all) => new Set(all.map(({ text }) => text)).size !== 1)).toEqual([]);
  const doers = new Set([...answers.values()].map(([first]) => (JSON.parse(first!.text) as { readonly response: string }).response));
  expect(doers.size).toBe(tasks.length);
  return { runs: runs.length, tasks: tasks.length, answeredAgain: [...answers.values()].filter((all) => all.length > 1).length };
}

it('a broker that is killed 50 times under load, all it knew deleted: every node has its answer, every task is done once', async () => {
  const [runIds, tasks]: [RunView['id'][], ReturnType<typeof clerkTasks>] = [[], []];
  for (let kill = 0; kill < 50; kill += 1) {
    const batch = clerkTasks(10);
    tasks.push(...batch);
    const asked = Promise.all(questions(kill, 10).map(ask));
    const kept = keepTo(line, batch, 'clerk');
    await line.count(isAnswerOf(batch, 'clerk'), 1 + (kill % 9));
    await broker.kill();
    await broker.forget();
    await broker.start();
    runIds.push(...(await asked));
    await kept;
  }
  const told = await judge(runIds, tasks);
  // An agent that had done a task when its broker died answers it again; it does not do it again.
  expect([...model.asked.values()].filter((times) => times !== 1)).toEqual([]);
  process.stdout.write(`${JSON.stringify({ brokerKills: 50, ...told, lost: 0, doneTwice: 0 })}\n`);
});

it('a control plane that is killed 10 times under load, and its worker with it: the same', async () => {
  const [runIds, tasks]: [RunView['id'][], ReturnType<typeof clerkTasks>] = [[], []];
  for (let kill = 0; kill < 10; kill += 1) {
    const batch = clerkTasks(20);
    tasks.push(...batch);
    runIds.push(...(await Promise.all(questions(kill, 20).map(ask))));
    const kept = keepTo(line, batch, 'clerk');
    await line.count(isAnswerOf(batch, 'clerk'), 1 + kill);
    const all = [stack.pid, ...(await descendants(stack.pid))];
    killAll(all);
    await allGone(all);
    stack = await begin(stack.port);
    await kept;
  }
  process.stdout.write(`${JSON.stringify({ controlPlaneKills: 10, ...(await judge(runIds, tasks)), lost: 0 })}\n`);
});

it('an agent of the platform that is sent 10,000 envelopes that are nearly good answers the next good one', async () => {
  const texts = fuzzedTasks(10_000, 'clerk');
  await Promise.all(texts.map((text) => line.client.publishAsync('/control/agents/clerk/input', text, { qos: 1 })));
  const [good] = clerkTasks(1) as [ReturnType<typeof taskFor>];
  await send(line, good);
  expect(JSON.parse((await line.first(isAnswerOf([good], 'clerk'))).text)).toHaveProperty('response');
  const answers = line.seen.filter(({ topic }) => topic.startsWith('/conversations/')).map(({ text }) => JSON.parse(text) as object);
  const refusals = answers.filter((answer) => 'error' in answer).length;
  process.stdout.write(`${JSON.stringify({ sent: texts.length, refused: refusals, done: answers.length - refusals })}\n`);
});
