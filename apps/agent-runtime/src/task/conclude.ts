import {
  type Addressee,
  type Envelope,
  type ErrorMessage,
  type ResponseMessage,
  type TaskErrorCode,
  agentOfInputTopic,
  conversationTopic,
  inputTopic,
  safeErrorText,
} from '@hivekeeper/contract/agent2389';
import type { TaskEnd } from './turn.ts';

/** What a task makes its agent say, once: a response or an error to its conversation, or the task of the next agent. */
export interface Answer {
  readonly topic: string;
  readonly payload: string;
  /** Why it is an error; absent where it is none. */
  readonly failure?: { readonly code: TaskErrorCode; readonly message: string };
}

/** Steps 8 and 9 of nine. */
export function conclude(agentId: string, envelope: Envelope, end: TaskEnd): Answer {
  if (end.end === 'failed') return errorAnswer(agentId, addresseeOf(envelope), end);
  return envelope.next === null || envelope.next === undefined ? responseAnswer(agentId, envelope, end.text) : forward(envelope, end.text);
}

/** Whom an answer about the task is for. */
export const addresseeOf = ({ task_id, conversation_id }: Envelope): Addressee => ({ taskId: task_id, conversationId: conversation_id });

/** A response. */
export function responseAnswer(agentId: string, { task_id, conversation_id }: Envelope, text: string): Answer {
  const body: ResponseMessage = { response: text, task_id };
  return { topic: conversationTopic(conversation_id, agentId), payload: JSON.stringify(body) };
}

/** An error, safe to be read by strangers. */
export function errorAnswer(
  agentId: string,
  { taskId, conversationId }: Addressee,
  { code, message }: Pick<Extract<TaskEnd, { readonly end: 'failed' }>, 'code' | 'message'>,
): Answer {
  const body: ErrorMessage = { error: { code, message: safeErrorText(message) }, task_id: taskId };
  return { topic: conversationTopic(conversationId, agentId), payload: JSON.stringify(body), failure: { code, message } };
}

/** The next agent's task: the same ids and, of the second version, the same context and trace; our text where it has no input of its own. */
function forward(envelope: Envelope, text: string): Answer {
  const { next, ...kept } = envelope;
  const target = agentOfInputTopic(next?.topic ?? '') ?? '';
  const topic = inputTopic(target);
  const task = { ...kept, topic, instruction: next?.instruction ?? null, input: next?.input ?? text, next: next?.next ?? null };
  return { topic, payload: JSON.stringify(task) };
}

/** The same answer once more. A task that was handed on is handed on with the wish, so that the last agent answers again. */
export function repeated({ topic, payload, ...answer }: Answer): Answer {
  if (agentOfInputTopic(topic) === undefined) return { topic, payload, ...answer };
  return { topic, payload: JSON.stringify({ ...(JSON.parse(payload) as object), answer_again: true }), ...answer };
}
