import { z } from 'zod';
import type { JsonObject, JsonValue } from './json.ts';
import { agentNameSchema, nameSchema } from './ids.ts';
import { labelSchema } from './label.ts';

/** Most nodes one workflow may have. */
export const maxWorkflowNodes = 10_000;
/** Most slots one `map` node may fan out to. */
export const maxMapSlots = 10_000;

/** Any JSON value; what cannot be stored is refused once per request by `findJsonDefect`. */
export const jsonValueSchema = z.unknown().transform((value) => (value ?? null) as JsonValue);
/** Any JSON object. */
export const jsonObjectSchema = z.record(z.string(), z.unknown()).transform((value) => value as JsonObject);

const nodeIdSchema = z
  .string()
  .regex(/^[A-Za-z][A-Za-z0-9_-]{0,63}$/, 'a node id starts with a letter and has only letters, digits, "_" and "-" (at most 64)')
  .refine((id) => !['context', 'nodes', 'item', 'run', 'constructor', 'prototype'].includes(id), 'this word is reserved');

/**
 * How often and after what pause a failed attempt is repeated. The pause before attempt n+1 is
 * `backoffMs · factor^(n−1)`, spread by ± `jitterRatio` (a deterministic spread, derived from the ticket's id).
 */
export const retryPolicySchema = z.strictObject({
  maxAttempts: z.int().min(1).max(100).default(1),
  backoffMs: z.int().min(0).max(86_400_000).default(1_000),
  factor: z.number().min(1).max(10).default(2),
  jitterRatio: z.number().min(0).max(1).default(0.1),
});

/** Who must agree before a node has any effect, and until when. */
export const approvalRuleSchema = z.strictObject({
  message: z.string().max(2_000).optional(),
  expiresAfterMs: z
    .int()
    .min(1_000)
    .max(30 * 86_400_000)
    .default(86_400_000),
});

/** What a failed node means for its run. */
export const onFailureSchema = z.enum(['fail', 'continue', 'fallback']);

/** One node of a workflow: which agent does what, after which nodes. */
export const nodeDefinitionSchema = z
  .strictObject({
    id: nodeIdSchema,
    agent: agentNameSchema,
    action: z.string().min(1).max(100).optional(),
    /** Only a worker that has all these labels does it. */
    requires: z.array(labelSchema).max(20).optional(),
    /** Templates `{{ … }}` inside are resolved on parsed values when the node starts. */
    input: jsonObjectSchema.default({}),
    needs: z.array(nodeIdSchema).max(1_000).default([]),
    /** A CEL expression; the node is SKIPPED where it is false. */
    when: z.string().min(1).max(2_000).optional(),
    retry: retryPolicySchema.prefault({}),
    timeoutMs: z
      .int()
      .min(100)
      .max(7 * 86_400_000)
      .default(300_000),
    approval: z.union([z.boolean(), approvalRuleSchema]).optional(),
    onFailure: onFailureSchema.default('fail'),
    /** The output that stands in for the node's own where `onFailure` is `fallback`. */
    fallbackOutput: jsonValueSchema.optional(),
    /** A template that gives an array: the node runs once per element, which `{{ item }}` names; its output is the array of outputs. */
    map: z.string().min(1).max(2_000).optional(),
  })
  .refine((node) => node.onFailure !== 'fallback' || node.fallbackOutput !== undefined, {
    path: ['fallbackOutput'],
    message: 'onFailure: fallback needs a fallbackOutput',
  });

/** A workflow as its author writes it (JSON, YAML or TypeScript). */
export const workflowDefinitionSchema = z.strictObject({
  name: nameSchema,
  description: z.string().max(4_000).optional(),
  /** After this long the run ends TIMED_OUT. */
  timeoutMs: z
    .int()
    .min(100)
    .max(30 * 86_400_000)
    .optional(),
  /** Larger is sooner. */
  priority: z.int().min(-100).max(100).default(0),
  /** What starts runs besides the API; kept as written, read by triggers. */
  trigger: jsonValueSchema.optional(),
  nodes: z.array(nodeDefinitionSchema).min(1).max(maxWorkflowNodes),
});

/** {@link retryPolicySchema}, with its defaults filled in. */
export type RetryPolicy = z.infer<typeof retryPolicySchema>;
/** {@link nodeDefinitionSchema}, with its defaults filled in. */
export type NodeDefinition = z.infer<typeof nodeDefinitionSchema>;
/** {@link workflowDefinitionSchema}, with its defaults filled in. */
export type WorkflowDefinition = z.infer<typeof workflowDefinitionSchema>;
/** What an author may leave out is optional here. */
export type WorkflowInput = z.input<typeof workflowDefinitionSchema>;
