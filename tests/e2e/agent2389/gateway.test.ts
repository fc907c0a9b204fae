// @module-tag needs-mosquitto
import { join } from 'node:path';
import type { RunView } from '@hivekeeper/contract';
import { type Mosquitto, startMosquitto } from '@hivekeeper/testkit';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { allGone, descendants, killAll, type Stack, startStack, temporaryDirectory } from '../../stack/stack.ts';
import { startAgent } from './agents.ts';
import { standIn } from './stand-in.ts';

let directory: Awaited<ReturnType<typeof temporaryDirectory>>;
let broker: Mosquitto;
let stack: Stack;

const start = (mqttUrl = broker.url) =>
  startStack({ dataDirectory: join(directory.path, 'data'), workerCount: 0, leaseMs: 1_000, environment: { MQTT_URL: mqttUrl } });

beforeAll(async () => {
  directory = await temporaryDirectory('gateway');
  broker = await startMosquitto();
  stack = await start();
});
afterAll(async () => {
  await stack.stop();
  await broker[Symbol.asyncDispose]();
  await directory[Symbol.asyncDispose]();
});

/** Deploys a workflow with one node, and starts a run of it. */
async function ask(agent: string, node: Readonly<Record<string, unknown>> = {}): Promise<string> {
  const name = `ask-${agent}`;
  await stack.client.deployWorkflow({
    name,
    nodes: [
      { id: 'n', agent: `mqtt/${agent}`, input: { instruction: 'Write.', input: { about: 'bees' } }, retry: { maxAttempts: 1 }, ...node },
    ],
  });
  return (await stack.client.startRun(name, { context: {} })).id;
}

async function ended(runId: string): Promise<RunView> {
  for await (const { event } of stack.client.events(runId as RunView['id'])) if (event.type === 'run.finished') break;
  return stack.client.run(runId as RunView['id']);
}

const settledOf = (run: RunView) => run.nodes.flatMap(({ attempts }) => attempts.filter(({ status }) => status === 'SUCCESS'));

describe('the platform as a gateway to agents over MQTT', () => {
  test('an agent that runs beside it does a node, and the next node gets its answer', async () => {
    await using replicas = new AsyncDisposableStack();
    for (const state of ['state-one', 'state-two'])
      replicas.use(await startAgent({ directory: directory.path, broker: broker.url, state }));
    await stack.client.deployWorkflow({
      name: 'chain',
      nodes: [
        { id: 'first', agent: 'mqtt/echo', input: { instruction: 'Say bees.' } },
        { id: 'then', agent: 'mqtt/echo', needs: ['first'], input: { input: '{{ first.output.response }}', original_query: 'bees' } },
      ],
    });
    const run = await ended((await stack.client.startRun('chain', { context: {} })).id);
    expect(run.status).toBe('SUCCESS');
    const [first, then] = run.nodes;
    expect(first?.output).toMatchObject({ agent: 'mqtt/echo', response: expect.stringContaining('Say bees.') as string });
    expect(then?.output).toMatchObject({ response: expect.stringContaining('Say bees.') as string });
    const agents = await stack.client.agents();
    expect(agents.find(({ name }) => name === 'mqtt/echo')).toMatchObject({
      ...{ kind: 'mqtt', state: 'available', replicaCount: 2, capabilities: ['test'], isSimulated: true },
    });
  });

  test('a control plane that is killed repeats the same task and takes its answer once; one that came meanwhile is not asked for again', async () => {
    await using slow = await standIn(broker.url, 'slow');
    await using quick = await standIn(broker.url, 'quick');
    const [slowRun, quickRun] = [await ask('slow'), await ask('quick')];
    const [first, answered] = [await slow.task(1), await quick.task(1)];
    const mates = [stack.pid, ...(await descendants(stack.pid))];
    killAll(mates);
    await allGone(mates);
    await quick.answer(answered, 'while you were away');
    stack = await start();
    const again = await slow.task(2);
    expect(again).toEqual(first);
    await slow.answer(first, 'done');
    await slow.answer(again, 'done a second time');
    const run = await ended(slowRun);
    expect(run.nodes[0]).toMatchObject({ status: 'SUCCESS', output: { agent: 'mqtt/slow', response: 'done' } });
    expect(settledOf(run)).toHaveLength(1);
    expect((await ended(quickRun)).nodes[0]?.output).toMatchObject({ response: 'while you were away' });
    expect(quick.tasks).toHaveLength(1);
  });

  test('a broker that is killed and loses all it had gets the task again', async () => {
    await using agent = await standIn(broker.url, 'patient');
    const runId = await ask('patient');
    const first = await agent.task(1);
    await broker.kill();
    await broker.forget();
    await broker.start();
    expect(await agent.task(2)).toEqual(first);
    await agent.answer(first, 'still here');
    expect(settledOf(await ended(runId))).toHaveLength(1);
  });

  test('an agent that went away is shown as such and gets nothing before it is back; why says so', async () => {
    const gone = await standIn(broker.url, 'shy');
    await gone.leave();
    await gone[Symbol.asyncDispose]();
    const runId = (await ask('shy')) as RunView['id'];
    const view = async () => (await stack.client.agents()).find(({ name }) => name === 'mqtt/shy');
    expect(await view()).toMatchObject({ state: 'unavailable', replicaCount: 0 });
    expect((await stack.client.why(runId)).explanation).toBe('Node n waits for mqtt/shy over MQTT; no replica of it is there.');
    await using back = await standIn(broker.url, 'shy');
    const task = await back.task(1);
    expect((await stack.client.why(runId)).explanation).toMatch(
      /^Node n waits for the answer of mqtt\/shy over MQTT for \d s; a replica of it is there\.$/,
    );
    await back.answer(task, 'here');
    expect((await ended(runId)).status).toBe('SUCCESS');
  });

  test('an error is the failure of the node; a refusal is not tried again', async () => {
    await using agent = await standIn(broker.url, 'broken');
    const failed = await ask('broken', { retry: { maxAttempts: 2, backoffMs: 1 } });
    const first = await agent.task(1);
    await agent.fail(first, 'llm_error', 'password=hunter2 is wrong');
    const second = await agent.task(2);
    expect(second.task_id).not.toBe(first.task_id);
    await agent.fail(second, 'invalid_input', 'no');
    const { nodes } = await ended(failed);
    expect(nodes[0]?.attempts.map(({ error }) => error)).toMatchObject([
      { code: 'AGENT_FAILED', message: 'mqtt/broken says llm_error: password=*** is wrong' },
      { code: 'AGENT_INPUT_SCHEMA', message: 'mqtt/broken says invalid_input: no' },
    ]);
  });

  test('a time-out and a cancel free the ticket', async () => {
    await using agent = await standIn(broker.url, 'mute');
    const late = await ask('mute', { timeoutMs: 200 });
    expect((await ended(late)).nodes[0]?.error).toMatchObject({ code: 'NODE_TIMED_OUT' });
    const unwanted = (await ask('mute')) as RunView['id'];
    const task = await agent.task(2);
    await stack.client.cancelRun(unwanted);
    await agent.answer(task, 'too late');
    expect((await ended(unwanted)).status).toBe('CANCELLED');
    expect((await stack.client.status()).tickets).toMatchObject({ leased: 0, ready: 0 });
  });
});
