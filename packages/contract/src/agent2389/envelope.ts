import { z } from 'zod';
import { findJsonDefect } from '../json.ts';
import { type JsonValue } from '../json.ts';
import { agentOfInputTopic, conversationIdSchema } from './topics.ts';

/** Most tasks that may be nested in one, each the `next` of the one before. */
export const maxNestedTasks = 16;

/** Most steps that a workflow's context remembers; the oldest go first. */
export const maxRememberedSteps = 100;

/** A task's id: a UUID, with hyphens or without. */
const taskIdSchema = z.string().regex(/^[0-9a-f]{8}(-?[0-9a-f]{4}){3}-?[0-9a-f]{12}$/i, 'not a UUID');

const anyJson = z.json() as unknown as z.ZodType<JsonValue>;

/** What a task becomes when its agent has done its part: the same again, for another agent. */
export interface NextTask {
  /** The input topic of an agent. */
  readonly topic: string;
  readonly instruction?: string | null | undefined;
  /** What the agent gets; the text of the agent before where null. */
  readonly input?: JsonValue | undefined;
  readonly next?: NextTask | null | undefined;
}

const nextTaskSchema: z.ZodType<NextTask> = z.object({
  topic: z.string().refine((topic) => agentOfInputTopic(topic) !== undefined, 'not the input topic of an agent'),
  instruction: z.string().nullish(),
  input: anyJson.optional(),
  get next() {
    return nextTaskSchema.nullish();
  },
});

const common = {
  task_id: taskIdSchema,
  conversation_id: conversationIdSchema,
  topic: z.string(),
  instruction: z.string().nullish(),
  input: anyJson,
  next: nextTaskSchema.nullish(),
  /**
   * Ours: a task that was answered before is answered again, with the same bytes, instead of being ignored. For senders whose
   * broker lost the answer.
   */
  answer_again: z.boolean().exactOptional(),
};

/** A step that an agent of a workflow has done. `timestamp` is RFC 3339. */
export const workflowStepSchema = z.object({ agent_id: z.string(), action: z.string(), timestamp: z.string() });

/** What the agents of a workflow know of it. */
export const workflowContextSchema = z.object({
  original_query: z.string(),
  steps_completed: z.array(workflowStepSchema),
  iteration_count: z.int().min(0).default(0),
});
/** {@link workflowContextSchema} */
export type WorkflowContext = z.infer<typeof workflowContextSchema>;

const routingStepSchema = z.object({
  from_agent: z.string(),
  to_agent: z.string(),
  reason: z.string(),
  timestamp: z.string(),
  step_number: z.int().min(0),
});

/** The first version: an instruction, an input, and what comes next. */
export const envelopeV1Schema = z.object(common);

/** The second: `version` begins with "2", and a router may choose the next agent. */
export const envelopeV2Schema = z.object({
  ...common,
  version: z.string().regex(/^2(\.|$)/),
  context: workflowContextSchema.nullish(),
  routing_trace: z.array(routingStepSchema).nullish(),
});

/** A task of the first version. */
export type EnvelopeV1 = z.infer<typeof envelopeV1Schema>;
/** A task of the second version. */
export type EnvelopeV2 = z.infer<typeof envelopeV2Schema>;
/** A task as it travels. */
export type Envelope = EnvelopeV1 | EnvelopeV2;

/** True for tasks of the second version. */
export const isV2 = (envelope: Envelope): envelope is EnvelopeV2 => 'version' in envelope;

/** The form in which ids are compared: two spellings of one UUID are one task. */
export const taskKeyOf = (taskId: string): string => taskId.replaceAll('-', '').toLowerCase();

/** What a sender could be answered about an envelope that is no good: both ids could be read. */
export interface Addressee {
  readonly taskId: string;
  readonly conversationId: string;
}

/** What came of reading an envelope. */
export type ReadEnvelope =
  | { readonly kind: 'envelope'; readonly envelope: Envelope }
  | {
      readonly kind: 'malformed';
      readonly code: 'invalid_input' | 'pipeline_depth_exceeded';
      readonly reason: string;
      readonly addressee: Addressee | undefined;
    };

/**
 * Reads an envelope. Never throws, however hostile the text: what could exhaust the stack is found before any schema
 * looks at it.
 */
export function readEnvelope(text: string): ReadEnvelope {
  const malformed = (
    reason: string,
    body?: unknown,
    code: 'invalid_input' | 'pipeline_depth_exceeded' = 'invalid_input',
  ): ReadEnvelope => ({
    kind: 'malformed',
    code,
    reason,
    addressee: addresseeOf(body),
  });
  const body = parsedJson(text);
  if (typeof body !== 'object' || body === null || Array.isArray(body)) return malformed('not a JSON object');
  if (nestedTasks(body) > maxNestedTasks)
    return malformed(`more than ${maxNestedTasks} tasks are nested in this one`, body, 'pipeline_depth_exceeded');
  const defect = findJsonDefect(body);
  if (defect !== undefined) return malformed(`${defect.path}: ${defect.reason}`, body);
  const version = (body as Record<string, unknown>)['version'];
  const schema = typeof version === 'string' && /^2(\.|$)/.test(version) ? envelopeV2Schema : envelopeV1Schema;
  const read = schema.safeParse(body);
  if (read.success) return { kind: 'envelope', envelope: read.data };
  return malformed(read.error.issues.map(({ path, message }) => `/${path.join('/')}: ${message}`).join('; '), body);
}

function parsedJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** How many tasks hang below the body by `next`; counting ends where it is too many. */
export function nestedTasks(body: unknown): number {
  let count = 0;
  for (let task = nextOf(body); task !== undefined && count <= maxNestedTasks; task = nextOf(task)) count += 1;
  return count;
}

function nextOf(task: unknown): unknown {
  const next = typeof task === 'object' && task !== null ? (task as { readonly next?: unknown }).next : undefined;
  return next ?? undefined;
}

function addresseeOf(body: unknown): Addressee | undefined {
  const read = z.object({ task_id: taskIdSchema, conversation_id: conversationIdSchema }).safeParse(body);
  return read.success ? { taskId: read.data.task_id, conversationId: read.data.conversation_id } : undefined;
}
