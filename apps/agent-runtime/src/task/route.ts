import type { JsonValue } from '@hivekeeper/contract';
import { type EnvelopeV2, inputTopic, maxRememberedSteps } from '@hivekeeper/contract/agent2389';
import { type Answer, addresseeOf, errorAnswer, responseAnswer } from './conclude.ts';
import type { RoutingDecision, RoutingRequest } from './router.ts';

/** An agent that was heard to be available. */
export interface Neighbour {
  readonly agentId: string;
  readonly capabilities: readonly string[];
}

/** Where a workflow stands when an agent has done its part. */
export interface Standing {
  readonly agentId: string;
  readonly envelope: EnvelopeV2;
  /** What the agent made. */
  readonly text: string;
  readonly neighbours: readonly Neighbour[];
}

/** What is asked of the router; `undefined` where it need not be asked, because the workflow has gone on for as long as it may. */
export function routingRequest({ envelope, text, neighbours }: Standing, maxIterations: number): RoutingRequest | undefined {
  const { original_query = 'Unknown', steps_completed = [], iteration_count = 0 } = envelope.context ?? {};
  if (iteration_count + 1 >= maxIterations) return undefined;
  return {
    original_query,
    workflow_history: steps_completed,
    current_output: outputOf(text),
    // Nobody publishes a load; the protocol wants one.
    available_agents: neighbours.map(({ agentId, capabilities }) => ({ agent_id: agentId, capabilities, load: 0 })),
    iteration_count,
  };
}

/** The one answer that follows from the decision: the response where the workflow is complete, else the next agent's task. */
export function routed(
  standing: Standing,
  decision: RoutingDecision,
  next: { readonly taskId: string; readonly timestamp: string },
): Answer {
  const { agentId, envelope, text, neighbours } = standing;
  if (decision.isComplete) return responseAnswer(agentId, envelope, text);
  const { nextAgent, nextInstruction, reason } = decision;
  if (!neighbours.some((neighbour) => neighbour.agentId === nextAgent)) {
    const message = `the router chose "${nextAgent}", which is not available`;
    return errorAnswer(agentId, addresseeOf(envelope), { code: 'internal_error', message });
  }
  const { original_query = 'Unknown', steps_completed = [], iteration_count = 0 } = envelope.context ?? {};
  const trace = envelope.routing_trace ?? [];
  const { timestamp, taskId } = next;
  const task: EnvelopeV2 = {
    ...{ version: '2.0', task_id: taskId, conversation_id: envelope.conversation_id, topic: inputTopic(nextAgent) },
    ...{ instruction: nextInstruction, input: outputOf(text), next: null },
    context: {
      original_query,
      steps_completed: [...steps_completed, { agent_id: agentId, action: envelope.instruction ?? '', timestamp }].slice(
        -maxRememberedSteps,
      ),
      iteration_count: iteration_count + 1,
    },
    routing_trace: [...trace, { from_agent: agentId, to_agent: nextAgent, reason, timestamp, step_number: trace.length + 1 }],
  };
  return { topic: task.topic, payload: JSON.stringify(task) };
}

/** What was made as JSON where it is, else as a text. */
function outputOf(text: string): JsonValue {
  try {
    return JSON.parse(text) as JsonValue;
  } catch {
    return text;
  }
}
