import type { AgentSpec, JsonObject, RunId } from '@hivekeeper/contract';
import { readEnvelope } from '@hivekeeper/contract/agent2389';
import { describe, expect, it } from 'vitest';
import { answerIn, taskOf } from './task.ts';

const runId = 'run_01JDABCDEFGHJKMNPQRSTVWXYZ' as RunId;
const agent = { name: 'mqtt/writer', kind: 'mqtt' } as AgentSpec;
const ticket = (input: JsonObject, action?: string) => ({ runId, agent, input, action });

function sent(input: JsonObject, work = `${runId}.0.0`) {
  const task = taskOf(ticket(input), work);
  if (task.kind !== 'task') throw new RangeError(JSON.stringify(task.outcome));
  const read = readEnvelope(task.payload);
  if (read.kind !== 'envelope') throw new RangeError(read.reason);
  return { ...task, envelope: read.envelope };
}

describe('the task of a ticket', () => {
  it('is one that agents can read, on their own topic, in the conversation of the run', () => {
    const { topic, envelope } = sent({ instruction: 'Write.', input: { about: 'bees' } });
    expect(topic).toBe('/control/agents/writer/input');
    expect(envelope).toMatchObject({ topic, conversation_id: runId, instruction: 'Write.', input: { about: 'bees' }, next: null });
    expect(envelope).not.toHaveProperty('version');
  });

  it('is of the second version where it has a query', () => {
    expect(sent({ original_query: 'bees?' }).envelope).toMatchObject({
      version: '2.0',
      context: { original_query: 'bees?', steps_completed: [], iteration_count: 0 },
      input: null,
    });
  });

  it('is the same for the same work, and another for any other', () => {
    const ids = [`${runId}.0.0`, `${runId}.0.0`, `${runId}.0.1`, `${runId}.1.0`].map((work) => sent({}, work).envelope.task_id);
    expect(ids[0]).toBe(ids[1]);
    expect(new Set(ids).size).toBe(3);
    expect(ids[0]).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  });

  it.each([
    [{ text: 'Write.' }, undefined, 'AGENT_INPUT_SCHEMA'],
    [{ instruction: 7 }, undefined, 'AGENT_INPUT_SCHEMA'],
    [{}, 'write', 'AGENT_UNKNOWN_ACTION'],
  ] as const)('cannot be made of %j with the action %s', (input, action, code) => {
    expect(taskOf(ticket(input, action), 'w')).toMatchObject({ kind: 'unfit', outcome: { ok: false, error: { code } } });
  });
});

describe('what comes on a conversation', () => {
  const topic = `/conversations/${runId}/writer`;
  const read = (value: unknown, on = topic) => answerIn(on, Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)));
  const taskId = '550e8400-e29b-41d4-a716-446655440000';

  it('is an output with who said it, in whatever form the id is written', () => {
    expect(read({ task_id: taskId.toUpperCase(), response: 'r' })).toEqual({
      key: taskId.replaceAll('-', ''),
      outcome: { ok: true, output: { agent: 'mqtt/writer', response: 'r' } },
    });
  });

  it.each([
    ['llm_error', 'AGENT_FAILED'],
    ['internal_error', 'AGENT_FAILED'],
    ['invalid_input', 'AGENT_INPUT_SCHEMA'],
    ['pipeline_depth_exceeded', 'AGENT_INPUT_SCHEMA'],
  ])('is a failure where it says %s: %s', (code, ours) => {
    expect(read({ task_id: taskId, error: { code, message: 'token=abc' } })?.outcome).toEqual({
      ok: false,
      error: { code: ours, message: `mqtt/writer says ${code}: token=***` },
    });
  });

  it('fails the node where the database could not keep it', () => {
    expect(read(`{"task_id":"${taskId}","response":"a\\u0000b"}`)?.outcome).toMatchObject({ error: { code: 'AGENT_OUTPUT_INVALID' } });
  });

  it.each(['not json', '{}', '[]', 'null', `{"task_id":"${taskId}"}`, `{"task_id":"${taskId}","response":7}`])(
    'is nothing to us as %s',
    (text) => {
      expect(read(text)).toBeUndefined();
    },
  );
});
