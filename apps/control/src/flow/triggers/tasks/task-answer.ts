import { type JsonObject, mqttAgentIdIn, type RunView } from '@hivekeeper/contract';
import { type Addressee, conversationTopic, safeErrorText, type TaskErrorCode } from '@hivekeeper/contract/agent2389';
import { z } from 'zod';
import { textOf } from './pipeline.ts';

/** What is said to a conversation. */
export interface TaskAnswer {
  readonly topic: string;
  readonly body: JsonObject;
}

const longestResponseBytes = 1024 * 1024;
const addresseeSchema = z.object({ task_id: z.string(), conversation_id: z.string() });

/** An error, safe to be read by strangers. */
export const errorAnswer = (
  agentId: string,
  to: Addressee,
  error: { readonly code: TaskErrorCode; readonly message: string },
): TaskAnswer => ({
  topic: conversationTopic(to.conversationId, agentId),
  body: { error: { code: error.code, message: safeErrorText(error.message) }, task_id: to.taskId },
});

/**
 * What the run of a task says to its conversation once it has ended: what its last agent put out, or why it did not come to that, in the
 * name of the agent that failed. Undefined before, and where the run is not that of a task.
 */
export function answerOf({ status, finishedAtMs, context, nodes, error }: RunView): TaskAnswer | undefined {
  const ids = addresseeSchema.safeParse(context).data;
  const last = nodes.at(-1);
  if (ids === undefined || last === undefined || finishedAtMs === undefined) return undefined;
  const to = { taskId: ids.task_id, conversationId: ids.conversation_id };
  if (status !== 'SUCCESS') {
    const failed = nodes.find((node) => node.status !== 'SUCCESS') ?? last;
    const message = error === undefined ? `the run ended ${status}` : `${error.code}: ${error.message}`;
    return errorAnswer(agentIdOf(failed), to, { code: 'internal_error', message });
  }
  const response = textOf(last.output ?? null);
  if (Buffer.byteLength(response) > longestResponseBytes)
    return errorAnswer(agentIdOf(last), to, {
      code: 'internal_error',
      message: `the response is larger than ${longestResponseBytes} bytes`,
    });
  return { topic: conversationTopic(to.conversationId, agentIdOf(last)), body: { response, task_id: to.taskId } };
}

const agentIdOf = ({ agent = '' }: RunView['nodes'][number]): string => mqttAgentIdIn(agent) ?? agent;
