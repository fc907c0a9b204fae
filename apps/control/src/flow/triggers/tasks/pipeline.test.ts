import { mqttAgentName } from '@hivekeeper/contract';
import type { Envelope } from '@hivekeeper/contract/agent2389';
import { expect, it } from 'vitest';
import { createExpressions } from '../../runs/index.ts';
import { pipelineOf, textOf, workflowOf } from './pipeline.ts';

const task: Envelope = {
  task_id: 'c7a2',
  conversation_id: 'c',
  topic: '/control/agents/writer/input',
  instruction: 'Write.',
  input: { about: 'bees' },
};
const own = (id: string) => (id === 'writer' || id === 'editor' ? id : mqttAgentName(id));
const then = (agent: string, more: object = {}) => ({ topic: `/control/agents/${agent}/input`, ...more });

it('a task for one agent is a workflow of one node, whatever it says', () => {
  const one = pipelineOf(task, 'writer', own);
  expect(one).toMatchObject({ workflowName: 'task-writer', agents: ['writer'] });
  expect(one.context).toEqual({
    ...{ task_id: 'c7a2', conversation_id: 'c', original_query: null },
    steps: [{ instruction: 'Write.', input: { about: 'bees' } }],
  });
  const other = pipelineOf({ ...task, instruction: null, input: null }, 'writer', own);
  expect(workflowOf(other)).toEqual(workflowOf(one));
});

it('what is nested in it becomes the following nodes; those of others are reached over MQTT', () => {
  const chain = pipelineOf({ ...task, next: then('else', { instruction: 'Check.', next: then('editor', { input: 7 }) }) }, 'writer', own);
  expect(chain.agents).toEqual(['writer', 'mqtt/else', 'editor']);
  const { nodes } = workflowOf(chain);
  expect(nodes.map(({ id, agent, needs }) => [id, agent, needs])).toEqual([
    ['step1', 'writer', []],
    ['step2', 'mqtt/else', ['step1']],
    ['step3', 'editor', ['step2']],
  ]);
  expect(chain.context['steps']).toEqual([
    { instruction: 'Write.', input: { about: 'bees' } },
    { instruction: 'Check.', input: null },
    { instruction: null, input: 7 },
  ]);
});

it.each([
  { before: 'mqtt/writer', given: null, output: { response: 'said' }, input: 'said' },
  { before: 'writer', given: null, output: { pages: 2 }, input: { pages: 2 } },
  { before: 'writer', given: { own: 1 }, output: { pages: 2 }, input: { own: 1 } },
])('the agent after $before that is given $given gets, of $output, $input', ({ before, given, output, input }) => {
  const nodeNameOf = (id: string) => (id === 'middle' ? before : id);
  const chain = pipelineOf({ ...task, next: then('middle', { next: then('editor', { input: given }) }) }, 'first', nodeNameOf);
  const template = String((workflowOf(chain).nodes[2]?.input as { readonly input: string }).input);
  const scope = { context: chain.context, step2: { output } };
  expect(createExpressions().evaluate(template.replace(/^\{\{|\}\}$/g, ''), scope as never)).toEqual(input);
});

it('the second version brings its query, and other agents are another workflow', () => {
  const second = { ...task, version: '2.0', context: { original_query: 'bees?', steps_completed: [], iteration_count: 0 } };
  expect(pipelineOf(second, 'writer', own).context['original_query']).toBe('bees?');
  const names = [['a', 'b-c'], ['a-b', 'c'], ['a'], ['a'.repeat(100)]].map(
    ([first = '', next]) => pipelineOf({ ...task, ...(next !== undefined && { next: then(next) }) }, first, (id) => id).workflowName,
  );
  expect(new Set(names).size).toBe(4);
  for (const name of names) expect(name.length).toBeLessThanOrEqual(100);
});

it.each([
  ['a text', 'a text'],
  [{ response: 'said', agent: 'mqtt/a' }, 'said'],
  [{ pages: 2 }, '{"pages":2}'],
  [null, 'null'],
])('%j is said as %s', (output, text) => {
  expect(textOf(output)).toBe(text);
});
