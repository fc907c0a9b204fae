/** Tasks over MQTT for agents of the platform, on real PostgreSQL and the broker that comes along. */
import { randomUUID } from 'node:crypto';
import { defaultTenantId, type JsonObject, type LeasedTicket, type RunId } from '@hivekeeper/contract';
import { newLog, systemClock } from '@hivekeeper/kernel';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test, vi } from 'vitest';
import { startEmbeddedBroker, type EmbeddedBroker } from '../../apps/control/src/adapters/brokers/embedded/embedded-broker.ts';
import { mqttBroker } from '../../apps/control/src/adapters/brokers/mqtt/mqtt-broker.ts';
import { openDatabase } from '../../apps/control/src/adapters/postgres/index.ts';
import { takeTasks } from '../../apps/control/src/outside.ts';
import type { Engine } from '../../apps/control/src/engine.ts';
import { type Line, listen, on } from '../e2e/agent2389/line.ts';
import { standIn } from '../e2e/agent2389/stand-in.ts';
import { builtin, deploy, engineOn, ownDatabase, seatWorker, type Work } from './fixture.ts';

const { database, sql } = await ownDatabase();
const log = newLog({ level: 'silent', component: 'test' });
const patiently = { timeout: 20_000, interval: 10 };

let broker: EmbeddedBroker;
let line: Line;
let stack: AsyncDisposableStack;

beforeAll(async () => {
  broker = await startEmbeddedBroker(0);
  line = await listen(broker.url, ['/#'], 4);
});
afterAll(async () => {
  await line[Symbol.asyncDispose]();
  await broker[Symbol.asyncDispose]();
});
beforeEach(async () => {
  stack = new AsyncDisposableStack();
  await sql`TRUNCATE runs, run_journal, outbox, tickets, idempotency_keys`;
  line.seen.length = 0;
});
afterEach(() => stack.disposeAsync());

/** A control plane with the broker, whose door for tasks goes with `doorOf`. */
async function plane(clientId: string, doorOf: AsyncDisposableStack = stack): Promise<Engine> {
  const settings = { url: broker.url, clientId, clock: systemClock, log };
  const engine = stack.use(await engineOn(database.url, { openBroker: mqttBroker(settings) }));
  for (const name of ['writer', 'editor'])
    await engine.services.agents.ensureSpec({
      tenantId: defaultTenantId,
      spec: builtin(name, { overMqtt: true, description: `The ${name}` }),
      by: 'test',
    });
  const { outboxStore: outbox } = stack.use(await openDatabase({ url: database.url, maxConnections: 2, log }));
  await takeTasks({ stack: doorOf, engine, broker: settings, outbox, clock: systemClock, log });
  return engine;
}

const statusOf = (agent: string) => line.first(on(`/control/agents/${agent}/status`));
const taskFor = (agent: string, change: object = {}) => {
  const task_id = randomUUID();
  return {
    ...{
      task_id,
      conversation_id: `conv-${task_id}`,
      topic: `/control/agents/${agent}/input`,
      instruction: 'Write.',
      input: { about: 'bees' },
    },
    ...change,
  };
};
type Task = ReturnType<typeof taskFor>;
const send = (task: Task) => line.client.publishAsync(task.topic, JSON.stringify(task), { qos: 1 });
const answerTo = async ({ conversation_id }: Pick<Task, 'conversation_id'>, agent: string) =>
  JSON.parse((await line.first(on(`/conversations/${conversation_id}/${agent}`))).text) as JsonObject;
const runCount = async () => (await sql`SELECT FROM runs`).length;
const inputOf = ({ input }: LeasedTicket) => input as unknown as JsonObject;
const say: Work = ({ agent, input }) => ({ ok: true, output: { response: `${agent.name} read ${JSON.stringify(input['input'])}` } });

test('a task becomes a run, and its end the answer; the agent is announced for who comes later', async () => {
  const engine = await plane('one');
  const worker = seatWorker(engine, say);
  await statusOf('writer');
  await using late = await listen(broker.url, ['/control/agents/writer/status'], 4);
  const status = await late.first(() => true);
  expect(status.isRetained).toBe(true);
  expect(JSON.parse(status.text)).toMatchObject({ agent_id: 'writer', status: 'available', description: 'The writer' });
  const task = taskFor('writer');
  await send(task);
  expect(await answerTo(task, 'writer')).toEqual({ task_id: task.task_id, response: 'writer read {"about":"bees"}' });
  expect(inputOf(worker.tickets[0]!)).toEqual({ instruction: 'Write.', input: { about: 'bees' }, original_query: null });
  // It is no agent of somebody else.
  expect(engine.services.gateway?.agents().map(({ name }) => name)).toEqual([]);
  await vi.waitUntil(async () => (await sql`SELECT FROM outbox`).length === 0, patiently);
});

