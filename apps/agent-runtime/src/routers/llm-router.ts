import { HiveError } from '@hivekeeper/contract';
import { type Model, type Router, type RoutingRequest, routingDecisionSchema } from '../task/index.ts';

const role = 'You are a workflow routing expert. Analyze the workflow context and decide whether to complete or forward.';
const criteria = `DECISION CRITERIA
Answer with one JSON object and nothing else:
{"workflow_complete": boolean, "reasoning": string, "next_agent": string, "next_instruction": string}
next_agent and next_instruction are needed where workflow_complete is false; next_agent is one of the available agents.`;

/** A router that asks a model. */
export const llmRouter = (model: Model, maxIterations: number): Router => ({
  maxIterations,
  choose: async (request, signal) => {
    const messages = [
      { role: 'system', text: role },
      { role: 'user', text: promptOf(request, maxIterations) },
    ] as const;
    const { text } = await model.reply({ messages, tools: [], signal });
    const decision = routingDecisionSchema.safeParse(firstObject(text));
    if (decision.success) return decision.data;
    throw new HiveError('ROUTING_FAILED', `the model’s decision cannot be used: ${decision.error.issues[0]?.message ?? ''}`);
  },
});

const promptOf = (request: RoutingRequest, maxIterations: number): string =>
  [
    `ORIGINAL USER REQUEST\n${request.original_query}`,
    `WORKFLOW HISTORY (Iteration ${request.iteration_count}/${maxIterations})\n${JSON.stringify(request.workflow_history)}`,
    `CURRENT AGENT OUTPUT\n${JSON.stringify(request.current_output)}`,
    `AVAILABLE AGENTS\n${JSON.stringify(request.available_agents)}`,
    criteria,
  ].join('\n\n');

/** From the first brace to the last: models like to say something around it. */
function firstObject(text: string): unknown {
  try {
    return JSON.parse(text.slice(text.indexOf('{'), text.lastIndexOf('}') + 1));
  } catch {
    return undefined;
  }
}
