import { z } from 'zod';
import { runIdSchema, ticketIdSchema, workerIdSchema } from './ids.ts';

const dayMs = 86_400_000;
const mostPlaces = 100_000;
const limit = z.int().min(1).max(mostPlaces);
const windowMs = z.int().min(100).max(dayMs);
const atMs = z.int().describe('Milliseconds since 1970-01-01T00:00:00Z');

/** So many attempts of an agent may be under way at once, in the whole installation. */
export const agentConcurrencySchema = z.strictObject({ limit });

/** So many attempts of what has the same key may be under way at once, in the whole installation. */
export const nodeConcurrencySchema = z.strictObject({
  /** A template over what the node's input may name. */
  key: z.string().min(1).max(2_000),
  limit,
});

/** So many attempts may start at once, and after them one per `windowMs / limit`. */
export const rateSchema = z.strictObject({ limit, windowMs });

/** After `failures` within `windowMs` nothing is started for `coolDownMs`; then one attempt tries whether it goes well again. */
export const breakerRuleSchema = z.strictObject({
  failures: z.int().min(1).max(1_000).default(5),
  windowMs: windowMs.default(60_000),
  coolDownMs: windowMs.default(30_000),
});

/** Where an agent's breaker stands, as the API shows it. */
export const breakerViewSchema = z.object({
  state: z.enum(['closed', 'open', 'half-open']),
  sinceAtMs: atMs.optional().describe('Absent for one that was never open'),
  failureCount: z.int().describe('While closed: failures that count still'),
  nextTrialAtMs: atMs.optional().describe('While open'),
});

/** A leased ticket that takes a place. */
export const placeHolderSchema = z.object({
  ticketId: ticketIdSchema,
  runId: runIdSchema,
  nodeId: z.string(),
  workerId: workerIdSchema,
  leasedAtMs: atMs,
});

/** Why a ready ticket waits though a worker may be free. */
export const throttledBySchema = z.discriminatedUnion('kind', [
  z.object({
    kind: z.literal('concurrency'),
    key: z.string(),
    limit: z.int(),
    holderCount: z.int(),
    holders: z.array(placeHolderSchema).describe('The first ten'),
  }),
  z.object({ kind: z.literal('rate'), key: z.string(), limit: z.int(), windowMs: z.int(), roomAtMs: atMs }),
  z.object({
    kind: z.literal('breaker'),
    key: z.string(),
    state: z.enum(['open', 'half-open']),
    nextTrialAtMs: atMs.optional(),
    trialTicketId: ticketIdSchema.optional(),
  }),
]);

/** {@link nodeConcurrencySchema} */
export type NodeConcurrency = z.infer<typeof nodeConcurrencySchema>;
/** {@link breakerRuleSchema}, with its defaults filled in. */
export type BreakerRule = z.infer<typeof breakerRuleSchema>;
/** {@link breakerViewSchema} */
export type BreakerView = z.infer<typeof breakerViewSchema>;
/** {@link throttledBySchema} */
export type ThrottledBy = z.infer<typeof throttledBySchema>;
