// @module-tag needs-mosquitto
import { guardLeaks, type Mosquitto, startMosquitto } from '@hivekeeper/testkit';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { temporaryDirectory } from '../../stack/stack.ts';
import { type AgentPlan, type RunningAgent, startAgent } from './agents.ts';
import { type Line, listen, on, type Seen } from './line.ts';
import { answerTo, answerTopic, send, type Task, taskFor } from './tasks.ts';

guardLeaks();

const sections = `
[llm]
provider = "simulated"
model = "script"
[[llm.script]]
when = "take your time"
reply = "took it"
delay_ms = 300
[[llm.script]]
when = "take for ever"
reply = "took it"
delay_ms = 3600000
`;

describe('replicas of an agent', () => {
  let directory: Awaited<ReturnType<typeof temporaryDirectory>>;
  let broker: Mosquitto;
  let line: Line;
  const start = (plan: Partial<AgentPlan>) => startAgent({ directory: directory.path, broker: broker.url, sections, ...plan });
  const metricsOf = async (agent: RunningAgent) =>
    ((await (await fetch(`${agent.url}/metrics`)).json()) as { readonly tasks: Readonly<Record<string, number>> }).tasks;
  const answersTo = (tasks: readonly Task[], agent = 'echo') => {
    const topics = new Set(tasks.map((task) => answerTopic(task, agent)));
    return ({ topic }: Seen) => topics.has(topic);
  };
  /** Its status as the broker keeps it. */
  const keptStatus = async (id: string) => {
    await using late = await listen(broker.url, [`/control/agents/${id}/status`]);
    return (JSON.parse((await late.first(() => true)).text) as { readonly status: string }).status;
  };

  beforeAll(async () => {
    directory = await temporaryDirectory('replicas');
    broker = await startMosquitto();
    line = await listen(broker.url, ['/conversations/#', '/control/agents/+/status', '/control/agents/+/progress']);
  });
  afterAll(async () => {
    await line[Symbol.asyncDispose]();
    await broker[Symbol.asyncDispose]();
    await directory[Symbol.asyncDispose]();
  });

  it('M14 do each of 100 tasks once between them', async () => {
    await using one = await start({ state: 'one' });
    await using other = await start({ state: 'other' });
    const tasks = Array.from({ length: 100 }, () => taskFor());
    await send(line, ...tasks);
    await line.count(answersTo(tasks), 100);
    const done = [await metricsOf(one), await metricsOf(other)].map(({ tasks_completed = 0 }) => tasks_completed);
    expect(done[0]! + done[1]!).toBe(100);
    expect(Math.min(...done)).toBeGreaterThan(0);
    expect(line.seen.filter(answersTo(tasks))).toHaveLength(100);

    // One is killed: the other goes on, and whoever reads the topic finds the agent.
    const gone = line.seen.length;
    await one.end('SIGKILL');
    await line.first((message) => line.seen.indexOf(message) >= gone && message.text.includes('"unavailable"'));
    await line.first((message) => line.seen.indexOf(message) > gone && message.text.includes('"available"'));
    expect(await keptStatus('echo')).toBe('available');
  });

  it('that leave hand back what they have not begun, and take nothing more', async () => {
    const id = 'scaled';
    await using stays = await start({ id, state: 'stays', agentKeys: 'concurrency = 8' });
    await using leaves = await start({ id, state: 'leaves', agentKeys: 'concurrency = 1', surroundings: { HIVE_AGENT_DRAIN_MS: '0' } });
    const slow = Array.from({ length: 12 }, () => taskFor({ instruction: 'take your time' }, id));
    await send(line, ...slow);
    await leaves.line(({ fields }) => fields['message'] === 'Task started');
    expect(await leaves.end('SIGTERM')).toBe(0);
    const later = Array.from({ length: 10 }, () => taskFor({}, id));
    await send(line, ...later);
    await line.count(answersTo([...slow, ...later], id), 22);
    expect((await metricsOf(stays))['tasks_completed']).toBe(22);
    expect(leaves.log.filter(({ fields }) => fields['message'] === 'Task handed back').length).toBeGreaterThan(0);
    expect(await keptStatus(id)).toBe('available');
  });

  it('may not share a state directory, and say which is in use', async () => {
    await using first = await start({ id: 'lonely' });
    await expect(start({ id: 'lonely' })).rejects.toThrow(/AGENT_STATE_IN_USE/);
    expect((await fetch(`${first.url}/ready`)).status).toBe(200);
  });

  it('one that is killed does in its next life what it had taken, and answers each task once', async () => {
    const id = 'phoenix';
    const first = await start({ id, agentKeys: 'concurrency = 2' });
    const stuck = taskFor({ instruction: 'take for ever' }, id);
    const tasks = Array.from({ length: 50 }, () => taskFor({}, id));
    await send(line, stuck, taskFor({ instruction: 'take for ever' }, id), ...tasks);
    await first.line(({ span }) => span?.['task_id'] === stuck.task_id);
    await first.end('SIGKILL');
    // What comes meanwhile the broker keeps.
    const meanwhile = taskFor({}, id);
    await send(line, meanwhile);
    await using second = await start({ id, agentKeys: 'concurrency = 60' });
    await answerTo(line, meanwhile, id);
    await line.count(answersTo(tasks, id), 50);
    expect(line.seen.filter(answersTo([...tasks, meanwhile], id))).toHaveLength(51);
    expect(line.seen.filter(on(answerTopic(stuck, id)))).toEqual([]);
    expect((await metricsOf(second))['tasks_processing']).toBe(2);
  });
});
