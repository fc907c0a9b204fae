import { HiveError, type JsonObject, type JsonValue } from '@hivekeeper/contract';
import { type Envelope, type NextTask, inputTopic, mqttAgentIdSchema, readEnvelope } from '@hivekeeper/contract/agent2389';

/** What a person typed. */
export interface Injection {
  readonly agent: string;
  /** A task of the first version. */
  readonly message?: string | undefined;
  /** One of the second, which a router may hand on. */
  readonly query?: string | undefined;
  readonly conversation?: string | undefined;
  readonly instruction?: string | undefined;
  /** JSON. */
  readonly input?: string | undefined;
  readonly tool?: string | undefined;
  /** JSON. */
  readonly toolParams?: string | undefined;
  /** Names of agents, separated by commas. */
  readonly nextAgents?: string | undefined;
}

/** The task that it asks for. @throws HiveError COMMAND_INVALID */
export function envelopeOf(injection: Injection, { taskId, nowMs }: { readonly taskId: string; readonly nowMs: number }): Envelope {
  const { agent, message, query, conversation } = injection;
  if ((message === undefined) === (query === undefined)) throw invalid('expected either --message or --query');
  const seconds = Math.floor(nowMs / 1_000);
  const task = {
    task_id: taskId,
    conversation_id: conversation ?? `${query === undefined ? 'experiment' : 'v2'}-${seconds}`,
    topic: inputTopic(agentNamed(agent)),
    instruction: injection.instruction ?? query ?? `Process this message: ${message}`,
    input: injection.input === undefined ? inputOf(injection) : json('--input', injection.input),
    next: chainOf(injection.nextAgents),
    ...(query !== undefined && { version: '2.0', context: { original_query: query, steps_completed: [], iteration_count: 0 } }),
  };
  const read = readEnvelope(JSON.stringify(task));
  if (read.kind === 'malformed') throw invalid(read.reason);
  return read.envelope;
}

function inputOf({ message, tool, toolParams }: Injection): JsonObject {
  if (message === undefined) return {};
  if (tool === undefined) return { message };
  return { message, tool_request: { name: tool, parameters: toolParams === undefined ? {} : json('--tool-params', toolParams) } };
}

function chainOf(names: string | undefined): NextTask | null {
  if (names === undefined) return null;
  return names
    .split(',')
    .map((name) => agentNamed(name.trim()))
    .reduceRight<NextTask | null>(
      (next, name) => ({ topic: inputTopic(name), instruction: `Continue processing for ${name}`, next }),
      null,
    );
}

function agentNamed(name: string): string {
  const read = mqttAgentIdSchema.safeParse(name);
  if (!read.success) throw invalid(`"${name}" is no name of an agent`);
  return read.data;
}

function json(option: string, text: string): JsonValue {
  try {
    return JSON.parse(text) as JsonValue;
  } catch {
    throw invalid(`${option} is not JSON`);
  }
}

const invalid = (message: string): HiveError => new HiveError('COMMAND_INVALID', message);
