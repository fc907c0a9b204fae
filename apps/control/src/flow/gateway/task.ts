import { hash } from 'node:crypto';
import { findJsonDefect, type JsonValue, type LeasedTicket, mqttAgentIdIn, mqttAgentName, type Outcome } from '@hivekeeper/contract';
import { answerMessageSchema, type Envelope, inputTopic, safeErrorText, taskKeyOf } from '@hivekeeper/contract/agent2389';
import { z } from 'zod';

/** What a node says to an agent over MQTT. */
const nodeInputSchema = z.strictObject({
  instruction: z.string().nullish(),
  input: (z.json() as unknown as z.ZodType<JsonValue>).optional(),
  /** Makes it a task of the second version, whose next agent a router may choose. */
  original_query: z.string().nullish(),
});

/** A task to be sent, or why it cannot be. */
export type NewTask =
  | { readonly kind: 'task'; readonly key: string; readonly topic: string; readonly payload: string }
  | { readonly kind: 'unfit'; readonly outcome: Outcome };

/**
 * The task of a ticket. `work` names what is to be done: the same work is the same task, whoever sends it again, so that the
 * agent does it once.
 */
export function taskOf({ runId, agent, action, input }: Pick<LeasedTicket, 'runId' | 'agent' | 'action' | 'input'>, work: string): NewTask {
  const agentId = mqttAgentIdIn(agent.name);
  if (action !== undefined || agentId === undefined)
    return unfit('AGENT_UNKNOWN_ACTION', `${agent.name} has no actions; input.instruction tells it what to do`);
  const read = nodeInputSchema.safeParse(input);
  if (!read.success)
    return unfit('AGENT_INPUT_SCHEMA', read.error.issues.map(({ path, message }) => `/${path.join('/')}: ${message}`).join('; '));
  const topic = inputTopic(agentId);
  const { instruction, input: given = null, original_query: query } = read.data;
  const envelope: Envelope = {
    task_id: uuidOf(work),
    conversation_id: runId,
    topic,
    instruction: instruction ?? null,
    input: given,
    next: null,
    ...(typeof query === 'string' && { version: '2.0', context: { original_query: query, steps_completed: [], iteration_count: 0 } }),
    // Whoever repeats this lost the answer, or never heard it.
    answer_again: true,
  };
  return { kind: 'task', key: taskKeyOf(envelope.task_id), topic, payload: JSON.stringify(envelope) };
}

/** What an agent said to a task. */
export interface Answer {
  readonly key: string;
  readonly outcome: Outcome;
}

/** Reads what came on a conversation; undefined where it is no answer of an agent. */
export function answerIn(topic: string, payload: Uint8Array): Answer | undefined {
  const agentId = /^\/conversations\/[^/]+\/([^/]+)$/.exec(topic)?.[1];
  const read = answerMessageSchema.safeParse(parsedJson(payload));
  if (agentId === undefined || !read.success) return undefined;
  return { key: taskKeyOf(read.data.task_id), outcome: outcomeOf(agentId, read.data) };
}

function outcomeOf(agentId: string, answer: z.infer<typeof answerMessageSchema>): Outcome {
  if ('error' in answer) {
    const { code, message } = answer.error;
    const isRefusal = code === 'invalid_input' || code === 'pipeline_depth_exceeded';
    return failure(isRefusal ? 'AGENT_INPUT_SCHEMA' : 'AGENT_FAILED', `${mqttAgentName(agentId)} says ${code}: ${safeErrorText(message)}`);
  }
  const output = { agent: mqttAgentName(agentId), response: answer.response };
  const defect = findJsonDefect(output);
  return defect === undefined ? { ok: true, output } : failure('AGENT_OUTPUT_INVALID', `${defect.path}: ${defect.reason}`);
}

const unfit = (code: string, message: string): NewTask => ({ kind: 'unfit', outcome: failure(code, message) });

/** What an attempt came to that did not go well. */
export const failure = (code: string, message: string): Outcome => ({ ok: false, error: { code, message: message.slice(0, 2_000) } });

function parsedJson(payload: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(payload).toString('utf8'));
  } catch {
    return undefined;
  }
}

/** A UUID of the eighth version, whose bits are ours to choose (RFC 9562). */
function uuidOf(name: string): string {
  const bytes = hash('sha256', name, 'buffer').subarray(0, 16);
  bytes.writeUInt8((bytes.readUInt8(6) & 0x0f) | 0x80, 6);
  bytes.writeUInt8((bytes.readUInt8(8) & 0x3f) | 0x80, 8);
  return bytes.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}
