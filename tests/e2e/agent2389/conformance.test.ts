// @module-tag needs-mosquitto
import { guardLeaks, type Mosquitto, startMosquitto } from '@hivekeeper/testkit';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { temporaryDirectory } from '../../stack/stack.ts';
import { type RunningAgent, startAgent } from './agents.ts';
import { type Line, listen, on, type Seen } from './line.ts';
import { answerTo, answerTopic, fuzzedTasks, send, type Task, taskFor } from './tasks.ts';

guardLeaks();

const script = `
[llm]
provider = "simulated"
model = "script"
[[llm.script]]
when = "fail with (.*)"
fail = "the provider answers 500, password=hunter2 "
[[llm.script]]
when = "take your time"
reply = "took it"
delay_ms = 500
[[llm.script]]
when = "^user: call it badly"
tool = "file_read"
arguments = { file = "a" }
[[llm.script]]
when = "^tool: (.*)"
reply = "the tool says: $1"
[tools]
file_read = { impl = "builtin", config = { allowed_paths = ["/nowhere"] } }
`;

const statusTopic = '/control/agents/echo/status';
const statusIn = ({ text }: Seen) => (JSON.parse(text) as { readonly status: string }).status;
const depth = (length: number): unknown =>
  Array.from({ length }).reduce((next) => ({ topic: '/control/agents/elsewhere/input', next }), undefined as unknown);

