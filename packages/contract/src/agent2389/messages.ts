import { z } from 'zod';
import { mqttAgentIdSchema } from './topics.ts';

/** What may be wrong with a task, as the protocol names it. */
export const taskErrorCodeSchema = z.enum([
  'tool_execution_failed',
  'llm_error',
  'invalid_input',
  'pipeline_depth_exceeded',
  'internal_error',
]);
/** {@link taskErrorCodeSchema} */
export type TaskErrorCode = z.infer<typeof taskErrorCodeSchema>;

/** An agent's answer to a task. */
export const responseMessageSchema = z.object({ response: z.string(), task_id: z.string() });
/** {@link responseMessageSchema} */
export type ResponseMessage = z.infer<typeof responseMessageSchema>;

/** Why there is no answer. It comes on the same topic; `error` tells it from a response. */
export const errorMessageSchema = z.object({
  error: z.object({ code: taskErrorCodeSchema, message: z.string() }),
  task_id: z.string(),
});
/** {@link errorMessageSchema} */
export type ErrorMessage = z.infer<typeof errorMessageSchema>;

/** What comes on a conversation's topic. */
export const answerMessageSchema = z.union([responseMessageSchema, errorMessageSchema]);

/**
 * Whether an agent is there. `timestamp` is RFC 3339. `replica` and `simulated` are ours: which of an agent's replicas
 * says so, and that its model is none; whoever does not know them ignores them.
 */
export const agentStatusSchema = z.object({
  agent_id: mqttAgentIdSchema,
  status: z.enum(['available', 'unavailable']),
  timestamp: z.string(),
  capabilities: z.array(z.string()).exactOptional(),
  description: z.string().exactOptional(),
  replica: z.string().min(1).max(200).exactOptional(),
  simulated: z.literal(true).exactOptional(),
});
/** {@link agentStatusSchema} */
export type AgentStatus = z.infer<typeof agentStatusSchema>;

/** What an agent tells while it works on a task. `timestamp` is RFC 3339. */
export const progressMessageSchema = z.object({
  agent_id: z.string(),
  task_id: z.string().nullable(),
  conversation_id: z.string().nullable(),
  timestamp: z.string(),
  category: z.enum(['General', 'Tool', 'LLM']),
  event_type: z.enum([
    ...(['TaskStart', 'TaskComplete', 'TaskError', 'StepStart', 'StepComplete', 'ToolCall', 'ToolComplete', 'ToolError'] as const),
    ...(['LlmRequest', 'LlmResponse', 'LlmError', 'ValidationStart', 'ValidationComplete', 'ValidationError'] as const),
    ...(['Processing', 'Custom'] as const),
  ]),
  message: z.string(),
  metadata: z.record(z.string(), z.unknown()).nullable(),
});
/** {@link progressMessageSchema} */
export type ProgressMessage = z.infer<typeof progressMessageSchema>;

const longestErrorBytes = 500;
const cutSuffix = '...[truncated]';

/** An error's text as strangers may read it: secrets and private paths gone, at most 500 bytes of UTF-8. */
export function safeErrorText(text: string): string {
  const clean = text
    .replace(/(password|token|key|secret)[=:]\s*\S+/gi, '$1=***')
    .replace(/\/\S*(?:secrets|\.ssh|\.aws|\.config)\/\S*/g, '/***REDACTED***/');
  const bytes = new TextEncoder().encode(clean);
  if (bytes.length <= longestErrorBytes) return clean;
  // A character that the cut would halve is left out.
  const kept = new TextDecoder().decode(bytes.subarray(0, longestErrorBytes - cutSuffix.length)).replace(/\uFFFD+$/, '');
  return `${kept}${cutSuffix}`;
}
