import { z } from 'zod';
import type { JsonObject, JsonValue } from './json.ts';
import { agentNameSchema, nameSchema } from './ids.ts';
import { labelSchema } from './label.ts';
import { declaredEventIssues } from './event-trigger.ts';
import { declaredScheduleIssues } from './schedule.ts';
import { nodeConcurrencySchema } from './throttle.ts';

const dayMs = 86_400_000;

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
  backoffMs: z.int().min(0).max(dayMs).default(1_000),
  factor: z.number().min(1).max(10).default(2),
  jitterRatio: z.number().min(0).max(1).default(0.1),
});

/** Who must agree before a node has any effect, until when, and what holds where nobody answers. */
export const approvalRuleSchema = z.strictObject({
  message: z.string().max(2_000).optional(),
  /** What an expired request means: the node fails, is skipped, or goes on as if approved. */
  onExpiry: z.enum(['fail', 'skip', 'approve']).default('fail'),
  /** Whoever started the run may not decide. */
  excludeRequester: z.boolean().default(false),
  expiresAfterMs: z
    .int()
    .min(1_000)
    .max(30 * dayMs)
    .default(dayMs),
});

/** {@link approvalRuleSchema}, with its defaults filled in. */
export type ApprovalRule = z.infer<typeof approvalRuleSchema>;
/** What holds where a workflow, or an agent, asks for approval without saying more. */
export const defaultApprovalRule: ApprovalRule = approvalRuleSchema.parse({});

/** The name of a signal or of an event. */
export const signalNameSchema = z
  .string()
  .regex(
    /^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/,
    'a name starts with a letter or digit and has only letters, digits, ".", "_" and "-" (at most 100)',
  );

/** What tells signals or events of one name apart. */
export const signalKeySchema = z.string().min(1).max(500);

/** Larger is sooner. */
export const prioritySchema = z.int().min(-100).max(100);

/** Longest time anything waits: nothing waits for ever. */
export const maxWaitMs = 365 * dayMs;

/**
 * Makes a node wait for a signal sent to its run, or for an event published to everybody. What came before the run got
 * here counts too: each one once.
 */
export const waitRuleSchema = z
  .strictObject({
    signal: signalNameSchema.optional(),
    event: signalNameSchema.optional(),
    /** A template; only what carries the same key counts. Required for events, since they are not addressed to a run. */
    key: z.string().min(1).max(2_000).optional(),
    expiresAfterMs: z
      .int()
      .min(100)
      .max(maxWaitMs)
      .default(30 * dayMs),
  })
  .refine(({ signal, event }) => (signal === undefined) !== (event === undefined), {
    path: ['signal'],
    message: 'a wait names either a signal or an event',
  })
  .refine(({ event, key }) => event === undefined || key !== undefined, { path: ['key'], message: 'a wait for an event needs a key' });

/** Makes a node wait for a time. */
export const sleepRuleSchema = z
  .strictObject({
    forMs: z.int().min(1).max(maxWaitMs).optional(),
    /** A template that gives an ISO 8601 time with its zone, or milliseconds since 1970. */
    until: z.string().min(1).max(2_000).optional(),
  })
  .refine(({ forMs, until }) => (forMs === undefined) !== (until === undefined), {
    path: ['forMs'],
    message: 'a sleep says either forMs or until',
  });

/** What undoes a node that succeeded, where its run ends otherwise than well. */
export const compensationRuleSchema = z.strictObject({
  agent: agentNameSchema,
  action: z.string().min(1).max(100).optional(),
  /** Templates may name the node's own output. */
  input: jsonObjectSchema.default({}),
});

/** What a failed node means for its run. */
export const onFailureSchema = z.enum(['fail', 'continue', 'fallback']);

// What says something about an agent's work has no meaning for a node that only waits.
const agentOnly = ['action', 'approval', 'compensate', 'concurrency', 'requires'] as const;

/** One node of a workflow: which agent does what, or what is waited for; after which nodes. */
export const nodeDefinitionSchema = z
  .strictObject({
    id: nodeIdSchema,
    /** Exactly one of `agent`, `wait` and `sleep` is there. */
    agent: agentNameSchema.optional(),
    wait: waitRuleSchema.optional(),
    sleep: sleepRuleSchema.optional(),
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
      .max(7 * dayMs)
      .default(300_000),
    approval: z.union([z.boolean(), approvalRuleSchema]).optional(),
    onFailure: onFailureSchema.default('fail'),
    /** The output that stands in for the node's own where `onFailure` is `fallback`. */
    fallbackOutput: jsonValueSchema.optional(),
    /** A template that gives an array: the node runs once per element, which `{{ item }}` names; its output is the array of outputs. */
    map: z.string().min(1).max(2_000).optional(),
    compensate: compensationRuleSchema.optional(),
    /** Its attempts wait while as many with the same key are under way. */
    concurrency: nodeConcurrencySchema.optional(),
  })
  .superRefine((node, context) => {
    const kinds = (['agent', 'wait', 'sleep'] as const).filter((kind) => node[kind] !== undefined);
    const issue = (path: string, message: string) => context.addIssue({ code: 'custom', path: [path], message });
    if (kinds.length !== 1) issue(kinds[1] ?? 'agent', 'a node has exactly one of agent, wait and sleep');
    if (node.agent !== undefined) return;
    for (const field of agentOnly) if (node[field] !== undefined) issue(field, 'only a node with an agent may have this');
  })
  .refine((node) => node.onFailure !== 'fallback' || node.fallbackOutput !== undefined, {
    path: ['fallbackOutput'],
    message: 'onFailure: fallback needs a fallbackOutput',
  });

/**
 * How many runs with the same key go at once. What is too much waits for its turn, the higher priority and then the older
 * first; or ends CANCELLED at once (`skip`); or cancels what came before it (`replace`).
 */
export const concurrencyRuleSchema = z.strictObject({
  /** A template over the context; the workflow's name where absent. Workflows that name the same key share it. */
  key: z.string().min(1).max(2_000).optional(),
  limit: z.int().min(1).max(10_000),
  overlap: z.enum(['queue', 'skip', 'replace']).default('queue'),
});

/** What starts runs besides the API: kept as written, read by triggers. */
export const triggerSchema = jsonValueSchema.superRefine((trigger, refinement) => {
  for (const { path, message } of [...declaredScheduleIssues(trigger), ...declaredEventIssues(trigger)])
    refinement.addIssue({ code: 'custom', path, message });
});

/** A workflow as its author writes it (JSON, YAML or TypeScript). */
export const workflowDefinitionSchema = z.strictObject({
  name: nameSchema,
  description: z.string().max(4_000).optional(),
  /** After this long the run ends TIMED_OUT. */
  timeoutMs: z
    .int()
    .min(100)
    .max(30 * dayMs)
    .optional(),
  priority: prioritySchema.default(0),
  concurrency: concurrencyRuleSchema.optional(),
  /** `{ schedule: …, event: … }`: each one {@link scheduleRuleSchema} or {@link eventTriggerSchema}, or several; other keys are kept. */
  trigger: triggerSchema.optional(),
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
