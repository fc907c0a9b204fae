import { z } from 'zod';
import { nameSchema, runIdSchema } from './ids.ts';
import { runStatusSchema } from './run.ts';
import { jsonObjectSchema, jsonValueSchema, prioritySchema, signalKeySchema, signalNameSchema } from './workflow.ts';

const reason = z.string().max(2_000).optional();

/** `POST /v1/runs/:id/cancel`, `…/pause` and `…/resume`. */
export const orderRunSchema = z.strictObject({ reason });

/** `POST /v1/runs/:id/priority`. */
export const reprioritiseRunSchema = z.strictObject({ priority: prioritySchema, reason });

/** `POST /v1/runs/:id/signals`. Counts once per `signalId`, which the header `Idempotency-Key` may carry instead. */
export const signalRunSchema = z.strictObject({
  name: signalNameSchema,
  key: signalKeySchema.optional().describe('Only a wait without a key, or with this one, is meant'),
  payload: jsonValueSchema.optional(),
  signalId: z.string().min(1).max(255).optional().describe('The same id again is no news'),
});
/** {@link signalRunSchema} */
export type SignalRun = z.input<typeof signalRunSchema>;

/** `POST /v1/runs/:id/retry`: the whole run again, or only what failed it and what had not ended. Idempotent with the header `Idempotency-Key`. */
export const retryRunSchema = z.strictObject({ from: z.enum(['start', 'failed']).default('start') });
/** {@link retryRunSchema} */
export type RetryRun = z.input<typeof retryRunSchema>;

/** `POST /v1/runs/:id/fork`: again from a node on; what does not depend on it is carried over. Idempotent with the header `Idempotency-Key`. */
export const forkRunSchema = z.strictObject({
  nodeId: z.string().min(1).max(64),
  context: jsonObjectSchema.optional().describe('Instead of the context of the run; results that are carried over stay as they are'),
});
/** {@link forkRunSchema} */
export type ForkRun = z.input<typeof forkRunSchema>;

/** A run that goes on from another one. The same call again gives the same answer. */
export const rerunSchema = z.object({
  id: runIdSchema,
  status: z.literal('PENDING'),
  workflowVersion: z.int(),
  originRunId: runIdSchema,
});
/** {@link rerunSchema} */
export type Rerun = z.infer<typeof rerunSchema>;

/** Most runs that one bulk order is done for. */
export const maxBulkRuns = 10_000;

const unfinished = ['PENDING', 'RUNNING', 'WAITING_APPROVAL'] as const;

/** What may be ordered of many runs at once, and how those must stand. */
export const bulkStatuses = {
  cancel: unfinished,
  pause: unfinished,
  resume: unfinished,
  retry: ['FAILED', 'CANCELLED', 'TIMED_OUT'],
} as const satisfies Record<string, readonly z.infer<typeof runStatusSchema>[]>;

/** A verb of {@link bulkStatuses}. */
export type BulkVerb = keyof typeof bulkStatuses;

const lastInstantMs = Date.UTC(9999, 11, 31);
const instantMs = z.int().min(0).max(lastInstantMs);

/** Which runs a bulk order is for: all that match every field and stand so that the verb means something. */
export const bulkFilterSchema = z.strictObject({
  workflow: nameSchema.optional(),
  status: runStatusSchema.optional(),
  createdBeforeMs: instantMs.optional().describe('Created before this time'),
  createdAfterMs: instantMs.optional().describe('Created at this time or after'),
});
/** {@link bulkFilterSchema} */
export type BulkFilter = z.infer<typeof bulkFilterSchema>;

/** `POST /v1/runs/bulk`: a preview without `expectedCount`; with it, done where as many runs match as expected. */
export const bulkOrderSchema = z
  .strictObject({
    verb: z.enum(Object.keys(bulkStatuses) as [BulkVerb, ...BulkVerb[]]),
    filter: bulkFilterSchema,
    expectedCount: z.int().min(0).max(maxBulkRuns).optional().describe('What the preview counted'),
    reason,
  })
  .superRefine(({ verb, filter: { status }, reason: said }, context) => {
    if (status !== undefined && !(bulkStatuses[verb] as readonly string[]).includes(status))
      context.addIssue({ code: 'custom', path: ['filter', 'status'], message: `no run that is ${status} takes the verb ${verb}` });
    if (verb === 'retry' && said !== undefined)
      context.addIssue({ code: 'custom', path: ['reason'], message: 'a retry is told no reason' });
  });
/** {@link bulkOrderSchema} */
export type BulkOrder = z.infer<typeof bulkOrderSchema>;

/** What a bulk order is for, and what became of it. */
export const bulkAnswerSchema = z.object({
  verb: z.enum(Object.keys(bulkStatuses) as [BulkVerb, ...BulkVerb[]]),
  count: z.int().describe('How many runs match'),
  runIds: z.array(runIdSchema).describe('The first 20, oldest first'),
  isDone: z.boolean().describe('False for a preview'),
  outcomes: z.record(z.string(), z.int()).describe('How many runs it was done for, as `DONE`, and how many refused it, by error code'),
});
/** {@link bulkAnswerSchema} */
export type BulkAnswer = z.infer<typeof bulkAnswerSchema>;
