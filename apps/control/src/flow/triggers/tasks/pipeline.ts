import { hash } from 'node:crypto';
import { type JsonObject, type JsonValue, mqttAgentIdIn, type WorkflowDefinition, workflowDefinitionSchema } from '@hivekeeper/contract';
import { agentOfInputTopic, type Envelope, isV2, type NextTask } from '@hivekeeper/contract/agent2389';

/** What a task over MQTT asks of the platform: its agents, one after the other. */
export interface Pipeline {
  /** Of the workflow that does it, the same for the same agents. */
  readonly workflowName: string;
  /** By it a workflow is known to be ours. */
  readonly description: string;
  /** What nodes call the agents, in their order. */
  readonly agents: readonly string[];
  /** Of the run. */
  readonly context: JsonObject;
}

const longestInName = 60;

/** Reads a task for `first`, its input topic's agent. `nodeNameOf` gives what nodes call the agent with an id on the broker. */
export function pipelineOf(envelope: Envelope, first: string, nodeNameOf: (agentId: string) => string): Pipeline {
  const steps: Pick<NextTask, 'instruction' | 'input'>[] = [envelope];
  const agents = [nodeNameOf(first)];
  for (let next = envelope.next; next !== null && next !== undefined; next = next.next) {
    steps.push(next);
    agents.push(nodeNameOf(agentOfInputTopic(next.topic) ?? ''));
  }
  const { task_id, conversation_id } = envelope;
  const original_query = isV2(envelope) ? (envelope.context?.original_query ?? null) : null;
  return {
    workflowName: workflowNameOf(agents),
    description: `Tasks over MQTT for ${agents.join(', then ')}.`,
    agents,
    context: {
      ...{ task_id, conversation_id, original_query },
      steps: steps.map(({ instruction = null, input = null }): JsonObject => ({ instruction, input })),
    },
  };
}

/** The workflow of a pipeline: a node for each agent, which gets what the task says, and where that is nothing what the one before put out. */
export const workflowOf = ({ workflowName: name, description, agents }: Pipeline): WorkflowDefinition =>
  workflowDefinitionSchema.parse({
    name,
    description,
    nodes: agents.map((agent, index) => ({
      id: nodeIdOf(index),
      agent,
      needs: index === 0 ? [] : [nodeIdOf(index - 1)],
      input: {
        instruction: `{{ context.steps[${index}].instruction }}`,
        input: index === 0 ? '{{ context.steps[0].input }}' : inputAfter(index, agents[index - 1] ?? ''),
        original_query: '{{ context.original_query }}',
      },
    })),
  });

const nodeIdOf = (index: number): string => `step${index + 1}`;

function inputAfter(index: number, agentBefore: string): string {
  const output = `${nodeIdOf(index - 1)}.output${mqttAgentIdIn(agentBefore) === undefined ? '' : '.response'}`;
  return `{{ context.steps[${index}].input == null ? ${output} : context.steps[${index}].input }}`;
}

/** Told apart by a hash, because names of agents may hold whatever could join them. */
function workflowNameOf(agents: readonly string[]): string {
  const [first = ''] = agents;
  const plain = `task-${first}`.slice(0, longestInName);
  return agents.length === 1 && plain.length < longestInName ? plain : `${plain}-${hash('sha256', JSON.stringify(agents)).slice(0, 12)}`;
}

/** What an agent says as text: that of an agent over MQTT, a text as it is, anything else as JSON. */
export function textOf(output: JsonValue): string {
  if (typeof output === 'string') return output;
  const isObject = typeof output === 'object' && output !== null && !Array.isArray(output);
  const response = isObject ? (output as JsonObject)['response'] : undefined;
  return typeof response === 'string' ? response : JSON.stringify(output);
}