test('what is nested in a task becomes the following nodes, also those of agents elsewhere', async () => {
  const engine = await plane('one');
  seatWorker(engine, say);
  await using elsewhere = await standIn(broker.url, 'elsewhere', 4);
  await statusOf('editor');
  const task = taskFor('writer', {
    next: { topic: '/control/agents/elsewhere/input', instruction: 'Check.', next: { topic: '/control/agents/editor/input' } },
  });
  await send(task);
  const asked = await elsewhere.task(1);
  expect(asked).toMatchObject({ instruction: 'Check.', input: { response: 'writer read {"about":"bees"}' } });
  await elsewhere.answer(asked, 'fine');
  expect(await answerTo(task, 'editor')).toMatchObject({ response: 'editor read "fine"' });
  expect(await runCount()).toBe(1);
});

test('a task that comes again, at two control planes, is one run; it is answered again for who asks', async () => {
  const [one] = [await plane('one'), await plane('two')];
  seatWorker(one, say);
  await statusOf('writer');
  const task = taskFor('writer');
  await Promise.all([send(task), send(task), send({ ...task, instruction: 'Something else.' })]);
  await answerTo(task, 'writer');
  expect(await runCount()).toBe(1);
  const topic = on(`/conversations/${task.conversation_id}/writer`);
  const count = line.seen.filter(topic).length;
  const { context } = await one.services.runs.view(defaultTenantId, (await sql<{ id: RunId }[]>`SELECT id FROM runs`)[0]!.id);
  // Whichever of the three came first is the task.
  const { instruction } = (context['steps'] as unknown as { readonly instruction: string }[])[0]!;
  await send({ ...task, instruction, answer_again: true } as Task);
  await line.count(topic, count + 1);
  expect(new Set(line.seen.filter(topic).map(({ text }) => text)).size).toBe(1);
  expect(await runCount()).toBe(1);
});

test('a task that is no good is answered so, one that fails too, and the next is done', async () => {
  const engine = await plane('one');
  seatWorker(engine, (ticket) =>
    inputOf(ticket)['instruction'] === 'Fail.' ? { ok: false, error: { code: 'AGENT_FAILED', message: 'no, token=abc' } } : say(ticket),
  );
  await statusOf('writer');
  await line.client.publishAsync('/control/agents/writer/input', '{"a":', { qos: 1 });
  const [bad, long, failing, good] = [
    taskFor('writer', { next: { topic: 'nowhere' } }),
    // No node could name such an agent.
    taskFor('writer', { next: { topic: `/control/agents/${'a'.repeat(201)}/input` } }),
    taskFor('writer', { instruction: 'Fail.' }),
    taskFor('writer'),
  ];
  for (const task of [bad, long, failing, good]) await send(task);
  for (const task of [bad, long])
    expect(await answerTo(task, 'writer')).toMatchObject({
      error: { code: 'invalid_input', message: expect.stringContaining('/next/topic') },
    });
  const { error } = await answerTo(failing, 'writer');
  expect(error).toMatchObject({ code: 'internal_error', message: expect.stringContaining('AGENT_FAILED') });
  expect(JSON.stringify(error)).not.toContain('abc');
  expect(await answerTo(good, 'writer')).toHaveProperty('response');
  expect(await runCount()).toBe(2);
});

test('what comes while no control plane is there waits at the broker, and what ends meanwhile is answered by the next', async () => {
  const door = new AsyncDisposableStack();
  const engine = await plane('one', door);
  const workerOf = seatWorker(engine, () => undefined);
  await statusOf('writer');
  const [first, second] = [taskFor('writer'), taskFor('writer')];
  await send(first);
  const { ticketId, token } = await workerOf.ticket(1);
  await door.disposeAsync();
  expect(JSON.parse(line.seen.filter(on('/control/agents/writer/status')).at(-1)!.text)).toMatchObject({ status: 'unavailable' });
  await engine.services.runs.settle({ workerId: workerOf.workerId, ticketId, token, outcome: { ok: true, output: 'late' } });
  await send(second);
  expect(line.seen.filter(({ topic }) => topic.startsWith('/conversations/'))).toEqual([]);
  seatWorker(await plane('one'), say);
  expect(await answerTo(first, 'writer')).toMatchObject({ response: 'late' });
  await vi.waitUntil(async () => (await runCount()) === 2, patiently);
});

test('a workflow of somebody else that has the name is left alone, and the task is refused', async () => {
  const engine = await plane('one');
  seatWorker(engine, say);
  await statusOf('editor');
  const definition = { name: 'task-editor', nodes: [{ id: 'n', agent: 'noop' }] };
  await deploy(engine, definition);
  const task = taskFor('editor');
  await send(task);
  expect(await answerTo(task, 'editor')).toMatchObject({
    error: { code: 'internal_error', message: expect.stringContaining('ALREADY_EXISTS') },
  });
  expect(await runCount()).toBe(0);
});
