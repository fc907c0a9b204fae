import { z } from 'zod';
import type { JsonValue } from './json.ts';

const hourMs = 3_600_000;

/** Most schedules one workflow may declare. */
const maxDeclaredSchedules = 20;

/**
 * Five fields (minute, hour, day of month, month, day of week), six with seconds first, or a name such as `@daily`. That
 * the text means something is checked by whoever fires it.
 */
export const cronSchema = z
  .string()
  .max(200)
  .regex(
    /^(@(hourly|daily|midnight|weekly|monthly|yearly|annually)|[0-9A-Za-z*,/#+-]+( [0-9A-Za-z*,/#+-]+){4,5})$/,
    'expected five fields such as "0 7 * * MON-FRI" (six with seconds first), or a name such as @daily',
  );

/**
 * When runs begin by themselves. A nominal instant is a moment at which the clock of the time zone shows what `cron`
 * says: each is served once. One that the clock jumps over is served at the first instant after the jump, one that it
 * shows twice at the first of the two.
 */
export const scheduleRuleSchema = z.strictObject({
  cron: cronSchema,
  /** A name of the IANA time zone database, such as `Europe/Berlin`. */
  timeZone: z
    .string()
    .regex(/^[A-Za-z][A-Za-z0-9_+/-]{0,99}$/, 'expected a time zone such as Europe/Berlin')
    .default('UTC'),
  /** What becomes of instants that passed more than a minute ago while nobody could serve them: none, the last, or all (at most 100). */
  catchUp: z.enum(['none', 'last', 'all']).default('last'),
  /** What to do while the schedule's run before has not ended; `queue` starts the new one after it, `replace` cancels it. */
  overlap: z.enum(['allow', 'skip', 'queue', 'replace']).default('skip'),
  /** Each instant is served up to this much later, by an amount that its schedule and time decide. */
  jitterMs: z.int().min(0).max(hourMs).default(0),
});
/** {@link scheduleRuleSchema}, with its defaults filled in. */
export type ScheduleRule = z.infer<typeof scheduleRuleSchema>;

const rulesSchema = z.array(scheduleRuleSchema).min(1).max(maxDeclaredSchedules);

/** What a trigger of ours declares: one rule or several. A text under the same name is another system's. */
function declarationIn(trigger: JsonValue | undefined): object | undefined {
  if (typeof trigger !== 'object' || trigger === null || !('schedule' in trigger)) return undefined;
  return typeof trigger.schedule === 'object' && trigger.schedule !== null ? trigger.schedule : undefined;
}

/** What is wrong with the schedules that a workflow's `trigger` declares, each with its path inside. */
export function declaredScheduleIssues(trigger: JsonValue | undefined): { readonly path: PropertyKey[]; readonly message: string }[] {
  const declaration = declarationIn(trigger);
  if (declaration === undefined) return [];
  const schema = Array.isArray(declaration) ? rulesSchema : scheduleRuleSchema;
  const issues = schema.safeParse(declaration).error?.issues ?? [];
  return issues.map(({ path, message }) => ({ path: ['schedule', ...path], message }));
}

/** The schedules that a sound workflow's `trigger` declares, in order. */
export function declaredSchedulesOf(trigger: JsonValue | undefined): readonly ScheduleRule[] {
  const declaration = declarationIn(trigger);
  return declaration === undefined ? [] : rulesSchema.parse([declaration].flat());
}
