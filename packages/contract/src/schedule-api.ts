import { z } from 'zod';
import { nameSchema, runIdSchema, scheduleIdSchema, workflowIdSchema } from './ids.ts';
import { scheduleRuleSchema } from './schedule.ts';
import { jsonObjectSchema } from './workflow.ts';

const atMs = z.int().describe('Milliseconds since 1970-01-01T00:00:00Z');

/** `PUT /v1/schedules/:name`: everything about a schedule but what it is called and which workflow it starts. */
export const changeScheduleSchema = scheduleRuleSchema.extend({
  /** What each run is given; `schedule` is added, with the name and the nominal instant. */
  context: jsonObjectSchema.default({}),
});
/** {@link changeScheduleSchema} */
export type ChangeSchedule = z.input<typeof changeScheduleSchema>;

/** `POST /v1/schedules`: the same again is the schedule there is. */
export const createScheduleSchema = changeScheduleSchema.extend({ name: nameSchema, workflow: nameSchema });
/** {@link createScheduleSchema} */
export type CreateSchedule = z.input<typeof createScheduleSchema>;

/** `POST /v1/schedules/:name/pause`. */
export const pauseScheduleSchema = z.strictObject({ reason: z.string().max(2_000).optional() });

/** A schedule as the API shows it. */
export const scheduleViewSchema = z.object({
  id: scheduleIdSchema,
  name: z.string(),
  workflowId: workflowIdSchema,
  workflowName: z.string(),
  isDeclared: z.boolean().describe('Declared by the workflow’s trigger, and changed there only'),
  cron: z.string(),
  timeZone: z.string(),
  catchUp: scheduleRuleSchema.shape.catchUp.unwrap(),
  overlap: scheduleRuleSchema.shape.overlap.unwrap(),
  jitterMs: z.int(),
  context: jsonObjectSchema,
  pause: z.object({ by: z.string(), atMs, reason: z.string().optional() }).optional(),
  nextAtMs: atMs.optional().describe('The next nominal instant; absent while paused'),
  lastRunId: runIdSchema.optional(),
  createdAtMs: atMs,
  updatedAtMs: atMs,
});
/** {@link scheduleViewSchema} */
export type ScheduleView = z.infer<typeof scheduleViewSchema>;

/**
 * What became of a nominal instant. `STARTING`: decided, and its run is being stored; `STARTED`; `SKIPPED`: the run
 * before had not ended; `MISSED`: nobody could serve it, and the catch-up policy lets it go; `FAILED`: no run could begin.
 */
export const firingOutcomeSchema = z.enum(['STARTING', 'STARTED', 'SKIPPED', 'MISSED', 'FAILED']);

/** A firing as the API shows it. */
export const firingViewSchema = z.object({
  nominalAtMs: atMs,
  decidedAtMs: atMs,
  outcome: firingOutcomeSchema,
  isCaughtUp: z.boolean().describe('Served more than a minute late'),
  runId: runIdSchema.optional(),
  reason: z.string().optional(),
});
/** {@link firingViewSchema} */
export type FiringView = z.infer<typeof firingViewSchema>;

/** `GET /v1/schedules/:name`. */
export const scheduleDetailSchema = scheduleViewSchema.extend({ firings: z.array(firingViewSchema).describe('Newest first') });
/** {@link scheduleDetailSchema} */
export type ScheduleDetail = z.infer<typeof scheduleDetailSchema>;

/** `GET /v1/schedules/:name/preview`. */
export const schedulePreviewSchema = z.object({
  timeZone: z.string(),
  instants: z.array(z.object({ atMs, local: z.string().describe('The same moment by the clock of the time zone') })),
});
/** {@link schedulePreviewSchema} */
export type SchedulePreview = z.infer<typeof schedulePreviewSchema>;
