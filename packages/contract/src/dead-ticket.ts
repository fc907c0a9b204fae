import { z } from 'zod';
import { nameSchema, runIdSchema, ticketIdSchema } from './ids.ts';
import { failureSchema } from './ticket.ts';
import { jsonValueSchema } from './workflow.ts';

const atMs = z.int().describe('Milliseconds since 1970-01-01T00:00:00Z');

/** A ticket that failed for good and failed its run, with its evidence, and what became of it. */
export const deadTicketSchema = z.object({
  ticketId: ticketIdSchema,
  runId: runIdSchema,
  workflowName: z.string(),
  nodeId: z.string(),
  slot: z.int(),
  attempt: z.int(),
  agent: z.string(),
  action: z.string().optional(),
  input: jsonValueSchema.describe('Secrets redacted'),
  error: failureSchema.extend({ message: z.string() }),
  diedAtMs: atMs,
  resolution: z.enum(['REDRIVEN', 'DISCARDED']).optional().describe('Absent while nobody has dealt with it'),
  resolvedAtMs: atMs.optional(),
  resolvedBy: z.string().optional(),
  redrivenRunId: runIdSchema.optional(),
  reason: z.string().optional(),
});
/** {@link deadTicketSchema} */
export type DeadTicketView = z.infer<typeof deadTicketSchema>;

/** Query of `GET /v1/dead`. */
export const listDeadQuerySchema = z.strictObject({
  state: z.enum(['open', 'resolved', 'all']).default('open'),
  workflow: nameSchema.optional(),
  limit: z.coerce.number().int().min(1).max(200).default(50),
  before: ticketIdSchema.optional().describe('The last id of the page before'),
});

/** `POST /v1/dead/:ticketId/discard`. */
export const discardDeadSchema = z.strictObject({ reason: z.string().min(1).max(2_000) });
