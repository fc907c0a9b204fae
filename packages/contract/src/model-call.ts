import { z } from 'zod';
import { runIdSchema, workerIdSchema } from './ids.ts';
import { heldTicketSchema } from './ticket.ts';

const atMs = z.int().describe('Milliseconds since 1970');
const tokens = z.int().min(0);

/** `refused` by the provider as wrong, `cut` in the middle, `aborted` by the caller. */
export const modelOutcomeSchema = z.enum(['answered', 'refused', 'failed', 'cut', 'aborted']);
/** The APIs in which models are called. */
export const modelDialectSchema = z.enum(['chat-completions', 'messages', 'responses', 'embeddings']);

/** What is passed on to a provider: as it documents it. */
export const modelQuestionSchema = z
  .looseObject({ model: z.string().min(1).max(200).describe('A class or a model of the models file'), stream: z.boolean().nullish() })
  .describe('As the provider documents it; everything but `model` is passed on unchanged');

/**
 * `POST /v1/worker/model-calls`: an agent at work calls a model. The answer is the provider's, or a stream of its events. Not idempotent:
 * each call is charged.
 */
export const workerModelCallSchema = heldTicketSchema.extend({
  workerId: workerIdSchema,
  runId: runIdSchema,
  nodeId: z.string().min(1).max(200),
  dialect: modelDialectSchema,
  /** Those that name a version or betas of the provider's API. */
  headers: z.strictObject({
    'anthropic-version': z.string().max(200).exactOptional(),
    'anthropic-beta': z.string().max(1_000).exactOptional(),
  }),
  question: modelQuestionSchema,
});

/** A call of a model as the API shows it, once it is over. */
export const modelCallSchema = z.object({
  id: z.string(),
  atMs,
  subject: z.string().describe('Whose key it was made with'),
  runId: runIdSchema.optional(),
  nodeId: z.string().optional(),
  dialect: modelDialectSchema,
  asked: z.string().describe('The class or model that was asked for'),
  model: z.string().optional().describe('The one that answered, or was tried last; absent where all rested'),
  provider: z.string().optional(),
  isStream: z.boolean(),
  isSimulated: z.boolean().describe('No model answered: a simulated provider did'),
  inputTokens: tokens.describe('With those from and into the provider’s cache'),
  cachedInputTokens: tokens,
  outputTokens: tokens,
  isEstimated: z.boolean().describe('The provider did not say what was used'),
  costMicroUsd: z.int().optional().describe('Absent where the price is not known'),
  firstByteMs: z.int().optional().describe('To the first event of a stream, or the whole answer'),
  latencyMs: z.int(),
  outcome: modelOutcomeSchema,
  tries: z.array(z.object({ model: z.string(), latencyMs: z.int(), failure: z.string().optional() })),
});

/** Query of `GET /v1/model-calls`. */
export const listModelCallsQuerySchema = z.strictObject({
  run: runIdSchema.optional(),
  model: z.string().min(1).max(100).optional(),
  outcome: modelOutcomeSchema.optional(),
  limit: z.coerce.number().int().min(1).max(200).default(50),
  /** The last id of the page before. */
  before: z.string().min(1).max(100).optional(),
});

/** Query of `GET /v1/model-costs`. */
export const modelCostsQuerySchema = z.strictObject({
  by: z.enum(['run', 'model', 'day']).default('model'),
  days: z.coerce.number().int().min(1).max(90).default(30),
});

/** What calls of models cost, for one run, one model or one day (UTC); the dearest, or the latest day, first. */
export const modelCostSchema = z.object({
  key: z.string().describe('The run, model or day; empty for calls that were for no run, or reached no model'),
  callCount: z.int(),
  inputTokens: tokens,
  outputTokens: tokens,
  costMicroUsd: z.int(),
  estimatedCount: z.int().describe('Calls whose usage is estimated'),
  unpricedCount: z.int().describe('Calls of models without a price: what they cost is not in the sum'),
});

/** {@link workerModelCallSchema} */
export type WorkerModelCall = z.infer<typeof workerModelCallSchema>;
/** {@link modelDialectSchema} */
export type ModelDialect = z.infer<typeof modelDialectSchema>;
/** {@link modelOutcomeSchema} */
export type ModelOutcome = z.infer<typeof modelOutcomeSchema>;
/** {@link modelCallSchema} */
export type ModelCallView = z.infer<typeof modelCallSchema>;
/** {@link listModelCallsQuerySchema} */
export type ListModelCalls = z.infer<typeof listModelCallsQuerySchema>;
/** {@link modelCostsQuerySchema} */
export type ModelCostsQuery = z.infer<typeof modelCostsQuerySchema>;
/** {@link modelCostSchema} */
export type ModelCost = z.infer<typeof modelCostSchema>;
