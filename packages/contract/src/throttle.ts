import { z } from 'zod';
import { budgetSchema, microUsdSchema } from './budget.ts';
import { agentNameSchema, nameSchema, runIdSchema, ticketIdSchema, workerIdSchema } from './ids.ts';

const dayMs = 86_400_000;
const mostPlaces = 100_000;
const mostDependencies = 20;
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

/** What an agent cannot do without, such as an API, each with the rule by which the agent's attempts judge it. */
export const dependenciesSchema = z
  .record(nameSchema, breakerRuleSchema)
  .refine((dependencies) => Object.keys(dependencies).length <= mostDependencies, `at most ${mostDependencies} dependencies`);

/** Where a breaker stands, as the API shows it. */
export const breakerViewSchema = z.object({
  state: z.enum(['closed', 'open', 'half-open']),
  sinceAtMs: atMs.optional().describe('Absent for one that was never open'),
  failureCount: z.int().describe('While closed: failures that count still'),
  nextTrialAtMs: atMs.optional().describe('While open'),
  cause: z.string().optional().describe('While not closed: the failure that opened it, or who did and why'),
});

/** A breaker, and the agents that it stops while it is open. */
export const listedBreakerSchema = breakerViewSchema.extend({
  kind: z.enum(['agent', 'dependency']),
  name: agentNameSchema,
  agents: z.array(agentNameSchema),
});

/** `PUT /v1/breakers/agents/:name` and `…/dependencies/:name`: what people decide about one. Idempotent, but that the time of the next trial is counted anew. */
export const setBreakerSchema = z.discriminatedUnion('state', [
  z.strictObject({ state: z.literal('closed') }),
  z.strictObject({
    state: z.literal('open'),
    forMs: windowMs.describe('Until one ticket tries; at most a day'),
    reason: z.string().min(1).max(500).optional(),
  }),
]);

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
    cause: z.string().optional(),
  }),
  z.object({
    kind: z.literal('dependency'),
    name: nameSchema,
    state: z.enum(['open', 'half-open']),
    sinceAtMs: atMs,
    nextTrialAtMs: atMs.optional(),
    trialTicketId: ticketIdSchema.optional(),
    cause: z.string().optional(),
  }),
  z.object({
    kind: z.literal('budget'),
    ...budgetSchema.pick({ scope: true, name: true, period: true, capMicroUsd: true, turnsAtMs: true }).shape,
    ...budgetSchema.pick({ reservedMicroUsd: true, settledMicroUsd: true }).shape,
    neededMicroUsd: microUsdSchema,
  }),
]);

/** {@link nodeConcurrencySchema} */
export type NodeConcurrency = z.infer<typeof nodeConcurrencySchema>;
/** {@link breakerRuleSchema}, with its defaults filled in. */
export type BreakerRule = z.infer<typeof breakerRuleSchema>;
/** {@link breakerViewSchema} */
export type BreakerView = z.infer<typeof breakerViewSchema>;
/** {@link listedBreakerSchema} */
export type ListedBreaker = z.infer<typeof listedBreakerSchema>;
/** What a breaker judges: an agent, or what agents depend on. */
export type BreakerSubject = Pick<ListedBreaker, 'kind' | 'name'>;
/** {@link setBreakerSchema} */
export type SetBreaker = z.infer<typeof setBreakerSchema>;
/** {@link throttledBySchema} */
export type ThrottledBy = z.infer<typeof throttledBySchema>;
