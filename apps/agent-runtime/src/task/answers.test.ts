import type { EnvelopeV2 } from '@hivekeeper/contract/agent2389';
import { describe, expect, it } from 'vitest';
import { conclude, repeated } from './conclude.ts';
import { judge } from './judge.ts';
import { routed, routingRequest } from './route.ts';

const id = '550e8400-e29b-41d4-a716-446655440000';
const task = { task_id: id, conversation_id: 'c', topic: '/control/agents/a/input', instruction: 'do', input: 1, next: null };
const body = (answer: { readonly payload: string }) => JSON.parse(answer.payload) as unknown;

describe('a message on the input', () => {
  const message = (change: object, more: object = {}) => ({
    ...{ topic: '/control/agents/a/input', isRetained: false, payload: Buffer.from(JSON.stringify({ ...task, ...change })) },
    ...more,
  });

  it('is a task where it is one, also where its topic is written otherwise', () => {
    expect(judge(message({}), 'a')).toMatchObject({ verdict: 'accepted' });
    expect(judge(message({ topic: 'control//agents/a/input/' }), 'a')).toMatchObject({ verdict: 'accepted' });
  });

  it.each([
    ['was retained', message({}, { isRetained: true })],
    ['names another topic', message({ topic: '/control/agents/b/input' })],
    ['came on another topic', message({}, { topic: '/control/agents/b/input' })],
    ['is no UTF-8', message({}, { payload: Uint8Array.of(0xff, 0xfe) })],
    ['cannot be answered', message({ conversation_id: '+', input: undefined })],
  ])('is discarded where it %s', (_what, sent) => {
    expect(judge(sent, 'a').verdict).toBe('discarded');
  });

  it('is refused where it is malformed and can be answered', () => {
    expect(judge(message({ instruction: 3 }), 'a')).toMatchObject({ verdict: 'refused', code: 'invalid_input', addressee: { taskId: id } });
  });
});

describe('a task that ended', () => {
  it('answers its conversation', () => {
    const answer = conclude('a', task, { end: 'text', text: 'hello' });
    expect(answer.topic).toBe('/conversations/c/a');
    expect(body(answer)).toEqual({ response: 'hello', task_id: id });
  });

  it('says there what failed, too, even where another agent should have gone on', () => {
    const next = { topic: '/control/agents/b/input' };
    const answer = conclude('a', { ...task, next }, { end: 'failed', code: 'llm_error', message: 'token=abc' });
    expect(answer.topic).toBe('/conversations/c/a');
    expect(body(answer)).toEqual({ error: { code: 'llm_error', message: 'token=***' }, task_id: id });
  });

  it('becomes the next agent’s task, which keeps its own input where it has one', () => {
    const next = { topic: 'control/agents/b/input', instruction: 'then', input: { own: true }, next: { topic: '/control/agents/c/input' } };
    const answer = conclude('a', { ...task, next }, { end: 'text', text: 'hello' });
    expect(answer.topic).toBe('/control/agents/b/input');
    expect(body(answer)).toEqual({ ...task, topic: '/control/agents/b/input', instruction: 'then', input: { own: true }, next: next.next });
    const bare = { topic: next.topic };
    expect(body(conclude('a', { ...task, next: bare }, { end: 'text', text: 'hello' }))).toMatchObject({ input: 'hello' });
  });

  it('that was handed on is handed on again with the wish for an answer', () => {
    const answer = conclude('a', { ...task, next: { topic: '/control/agents/b/input' } }, { end: 'text', text: 'x' });
    expect(body(repeated(answer))).toEqual({ ...(body(answer) as object), answer_again: true });
    const response = conclude('a', task, { end: 'text', text: 'x' });
    expect(repeated(response)).toEqual(response);
  });

  it('of the second version stays of the second version', () => {
    const context = { original_query: 'q', steps_completed: [], iteration_count: 3 };
    const envelope = { ...task, version: '2.0', context, routing_trace: null, next: { topic: '/control/agents/b/input' } };
    expect(body(conclude('a', envelope, { end: 'text', text: 'x' }))).toMatchObject({ version: '2.0', context });
  });
});

describe('a workflow that a router leads', () => {
  const step = { agent_id: 'z', action: 'began', timestamp: 't0' };
  const hop = { from_agent: 'z', to_agent: 'a', reason: 'r', timestamp: 't0', step_number: 1 };
  const envelope: EnvelopeV2 = {
    ...{ ...task, version: '2.0' },
    context: { original_query: 'q', steps_completed: [step], iteration_count: 1 },
    routing_trace: [hop],
  };
  const standing = { agentId: 'a', envelope, text: '{"found":3}', neighbours: [{ agentId: 'b', capabilities: ['x'] }] };
  const next = { taskId: 'new-id', timestamp: 't1' };

  it('tells the router what a 2389 gatekeeper is told', () => {
    expect(routingRequest(standing, 10)).toEqual({
      ...{ original_query: 'q', workflow_history: [step], current_output: { found: 3 }, iteration_count: 1 },
      available_agents: [{ agent_id: 'b', capabilities: ['x'], load: 0 }],
    });
  });

  it('asks nobody when it has gone on for as long as it may', () => {
    expect(routingRequest(standing, 2)).toBeUndefined();
  });

  it('goes on with a new id, one step and one hop longer', () => {
    const answer = routed(standing, { isComplete: false, reason: 'b knows', nextAgent: 'b', nextInstruction: 'count' }, next);
    expect(answer.topic).toBe('/control/agents/b/input');
    expect(body(answer)).toEqual({
      ...{ version: '2.0', task_id: 'new-id', conversation_id: 'c', topic: '/control/agents/b/input' },
      ...{ instruction: 'count', input: { found: 3 }, next: null },
      context: { original_query: 'q', steps_completed: [step, { agent_id: 'a', action: 'do', timestamp: 't1' }], iteration_count: 2 },
      routing_trace: [hop, { from_agent: 'a', to_agent: 'b', reason: 'b knows', timestamp: 't1', step_number: 2 }],
    });
  });

  it('remembers its last hundred steps', () => {
    const context = { original_query: 'q', steps_completed: Array.from({ length: 100 }, () => step), iteration_count: 1 };
    const decision = { isComplete: false, reason: '', nextAgent: 'b', nextInstruction: 'x' } as const;
    const sent = body(routed({ ...standing, envelope: { ...envelope, context } }, decision, next)) as typeof envelope;
    expect(sent.context?.steps_completed).toHaveLength(100);
    expect(sent.context?.steps_completed.at(-1)?.agent_id).toBe('a');
  });

  it('ends with one response where it is complete', () => {
    expect(routed(standing, { isComplete: true, reason: '' }, next)).toEqual({
      topic: '/conversations/c/a',
      payload: JSON.stringify({ response: '{"found":3}', task_id: id }),
    });
  });

  it('ends with an error where the router chose somebody who is not there', () => {
    const answer = routed(standing, { isComplete: false, reason: '', nextAgent: 'x', nextInstruction: 'y' }, next);
    expect(body(answer)).toMatchObject({ error: { code: 'internal_error', message: expect.stringContaining('"x"') } });
  });
});
