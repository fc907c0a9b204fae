import type { JsonValue } from '@hivekeeper/contract';
import { z } from 'zod';

/** What a router decides by; field by field what a 2389 Gatekeeper is sent. */
export interface RoutingRequest {
  readonly original_query: string;
  readonly workflow_history: readonly { readonly agent_id: string; readonly action: string; readonly timestamp: string }[];
  readonly current_output: JsonValue;
  readonly available_agents: readonly { readonly agent_id: string; readonly capabilities: readonly string[]; readonly load: number }[];
  readonly iteration_count: number;
}

const chosen = z.string().min(1);

/** What it says: the workflow is complete, or who goes on with what. */
export const routingDecisionSchema = z
  .object({
    workflow_complete: z.boolean(),
    reasoning: z.string().nullish(),
    next_agent: chosen.nullish(),
    next_instruction: chosen.nullish(),
  })
  .transform(({ workflow_complete, reasoning, next_agent, next_instruction }, context) => {
    const reason = reasoning ?? '';
    if (workflow_complete) return { isComplete: true as const, reason };
    if (typeof next_agent === 'string' && typeof next_instruction === 'string')
      return { isComplete: false as const, reason, nextAgent: next_agent, nextInstruction: next_instruction };
    context.addIssue('next_agent and next_instruction are needed where the workflow is not complete');
    return z.NEVER;
  });
/** {@link routingDecisionSchema} */
export type RoutingDecision = z.output<typeof routingDecisionSchema>;

/** Whoever chooses the next agent of a workflow. */
export interface Router {
  readonly maxIterations: number;
  /** @throws HiveError ROUTING_FAILED, MODEL_FAILED; the signal's reason where that aborts */
  choose(request: RoutingRequest, signal: AbortSignal): Promise<RoutingDecision>;
}