describe('an agent of the 2389 protocol', () => {
  let directory: Awaited<ReturnType<typeof temporaryDirectory>>;
  let broker: Mosquitto;
  let line: Line;
  let agent: RunningAgent;
  const start = (plan: Partial<Parameters<typeof startAgent>[0]> = {}) =>
    startAgent({ directory: directory.path, broker: broker.url, sections: script, ...plan });

  beforeAll(async () => {
    directory = await temporaryDirectory('agent2389');
    broker = await startMosquitto();
    line = await listen(broker.url);
    agent = await start();
  });
  afterAll(async () => {
    await agent[Symbol.asyncDispose]();
    await line[Symbol.asyncDispose]();
    await broker[Symbol.asyncDispose]();
    await directory[Symbol.asyncDispose]();
  });

  const answered = async (task: Task) => {
    await send(line, task);
    return answerTo(line, task);
  };

  it('M1 is available, retained, as soon as its subscription is acknowledged, and says that its model is none', async () => {
    await line.first(on(statusTopic));
    await using late = await listen(broker.url);
    const status = await late.first(on(statusTopic));
    expect(status).toMatchObject({ isRetained: true, qos: 1 });
    expect(JSON.parse(status.text)).toMatchObject({ status: 'available', capabilities: ['test'], simulated: true });
    const told = agent.log.map(({ fields }) => fields['message']);
    expect(told.indexOf('Configuration loaded')).toBeLessThan(told.indexOf('MQTT connected and subscribed'));
  });

  it('M2 answers a task once, with its id, QoS 1, not retained', async () => {
    const task = taskFor({ instruction: 'hello', input: { a: 1 } });
    await send(line, task);
    const answer = await line.first(on(answerTopic(task)));
    expect(answer).toMatchObject({ qos: 1, isRetained: false });
    expect(JSON.parse(answer.text)).toEqual({ task_id: task.task_id, response: 'SIMULATED reply to user: hello\nInput data: {"a":1}' });
  });

  it('M3 answers the same task sent twice once, and the next one too', async () => {
    const task = taskFor();
    await send(line, task, { ...task, task_id: task.task_id.toUpperCase() }, task);
    await answered(taskFor());
    expect(line.seen.filter(on(answerTopic(task)))).toHaveLength(1);
  });

  it('M4 ignores a task that the broker kept from before', async () => {
    const task = taskFor({}, 'late-comer');
    await line.client.publishAsync(task.topic, JSON.stringify(task), { qos: 1, retain: true });
    await using late = await start({ id: 'late-comer' });
    const next = taskFor({}, 'late-comer');
    await send(line, next);
    await answerTo(line, next, 'late-comer');
    expect(line.seen.filter(on(answerTopic(task, 'late-comer')))).toEqual([]);
    await late.end('SIGTERM');
  });

  it('M5 discards an envelope that names another agent’s topic, and says so in its log', async () => {
    const task = taskFor({ topic: '/control/agents/somebody-else/input' });
    await line.client.publishAsync('/control/agents/echo/input', JSON.stringify(task), { qos: 1 });
    await agent.line(({ fields }) => fields['reason'] === 'its topic names /control/agents/somebody-else/input');
    await answered(taskFor());
    expect(line.seen.filter(on(answerTopic(task)))).toEqual([]);
  });

  it('M6 takes 16 nested tasks and refuses 17, and the next task works', async () => {
    const deep = taskFor({ next: depth(16) });
    await send(line, deep);
    await line.first(({ topic, text }) => topic === '/control/agents/elsewhere/input' && text.includes(deep.task_id));
    expect(await answered(taskFor({ next: depth(17) }))).toMatchObject({ error: { code: 'pipeline_depth_exceeded' } });
    expect(await answered(taskFor())).toHaveProperty('response');
  });

  it('M7 survives what is no envelope', async () => {
    for (const text of ['not json', '{}', '[]', '', '\u0000', '{"task_id":"x"}', '['.repeat(50_000)])
      await line.client.publishAsync('/control/agents/echo/input', text, { qos: 1 });
    // As many more of what is nearly one as take a second; the long suite has 10,000.
    await Promise.all(fuzzedTasks(400).map((text) => line.client.publishAsync('/control/agents/echo/input', text, { qos: 1 })));
    const bad = taskFor({ instruction: 7 as never });
    expect(await answered(bad)).toMatchObject({ error: { code: 'invalid_input' } });
    expect(await answered(taskFor())).toHaveProperty('response');
  });

  it('M8 says llm_error where the model fails, and answers the task after that', async () => {
    expect(await answered(taskFor({ instruction: 'fail with 500' }))).toMatchObject({ error: { code: 'llm_error' } });
    expect(await answered(taskFor())).toHaveProperty('response');
  });

  it('M9 hands a chain on: the next gets the text as its input, with the same ids, and only the last one answers', async () => {
    await using others = new AsyncDisposableStack();
    for (const id of ['b', 'c']) others.use(await start({ id }));
    const next = {
      topic: '/control/agents/b/input',
      instruction: 'two',
      next: { topic: '//control/agents/c/input/', instruction: 'three' },
    };
    const task = taskFor({ instruction: 'one', next });
    await send(line, task);
    const { response } = await answerTo(line, task, 'c');
    expect(response).toMatch(/^SIMULATED reply to user: three\nInput data: "SIMULATED reply to user: two\\nInput data: /);
    const forwarded = await line.first(({ topic, text }) => topic === '/control/agents/b/input' && text.includes(task.task_id));
    expect(forwarded.qos).toBe(1);
    expect(JSON.parse(forwarded.text)).toMatchObject({ conversation_id: task.conversation_id, input: 'SIMULATED reply to user: one' });
    for (const id of ['echo', 'b']) expect(line.seen.filter(on(answerTopic(task, id)))).toEqual([]);
  });

  it('M10 is unavailable, retained, when it was killed, by its last will', async () => {
    const victim = await start({ id: 'victim' });
    await victim.end('SIGKILL');
    await line.first((message) => on('/control/agents/victim/status')(message) && statusIn(message) === 'unavailable');
    await using late = await listen(broker.url);
    expect(await late.first(on('/control/agents/victim/status'))).toMatchObject({ isRetained: true });
  });

  it('M11 finishes what is under way on SIGTERM, is unavailable, retained, and ends with 0', async () => {
    const leaver = await start({ id: 'leaver' });
    const task = taskFor({ instruction: 'take your time' }, 'leaver');
    await send(line, task);
    await line.first(({ topic, text }) => topic === '/control/agents/leaver/progress' && text.includes('TaskStart'));
    expect(await leaver.end('SIGTERM')).toBe(0);
    expect(await answerTo(line, task, 'leaver')).toMatchObject({ response: 'SIMULATED took it' });
    await using late = await listen(broker.url);
    expect(statusIn(await late.first(on('/control/agents/leaver/status')))).toBe('unavailable');
  });

  it('M12 is not ready while the broker is away, and takes a new task when it is back', async () => {
    await broker.kill();
    await vi.waitFor(async () => expect((await fetch(`${agent.url}/ready`)).status).toBe(503), 5_000);
    expect((await fetch(`${agent.url}/health`)).status).toBe(503);
    const statusCount = line.seen.filter(on(statusTopic)).length;
    await broker.start();
    await vi.waitFor(async () => expect((await fetch(`${agent.url}/ready`)).status).toBe(200), 5_000);
    // The client of the test sends what waits before it subscribes again: without this the answer may come before it listens.
    await line.count(on(statusTopic), statusCount + 1);
    expect(await answered(taskFor())).toHaveProperty('response');
  });

  it('M13 answers 500 tasks that come at once', async () => {
    const tasks = Array.from({ length: 500 }, () => taskFor());
    await send(line, ...tasks);
    const topics = new Set(tasks.map((task) => answerTopic(task)));
    await line.count(({ topic }) => topics.has(topic), 500);
    expect(line.seen.filter(({ topic }) => topics.has(topic))).toHaveLength(500);
  });

  it('M15 keeps secrets out of what it says of errors', async () => {
    const { error } = await answered(taskFor({ instruction: `fail with ${'x'.repeat(2_000)}` }));
    expect(error?.message).toContain('password=***');
    expect(error?.message).not.toContain('hunter2');
  });

  it('M16 tells the model what is wrong with its arguments, and the task goes on', async () => {
    const { response } = await answered(taskFor({ instruction: 'call it badly' }));
    expect(response).toMatch(/^SIMULATED the tool says: Parameter validation failed: At '\/'/);
  });
});
