// @module-tag needs-mosquitto
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { json } from 'node:stream/consumers';
import { guardLeaks, type Mosquitto, startMosquitto } from '@hivekeeper/testkit';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { temporaryDirectory } from '../../stack/stack.ts';
import { type RunningAgent, startAgent } from './agents.ts';
import { type Line, listen, type Seen } from './line.ts';
import { send, taskFor } from './tasks.ts';

guardLeaks();

interface Asked {
  readonly original_query: string;
  readonly workflow_history: readonly { readonly agent_id: string }[];
  readonly available_agents: readonly { readonly agent_id: string }[];
  readonly iteration_count: number;
}

describe('M18 a workflow that a router leads', () => {
  let directory: Awaited<ReturnType<typeof temporaryDirectory>>;
  let broker: Mosquitto;
  let line: Line;
  let gate: Server;
  const agents: RunningAgent[] = [];
  const asked: Asked[] = [];
  /** What the gatekeeper answers; a number is a status. */
  let decide: (request: Asked) => unknown;

  beforeAll(async () => {
    directory = await temporaryDirectory('routing');
    broker = await startMosquitto();
    line = await listen(broker.url);
    gate = createServer((request, response) => {
      void json(request).then((body) => {
        asked.push(body as Asked);
        const answer = decide(body as Asked);
        response.writeHead(typeof answer === 'number' ? answer : 200).end(JSON.stringify(answer));
      });
    }).listen(0, '127.0.0.1');
    await once(gate, 'listening');
    const { port } = gate.address() as AddressInfo;
    const llm = '[llm]\nprovider = "simulated"\nmodel = "m"\n';
    const byGate = `${llm}[routing]\nstrategy = "gatekeeper"\nmax_iterations = 4\n[routing.gatekeeper]\nurl = "http://127.0.0.1:${port}/route"\nretry_attempts = 1\n`;
    const byModel = `${llm}[routing]\nstrategy = "llm"\n[routing.llm]\nprovider = "simulated"\nmodel = "r"
[[routing.llm.script]]\nwhen = 'CURRENT AGENT OUTPUT'\nreply = '{"workflow_complete": false, "reasoning": "r", "next_agent": "a", "next_instruction": "finish"}'\n`;
    for (const [id, sections] of [
      ['a', byGate],
      ['b', byGate],
      ['m', byModel],
    ] as const)
      agents.push(await startAgent({ directory: directory.path, broker: broker.url, id, sections }));
    await line.count(({ topic, text }) => topic.endsWith('/status') && text.includes('"available"'), 3);
  });
  afterAll(async () => {
    for (const agent of agents) await agent[Symbol.asyncDispose]();
    gate.close();
    gate.closeAllConnections();
    await line[Symbol.asyncDispose]();
    await broker[Symbol.asyncDispose]();
    await directory[Symbol.asyncDispose]();
  });

  const workflow = (agent: string) =>
    taskFor({ instruction: 'q', version: '2.0', context: { original_query: 'q', steps_completed: [], iteration_count: 0 } }, agent);
  const answersIn =
    (conversation: string) =>
    ({ topic }: Seen): boolean =>
      topic.startsWith(`/conversations/${conversation}/`);
  const forward = (next_agent: string) => ({
    workflow_complete: false,
    reasoning: 'because',
    next_agent,
    next_instruction: `be ${next_agent}`,
  });

  it('goes from agent to agent and ends with one message, its history and trace whole', async () => {
    decide = ({ iteration_count }) => (iteration_count === 0 ? forward('b') : { workflow_complete: true, reasoning: 'done' });
    asked.length = 0;
    const task = workflow('a');
    await send(line, task);
    const answer = await line.first(answersIn(task.conversation_id));
    expect(answer.topic).toBe(`/conversations/${task.conversation_id}/b`);
    expect(asked.map(({ original_query, iteration_count }) => [original_query, iteration_count])).toEqual([
      ['q', 0],
      ['q', 1],
    ]);
    expect(asked[0]?.available_agents.map(({ agent_id }) => agent_id)).toEqual(['a', 'b', 'm']);
    expect(asked[1]?.workflow_history).toMatchObject([{ agent_id: 'a', action: 'q' }]);
    const handed = await line.first(({ topic, text }) => topic === '/control/agents/b/input' && text.includes(task.conversation_id));
    expect(handed.qos).toBe(1);
    expect(JSON.parse(handed.text)).toMatchObject({
      ...{ version: '2.0', instruction: 'be b', input: 'SIMULATED reply to user: q' },
      routing_trace: [{ from_agent: 'a', to_agent: 'b', reason: 'because', step_number: 1 }],
    });
    expect(line.seen.filter(answersIn(task.conversation_id))).toHaveLength(1);
  });

  it('ends when it has gone on for as long as it may', async () => {
    decide = ({ iteration_count }) => forward(iteration_count % 2 === 0 ? 'b' : 'a');
    asked.length = 0;
    const task = workflow('a');
    await send(line, task);
    expect(JSON.parse((await line.first(answersIn(task.conversation_id))).text)).toHaveProperty('response');
    expect(asked).toHaveLength(3);
  });

  it('ends with an error where no decision can be had or the chosen agent is not there, and the next one works', async () => {
    for (const [decision, message] of [
      [503, 'answers 503'],
      [{ workflow_complete: false }, 'cannot be used'],
      [forward('nobody'), 'not available'],
    ] as const) {
      decide = () => decision;
      const task = workflow('a');
      await send(line, task);
      expect(JSON.parse((await line.first(answersIn(task.conversation_id))).text)).toMatchObject({
        error: { code: 'internal_error', message: expect.stringContaining(message) as string },
      });
    }
    decide = () => ({ workflow_complete: true });
    const task = workflow('a');
    await send(line, task);
    expect(JSON.parse((await line.first(answersIn(task.conversation_id))).text)).toHaveProperty('response');
  });

  it('may be led by a model', async () => {
    decide = () => ({ workflow_complete: true });
    const task = workflow('m');
    await send(line, task);
    expect((await line.first(answersIn(task.conversation_id))).topic).toBe(`/conversations/${task.conversation_id}/a`);
  });
});
