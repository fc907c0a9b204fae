import { z } from 'zod';

const atMs = z.number().describe('Milliseconds since 1970');

/** Which part of the installation does not do its work. */
export const healthPartSchema = z.enum(['database', 'lane', 'driver', 'desk', 'scheduler', 'worker', 'canary']);
/** {@link healthPartSchema} */
export type HealthPart = z.infer<typeof healthPartSchema>;

/** Whether work moves; where it does not, which part holds it up. */
export const readinessSchema = z.object({
  ready: z.boolean(),
  part: healthPartSchema.optional().describe('The part that holds work up; absent where none does'),
  detail: z.string().optional(),
  remedy: z.string().optional(),
});
/** {@link readinessSchema} */
export type Readiness = z.infer<typeof readinessSchema>;

/** The canaries of one queue. */
export const canaryViewSchema = z.object({
  queue: z.string().describe('What its ticket requires of a worker'),
  isUnderWay: z.boolean(),
  endedAtMs: atMs.optional().describe('When a worker last settled one'),
  latencyMs: z.number().optional().describe('From the trigger of that one to its end'),
  error: z.object({ code: z.string(), message: z.string() }).optional().describe('What that one failed with'),
});
/** {@link canaryViewSchema} */
export type CanaryView = z.infer<typeof canaryViewSchema>;

/** `GET /v1/health`. */
export const healthReportSchema = readinessSchema.extend({
  canaries: z.array(canaryViewSchema),
  stuckRuns: z.array(z.string()).describe('The oldest unfinished runs that nothing moves, at most 100; there must be none'),
  acceptedRuns: z.int().describe('Runs ever accepted'),
  imbalance: z
    .int()
    .describe('Accepted runs less ended ones and those in flight; anything but 0 means that a run was lost or counted twice'),
});
/** {@link healthReportSchema} */
export type HealthReport = z.infer<typeof healthReportSchema>;
