import { z } from 'zod';
import { instanceIdSchema, nameSchema } from './ids.ts';

const atMs = z.int().describe('Milliseconds since 1970-01-01T00:00:00Z');
const ratio = z.number().min(0).max(1);
const count = z.int().min(0);

/** How an instance fares, by how long it has said nothing; see {@link instanceViewSchema}. Without a word it only gets worse. */
export const healthSchema = z.enum(['healthy', 'degraded', 'unhealthy', 'gone']);
/** {@link healthSchema} */
export type Health = z.infer<typeof healthSchema>;

/** What people have ordered: `cordoned` gets nothing new, `draining` finishes what it has and leaves. */
export const dutySchema = z.enum(['active', 'cordoned', 'draining']);
/** {@link dutySchema} */
export type Duty = z.infer<typeof dutySchema>;

/** `worker`: pulls tickets here, and is registered by that. `agent`: registers itself. */
export const instanceKindSchema = z.enum(['agent', 'worker']);
/** {@link instanceKindSchema} */
export type InstanceKind = z.infer<typeof instanceKindSchema>;

/** What an instance tells of its work, since it began. Ranks it among others; says nothing about its health. */
export const telemetrySchema = z
  .strictObject({
    executionCount: count.optional(),
    failureCount: count.optional(),
    successRatio: ratio.optional().describe('Counts where the two counts are not told'),
    meanDurationMs: z.number().min(0).max(1e12).optional(),
    loadRatio: ratio.optional().describe('Of what it can do at once, how much it does'),
    lastExecutionAtMs: atMs.optional(),
  })
  .refine(({ executionCount, failureCount }) => (failureCount ?? 0) <= (executionCount ?? Number.MAX_SAFE_INTEGER), {
    error: 'more failures than executions',
    path: ['failureCount'],
  });
/** {@link telemetrySchema} */
export type Telemetry = z.infer<typeof telemetrySchema>;

/** Longest pause between two beats that may be agreed on. */
export const maxBeatIntervalMs = 60_000;
const word = z.string().min(1).max(100);
const metadata = z
  .record(z.string().min(1).max(100), z.string().max(1_000))
  .refine((entries) => Object.keys(entries).length <= 50, 'at most 50 entries');

/** `POST /v1/registry/instances`. The same name in the same namespace is the same instance, under the same id, registered anew. */
export const registerInstanceSchema = z.strictObject({
  name: nameSchema,
  namespace: nameSchema.default('default'),
  role: nameSchema.optional().describe('What sort of agent it is: scout, guard, analyst …'),
  cluster: nameSchema.optional(),
  version: z.string().min(1).max(50).optional(),
  capabilities: z.array(word).max(100).default([]),
  metadata: metadata.default({}),
  beatIntervalMs: z
    .int()
    .min(200)
    .max(maxBeatIntervalMs)
    .default(1_000)
    .describe('How often it will say that it lives; unhealthy after 3.5 times that, 3.5 s at least'),
  telemetry: telemetrySchema.optional(),
});
/** {@link registerInstanceSchema} */
export type RegisterInstance = z.input<typeof registerInstanceSchema>;
/** What an instance is, without how it fares. */
export type InstanceDescription = Omit<z.output<typeof registerInstanceSchema>, 'telemetry'>;

/**
 * A registered instance as the API shows it. Its health by the time since its last beat: `healthy`; `degraded` from twice its
 * interval on; `unhealthy`, and no longer found, from 3.5 times on; `gone` from 30 times on. Times in which this control plane
 * itself stood still do not count.
 */
export const instanceViewSchema = z.object({
  id: instanceIdSchema,
  kind: instanceKindSchema,
  name: z.string(),
  namespace: z.string(),
  role: z.string().optional(),
  cluster: z.string().optional(),
  version: z.string().optional(),
  capabilities: z.array(z.string()),
  metadata: z.record(z.string(), z.string()),
  beatIntervalMs: z.int(),
  registrationCount: z.int().describe('How often this name was registered'),
  registeredAtMs: atMs.describe('The last registration'),
  lastSeenAtMs: atMs,
  health: healthSchema,
  duty: dutySchema,
  order: z.object({ by: z.string(), atMs, reason: z.string().optional() }).optional().describe('Who ordered the duty'),
  telemetry: telemetrySchema,
});
/** {@link instanceViewSchema} */
export type InstanceView = z.infer<typeof instanceViewSchema>;

