import { z } from 'zod';
import { microUsdSchema } from './budget.ts';
import { nameSchema } from './ids.ts';
import { jsonValueSchema, maxWaitMs } from './workflow.ts';

/** Where an agent of the kind `http` is, and how it knows that it is we who call. */
export const httpEndpointSchema = z.strictObject({
  /** Each attempt is POSTed here, and ended here with DELETE where it is no longer wanted. Redirects are not followed. */
  url: z
    .url({ protocol: /^https?$/ })
    .max(2_000)
    .refine((text) => URL.parse(text)?.username === '', 'an address has no name and no password; requests are signed'),
  /** Name of the worker's variable that holds the secret of signatures by Standard Webhooks (`whsec_` and base64). */
  secretVariable: z.string().regex(/^(?!HIVE_)[A-Z_][A-Z0-9_]{0,99}$/, 'a name of a variable such as REVIEWER_SECRET; HIVE_ is ours'),
  /** How long after a 202 an agent may take to call back. */
  callbackTimeoutMs: z.int().min(1_000).max(maxWaitMs).default(3_600_000),
});

/**
 * What an agent of the kind `http` answers with 200, or calls back with: its output or why there is none, and what it cost. Of an
 * agent that says no cost the most that an attempt may cost is charged.
 */
export const agentAnswerSchema = z
  .strictObject({
    output: jsonValueSchema.exactOptional(),
    error: z.strictObject({ message: z.string().min(1).max(2_000), dependency: nameSchema.exactOptional() }).exactOptional(),
    costMicroUsd: microUsdSchema.exactOptional(),
  })
  .refine((answer) => 'output' in answer !== 'error' in answer, 'expected either {"output": …} or {"error": {"message": …}}');
/** {@link agentAnswerSchema} */
export type AgentAnswer = z.infer<typeof agentAnswerSchema>;

/** The signal by which a callback reaches the run that waits for it; its key is the SHA-256 of the address's secret. */
export const callbackSignalName = 'http.callback';

/** What became of a callback, or of a look at its address: `taken` just now, `known` from before, or `wanted`. */
export const callbackAnswerSchema = z.object({ state: z.enum(['taken', 'known', 'wanted']) });

/** The step of an attempt that waits for its callback. */
export const callbackStepOf = (attempt: number): string => `callback ${attempt}`;
