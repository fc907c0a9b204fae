import { z } from 'zod';
import { effectIdSchema, runIdSchema, ticketIdSchema, workerIdSchema } from './ids.ts';
import { heldTicketSchema, memoEntrySchema, outcomeSchema, stepNameSchema } from './ticket.ts';
import { jsonValueSchema } from './workflow.ts';

const atMs = z.int().describe('Milliseconds since 1970-01-01T00:00:00Z');
const effect = { effectId: effectIdSchema };

/**
 * Where an effect stands. `intended`: it has surely not happened; `dispatched`: an attempt is making it; `confirmed`: its
 * end is recorded; `unknown`: nobody knows whether it happened.
 */
export const effectStateSchema = z.enum(['intended', 'dispatched', 'confirmed', 'unknown']);
/** {@link effectStateSchema} */
export type EffectState = z.infer<typeof effectStateSchema>;

/** The name of what an agent calls outside, such as `mail.send`. */
export const toolNameSchema = z.string().min(1).max(200);

/**
 * What an agent is about to do. `args` are compared by value: the order of keys and white space do not matter, and whole
 * numbers beyond ±2^53 are refused, because JSON readers round them.
 */
export const intendedEffectSchema = z.strictObject({
  tool: toolNameSchema,
  args: jsonValueSchema,
  /** Tells apart calls of the same tool with the same arguments. The tool's name where absent. */
  step: stepNameSchema.exactOptional(),
  /** Whether the agent can find out by itself if the effect happened. */
  hasProbe: z.boolean().exactOptional(),
});

/** How an effect ended. */
export const endedEffectSchema = z.strictObject({ ...effect, outcome: outcomeSchema });
/** It may or may not have happened. */
export const doubtedEffectSchema = z.strictObject({ ...effect, reason: z.string().max(2_000) });
const finding = { happened: z.boolean(), output: jsonValueSchema.exactOptional() };
const isSound = ({ happened, output }: { readonly happened: boolean; readonly output?: unknown }): boolean =>
  happened || output === undefined;
const unsound = { path: ['output'], message: 'what did not happen gave nothing' };

/** What a look at the other side found. `output` is what the effect gave; null where absent. */
export const probedEffectSchema = z.strictObject({ ...effect, ...finding }).refine(isSound, unsound);

const callSchema = heldTicketSchema.extend({ workerId: workerIdSchema });

/** `POST /v1/worker/effects/begin`. Idempotent per token: the same effect again gives the same answer. */
export const beginEffectSchema = callSchema.extend(intendedEffectSchema.shape);
/** {@link beginEffectSchema} */
export type BeginEffect = z.infer<typeof beginEffectSchema>;

/**
 * What an agent may do about an effect. `dispatched`: make it now, and say how it ended; the id is a good idempotency key
 * for the other side. `confirmed`: it is over, and this came of it. `unknown`: an earlier attempt may have made it.
 */
export const begunEffectSchema = z.discriminatedUnion('state', [
  z.object({ state: z.literal('dispatched'), ...effect }),
  z.object({ state: z.literal('confirmed'), ...effect, outcome: outcomeSchema }),
  z.object({ state: z.literal('unknown'), ...effect, reason: z.string() }),
]);
/** {@link begunEffectSchema} */
export type BegunEffect = z.infer<typeof begunEffectSchema>;

/** `POST /v1/worker/effects/finish`: from the attempt that dispatched it. Idempotent: the first end stays. */
export const finishEffectSchema = callSchema.extend(endedEffectSchema.shape);
/** {@link finishEffectSchema} */
export type FinishEffect = z.infer<typeof finishEffectSchema>;

/** `POST /v1/worker/effects/doubt`: from the attempt that dispatched it. Idempotent. */
export const doubtEffectSchema = callSchema.extend(doubtedEffectSchema.shape);
/** {@link doubtEffectSchema} */
export type DoubtEffect = z.infer<typeof doubtEffectSchema>;

/** `POST /v1/worker/effects/probed`: of an unknown effect. Idempotent. */
export const probeEffectSchema = callSchema.extend({ ...effect, ...finding }).refine(isSound, unsound);
/** {@link probeEffectSchema} */
export type ProbeEffect = z.infer<typeof probeEffectSchema>;

/** `POST /v1/worker/steps`: what a step of an agent's code came to. The first one recorded stays, and is the answer. */
export const recordStepSchema = callSchema.extend(memoEntrySchema.shape);
/** {@link recordStepSchema} */
export type RecordStep = z.infer<typeof recordStepSchema>;
/** What is recorded of a step. */
export const recordedStepSchema = z.object({ outcome: outcomeSchema });
/** {@link recordedStepSchema} */
export type RecordedStep = z.infer<typeof recordedStepSchema>;

/** `POST /v1/worker/memo`: the steps that earlier attempts recorded, a page at a time, in the order of their names. */
export const readMemoSchema = callSchema.extend({ after: stepNameSchema.exactOptional() });
/** {@link readMemoSchema} */
export type ReadMemo = z.infer<typeof readMemoSchema>;
/** A page of steps. `next` is there where another page may follow: read it with `after`. */
export const memoPageSchema = z.object({ steps: z.array(memoEntrySchema), next: stepNameSchema.optional() });
/** {@link memoPageSchema} */
export type MemoPage = z.infer<typeof memoPageSchema>;

/** Query of `GET /v1/effects`. */
export const listEffectsQuerySchema = z.strictObject({
  run: runIdSchema.optional(),
  state: effectStateSchema.optional(),
  limit: z.coerce.number().int().min(1).max(200).default(50),
  /** The last id of the page before. */
  after: effectIdSchema.optional(),
});

/** An effect as the API shows it. */
export const effectViewSchema = z.object({
  id: effectIdSchema,
  runId: runIdSchema,
  nodeId: z.string(),
  slot: z.int(),
  step: z.string(),
  tool: z.string(),
  args: jsonValueSchema,
  state: effectStateSchema.describe('An effect whose attempt ended without a word is unknown'),
  hasProbe: z.boolean(),
  outcome: outcomeSchema.optional(),
  /** Why it is unknown. */
  reason: z.string().optional(),
  dispatchCount: z.int().describe('How often an attempt was told to make it'),
  ticketId: ticketIdSchema.optional().describe('The ticket of the last attempt that was told to make it'),
  workerId: workerIdSchema.optional(),
  begunAtMs: atMs,
  dispatchedAtMs: atMs.optional(),
  endedAtMs: atMs.optional().describe('When it was confirmed, or last found not to have happened'),
  /** Who found out: `agent`, or a person. */
  resolvedBy: z.string().optional(),
  notes: z.string().optional(),
});
/** {@link effectViewSchema} */
export type EffectView = z.infer<typeof effectViewSchema>;

/** `POST /v1/effects/:id/resolve`: a person looked, and says whether it happened, and what it gave. */
export const resolveEffectSchema = z.strictObject({ ...finding, notes: z.string().max(4_000).exactOptional() }).refine(isSound, unsound);
/** {@link resolveEffectSchema} */
export type ResolveEffect = z.infer<typeof resolveEffectSchema>;

/** How many effects of a run stand where. */
export const effectCountsSchema = z.partialRecord(effectStateSchema, z.int());
/** {@link effectCountsSchema} */
export type EffectCounts = z.infer<typeof effectCountsSchema>;