/** Answer to {@link registerInstanceSchema}. */
export const registeredInstanceSchema = instanceViewSchema.extend({
  registration: z.int().describe('Sent with heartbeats: those of an earlier registration are refused'),
});
/** {@link registeredInstanceSchema} */
export type RegisteredInstance = z.infer<typeof registeredInstanceSchema>;

/** `POST /v1/registry/instances/:id/heartbeat`. */
export const beatSchema = z.strictObject({ registration: z.int().min(1).optional(), telemetry: telemetrySchema.optional() });
/** {@link beatSchema} */
export type Beat = z.infer<typeof beatSchema>;
/** Answer to a beat: what the instance is to do. `draining`: finish, then deregister. */
export const beatAnswerSchema = z.object({ duty: dutySchema, lastSeenAtMs: atMs });
/** {@link beatAnswerSchema} */
export type BeatAnswer = z.infer<typeof beatAnswerSchema>;

/** Only instances of which all of this is true. */
export const instanceFilterSchema = z.strictObject({
  kind: instanceKindSchema.optional(),
  namespace: nameSchema.optional(),
  role: nameSchema.optional(),
  cluster: nameSchema.optional(),
  version: z.string().min(1).max(50).optional(),
  metadata: metadata.optional(),
});
/** {@link instanceFilterSchema} */
export type InstanceFilter = z.infer<typeof instanceFilterSchema>;

/** `POST /v1/registry/discover`: who has all these capabilities, lives, and takes new work. */
export const discoverSchema = z.strictObject({
  capabilities: z.array(word).max(100).default([]),
  filter: instanceFilterSchema.default({}),
  limit: z.int().min(1).max(1_000).default(50),
});
/** {@link discoverSchema} */
export type Discover = z.input<typeof discoverSchema>;

/** Why an instance stands where it does: the score is the sum of value × weight. */
export const rankSchema = z.object({
  score: z.number(),
  parts: z.array(z.object({ name: z.string(), weight: z.number(), value: z.number(), because: z.string() })),
});
/** {@link rankSchema} */
export type Rank = z.infer<typeof rankSchema>;

/** Answer to {@link discoverSchema}: the best first, of equals the lower id. */
export const discoveredSchema = z.object({
  instances: z.array(instanceViewSchema.extend({ rank: rankSchema })),
  matchCount: z.int().describe('How many matched; `limit` may have cut the list'),
});
/** {@link discoveredSchema} */
export type Discovered = z.infer<typeof discoveredSchema>;

/** Query of `GET /v1/registry/instances`. */
export const listInstancesQuerySchema = z.strictObject({
  kind: instanceKindSchema.optional(),
  health: healthSchema.optional(),
  capability: word.optional(),
  namespace: nameSchema.optional(),
});
/** {@link listInstancesQuerySchema} */
export type ListInstances = z.infer<typeof listInstancesQuerySchema>;

/** `POST /v1/registry/instances/:id/cordon`, `uncordon` and `drain`. */
export const orderInstanceSchema = z.strictObject({ reason: z.string().max(2_000).optional() });

/** One event of `GET /v1/registry/watch` (SSE). First every instance there is as `instance.present`, then what changes. */
export const instanceChangeSchema = z.object({
  type: z.enum([
    'instance.present',
    'instance.registered',
    'instance.updated',
    'instance.health-changed',
    'instance.duty-changed',
    'instance.deregistered',
  ]),
  atMs,
  instance: instanceViewSchema,
});
/** {@link instanceChangeSchema} */
export type InstanceChange = z.infer<typeof instanceChangeSchema>;
