import { z } from 'zod';
import type { JsonValue } from './json.ts';

const maxDeclaredTriggers = 20;

/**
 * What an event's type or subject is compared with: words between dots, `*` for one word, `>` for one and all that follow. In
 * `graph.>`, `graph.indexed.7` is meant, and `graph` is not.
 */
export const eventPatternSchema = z
  .string()
  .max(500)
  .regex(/^([^\s.*>]+|\*)(\.([^\s.*>]+|\*))*(\.>)?$|^>$/, 'expected words between dots, "*" for one of them, ">" for all that follow');

/** Starts a run for each event that it matches. */
export const eventTriggerSchema = z.strictObject({
  pattern: eventPatternSchema,
  /** CEL over `event` (the payload), `type`, `subject`, `key` and `source`: the run begins where it is true. */
  when: z.string().min(1).max(4_000).optional(),
});
/** {@link eventTriggerSchema} */
export type EventTrigger = z.infer<typeof eventTriggerSchema>;

const triggersSchema = z.array(eventTriggerSchema).min(1).max(maxDeclaredTriggers);

interface Declaration {
  readonly value: unknown;
  /** Where it stands in the trigger. */
  readonly path: readonly PropertyKey[];
}

/** What a trigger declares: `{event: …}`, one or several, or CommandCenter's `{type: 'event', pattern}`. */
function declarationIn(trigger: JsonValue | undefined): Declaration | undefined {
  if (typeof trigger !== 'object' || trigger === null || Array.isArray(trigger)) return undefined;
  const { type, pattern, event } = trigger as Readonly<Record<string, JsonValue>>;
  if (type === 'event' && typeof pattern === 'string') return { value: { pattern }, path: [] };
  // A text under the same name is another system's.
  return typeof event === 'object' && event !== null ? { value: event, path: ['event'] } : undefined;
}

/** What is wrong with the events that a workflow's `trigger` declares, each with its path inside. */
export function declaredEventIssues(trigger: JsonValue | undefined): { readonly path: PropertyKey[]; readonly message: string }[] {
  const declaration = declarationIn(trigger);
  if (declaration === undefined) return [];
  const schema = Array.isArray(declaration.value) ? triggersSchema : eventTriggerSchema;
  const issues = schema.safeParse(declaration.value).error?.issues ?? [];
  return issues.map(({ path, message }) => ({ path: [...declaration.path, ...path], message }));
}

/** The events that start runs of a sound workflow, in order. */
export function declaredEventsOf(trigger: JsonValue | undefined): readonly EventTrigger[] {
  const declaration = declarationIn(trigger);
  return declaration === undefined ? [] : (triggersSchema.safeParse([declaration.value].flat()).data ?? []);
}
