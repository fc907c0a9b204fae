import { z } from 'zod';
import { eventIdSchema } from './ids.ts';
import { jsonValueSchema, signalKeySchema, signalNameSchema } from './workflow.ts';

const atMs = z.int().describe('Milliseconds since 1970-01-01T00:00:00Z');
const dedupeKeySchema = z.string().min(1).max(255);

/** `POST /v1/events`. Counts once per `eventId`, or per the header `Idempotency-Key` where there is none. */
export const publishEventSchema = z.strictObject({
  type: signalNameSchema,
  /** Only nodes that wait for the same key get it. */
  key: signalKeySchema.optional(),
  payload: jsonValueSchema.default(null),
  /** Dotted, as brokers have it; the patterns of triggers are compared with it, too. */
  subject: z.string().min(1).max(500).optional(),
  /** Where it comes from. */
  source: z.string().min(1).max(500).optional(),
  /** The sender's own name for it: the same again is no news. */
  eventId: dedupeKeySchema.optional(),
});
/** {@link publishEventSchema} */
export type PublishEvent = z.input<typeof publishEventSchema>;

/** An event as the API shows it. */
export const eventViewSchema = z.object({
  id: eventIdSchema,
  type: z.string(),
  key: z.string().optional(),
  payload: jsonValueSchema,
  subject: z.string().optional(),
  source: z.string().optional(),
  receivedAtMs: atMs,
  publishedBy: z.string(),
});
/** {@link eventViewSchema} */
export type EventView = z.infer<typeof eventViewSchema>;

/** The answer to a publisher. */
export const publishedSchema = eventViewSchema.extend({
  startedWorkflows: z.array(z.string()).describe('Names of the workflows whose triggers mean it: each gets a run'),
  waitingRunCount: z.int().describe('Runs that waited for it when it came; one that begins to wait later gets it too'),
});
/** {@link publishedSchema} */
export type Published = z.infer<typeof publishedSchema>;

/** Query of `GET /v1/events`. */
export const listEventsQuerySchema = z.strictObject({
  type: signalNameSchema.optional(),
  key: signalKeySchema.optional(),
  limit: z.coerce.number().int().min(1).max(200).default(50),
  /** The last id of the page before. */
  before: eventIdSchema.optional(),
});
