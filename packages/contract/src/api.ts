import { z } from 'zod';
import { agentSpecSchema, capabilitySchema, riskLevelSchema, agentRuntimeSchema, trustSchema } from './agent.ts';
import { effectCountsSchema } from './effect.ts';
import {
  agentIdSchema,
  approvalIdSchema,
  effectIdSchema,
  nameSchema,
  runIdSchema,
  ticketIdSchema,
  workerIdSchema,
  workflowIdSchema,
} from './ids.ts';
import { canaryViewSchema, readinessSchema } from './health.ts';
import { nodeStatusSchema, runStatusSchema } from './run.ts';
import { failureSchema } from './ticket.ts';
import { breakerViewSchema, throttledBySchema } from './throttle.ts';
import { jsonObjectSchema, jsonValueSchema, workflowDefinitionSchema } from './workflow.ts';

const dayMs = 86_400_000;
const atMs = z.int().describe('Milliseconds since 1970-01-01T00:00:00Z');
const sha256 = z.string().regex(/^[0-9a-f]{64}$/, 'expected a SHA-256 as 64 hexadecimal digits');

/** `POST /v1/workflows/:name/runs`. Idempotent with the header `Idempotency-Key`. */
export const startRunSchema = z.strictObject({ context: jsonObjectSchema.default({}) });
/** {@link startRunSchema} */
export type StartRun = z.input<typeof startRunSchema>;

/** A {@link Failure} on the wire. */
const failure = failureSchema.extend({ message: z.string() });

/** Query of `GET /v1/runs`. */
export const listRunsQuerySchema = z.strictObject({
  workflow: nameSchema.optional(),
  status: runStatusSchema.optional(),
  limit: z.coerce.number().int().min(1).max(200).default(50),
  /** The last id of the page before. */
  before: runIdSchema.optional(),
});

/** {@link RunSummary} on the wire. */
export const runSummarySchema = z.object({
  id: runIdSchema,
  workflowId: workflowIdSchema,
  workflowName: z.string(),
  workflowVersion: z.int(),
  status: runStatusSchema,
  trigger: z.string(),
  createdAtMs: atMs,
  startedAtMs: atMs.optional(),
  finishedAtMs: atMs.optional(),
  durationMs: z.int().optional(),
  error: failure.optional(),
  originRunId: runIdSchema.optional(),
});

/** {@link AttemptView} on the wire. */
export const attemptSchema = z.object({
  ticketId: ticketIdSchema,
  nodeId: z.string(),
  slot: z.int(),
  attempt: z.int(),
  status: z.enum(['PENDING', 'RUNNING', 'SUCCESS', 'FAILED', 'TIMED_OUT', 'LOST', 'CANCELLED', 'SUSPENDED']),
  input: jsonValueSchema,
  output: jsonValueSchema.optional(),
  error: failure.optional(),
  issuedAtMs: atMs,
  leasedAtMs: atMs.optional(),
  finishedAtMs: atMs.optional(),
  durationMs: z.int().optional(),
  workerId: workerIdSchema.optional(),
  progress: jsonValueSchema.optional(),
});

/** {@link Blocker} on the wire. */
export const blockerSchema = z.discriminatedUnion('kind', [
  z.object({
    kind: z.literal('ticket'),
    nodeId: z.string(),
    ticketId: ticketIdSchema,
    otherCount: z.int(),
    throttledBy: throttledBySchema.optional(),
  }),
  z.object({ kind: z.literal('retry'), nodeId: z.string(), dueAtMs: atMs, lastError: failure }),
  z.object({ kind: z.literal('approval'), nodeId: z.string(), approvalId: approvalIdSchema, expiresAtMs: atMs }),
  z.object({ kind: z.literal('timer'), nodeId: z.string(), dueAtMs: atMs }),
  z.object({ kind: z.literal('signal'), nodeId: z.string(), name: z.string(), key: z.string().optional(), expiresAtMs: atMs }),
  z.object({ kind: z.literal('effect_unknown'), nodeId: z.string(), effectId: effectIdSchema, tool: z.string() }),
  z.object({ kind: z.literal('paused'), by: z.string(), sinceMs: atMs, reason: z.string().optional() }),
  z.object({ kind: z.literal('concurrency'), key: z.string(), limit: z.int() }),
]);

const slot = z.int();
/** {@link NodeWait} on the wire. */
export const nodeWaitSchema = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('timer'), slot, untilMs: atMs }),
  z.object({ kind: z.literal('retry'), slot, untilMs: atMs }),
  z.object({ kind: z.literal('signal'), slot, name: z.string(), key: z.string().optional(), untilMs: atMs }),
  z.object({ kind: z.literal('approval'), slot, approvalId: approvalIdSchema }),
  z.object({ kind: z.literal('agent'), slot, agent: z.string() }),
  z.object({ kind: z.literal('effect'), slot, effectId: effectIdSchema, tool: z.string() }),
]);

/** {@link RunView} on the wire. */
export const runViewSchema = runSummarySchema.extend({
  context: jsonObjectSchema,
  nodes: z.array(
    z.object({
      id: z.string(),
      agent: z.string().optional().describe('Absent for a node that only waits'),
      action: z.string().optional(),
      needs: z.array(z.string()),
      status: nodeStatusSchema,
      output: jsonValueSchema.optional(),
      error: failure.optional(),
      isCarried: z.boolean().optional().describe('The result is that of an earlier run'),
      startedAtMs: atMs.optional(),
      finishedAtMs: atMs.optional(),
      waits: z.array(nodeWaitSchema).describe('What its slots wait for that no worker does'),
      attempts: z.array(attemptSchema),
    }),
  ),
  effects: effectCountsSchema.optional().describe('How many effects stand where; absent where there are none'),
  blocker: blockerSchema.optional(),
});

/** `GET /v1/why/:id`: the one thing an unfinished run waits for, in words, with the command that looks further. */
export const whySchema = z.object({
  runId: runIdSchema,
  status: runStatusSchema,
  blocker: blockerSchema.optional(),
  /** One sentence for the person on call. */
  explanation: z.string(),
  /** The next command to type, where there is one. */
  nextCommand: z.string().optional(),
  sinceMs: z.int().describe('How long it has been so'),
});
/** {@link whySchema} */
export type Why = z.infer<typeof whySchema>;

/** `POST /v1/workflows`: stores a new immutable version (the same definition again: the version there is). */
export const deployWorkflowSchema = workflowDefinitionSchema;
/** A workflow as the API shows it. */
export const workflowViewSchema = z.object({
  id: workflowIdSchema,
  name: z.string(),
  version: z.int(),
  status: z.enum(['ACTIVE', 'DRAFT', 'ARCHIVED']),
  createdAtMs: atMs,
  updatedAtMs: atMs,
  definition: workflowDefinitionSchema,
});
/** {@link workflowViewSchema} */
export type WorkflowView = z.infer<typeof workflowViewSchema>;

/** `POST /v1/agents`: registers an agent by the directory (or file) it lies in; its `agent.json` is read there. */
export const registerAgentSchema = z.strictObject({
  entryPath: z
    .string()
    .min(1)
    .max(4_096)
    .describe('Absolute path, on the control plane’s machine, of a directory with agent.json, or of one source file'),
  /** Stand in for what a single file without manifest cannot say. */
  name: nameSchema.optional(),
  version: z.string().max(50).optional(),
  description: z.string().max(4_000).optional(),
  runtime: agentRuntimeSchema.optional(),
  riskLevel: riskLevelSchema.optional(),
  capabilities: z.array(capabilitySchema).max(100).optional(),
});
/** {@link registerAgentSchema} */
export type RegisterAgent = z.infer<typeof registerAgentSchema>;
/** An agent as the API shows it. */
export const agentViewSchema = z.object({
  id: agentIdSchema,
  name: z.string().describe('What nodes call it: with its project before it, as in 2/scanner, where that is not 1'),
  version: z.string(),
  trust: trustSchema,
  riskLevel: riskLevelSchema,
  registeredAtMs: atMs,
  updatedAtMs: atMs,
  spec: agentSpecSchema,
  breaker: breakerViewSchema.optional().describe('Absent where its manifest has none'),
});
/** {@link agentViewSchema} */
export type AgentView = z.infer<typeof agentViewSchema>;

/** `PUT /v1/agents/:name/rollout`: which share of new runs gets which version; without weights all get the current one. */
export const rolloutSchema = z.strictObject({
  weights: z
    .record(z.string().min(1).max(50), z.number().min(0).max(1_000_000))
    .refine((weights) => Object.keys(weights).length <= 20, 'at most 20 versions')
    .refine(
      (weights) => Object.keys(weights).length === 0 || Object.values(weights).some((weight) => weight > 0),
      'some weight must be above 0',
    ),
});
/** {@link rolloutSchema} */
export type RolloutInput = z.infer<typeof rolloutSchema>;
/** The versions of an agent, and how new runs are shared among them. */
export const agentVersionsSchema = z.object({
  name: z.string(),
  currentVersion: z.string().describe('What runs get that no rollout is for'),
  versions: z.array(
    z.object({
      version: z.string(),
      directory: z.string().optional(),
      trust: trustSchema,
      shareRatio: z.number().describe('Of the runs that begin from the last rollout on'),
    }),
  ),
  rollouts: z.array(z.object({ sinceMs: atMs, weights: z.record(z.string(), z.number()) })).describe('The newest first'),
});
/** {@link agentVersionsSchema} */
export type AgentVersions = z.infer<typeof agentVersionsSchema>;

/** An agent over MQTT as the API shows it: what it said of itself on the broker. */
export const mqttAgentViewSchema = z.object({
  kind: z.literal('mqtt'),
  name: z.string().describe('What nodes call it: mqtt/ and its id on the broker'),
  state: z.enum(['available', 'unavailable']).describe('As this control plane heard it; unavailable ones get nothing'),
  replicaCount: z.int().describe('Replicas that were heard and did not leave; one that said nothing yet is not among them'),
  capabilities: z.array(z.string()),
  description: z.string().optional(),
  isSimulated: z.boolean().describe('Its model is none'),
  heardAtMs: atMs,
});
/** {@link mqttAgentViewSchema} */
export type MqttAgentView = z.infer<typeof mqttAgentViewSchema>;
/** What `GET /v1/agents` lists: registered agents, then those over MQTT. */
export const listedAgentSchema = z.union([mqttAgentViewSchema, agentViewSchema]);
/** {@link listedAgentSchema} */
export type ListedAgent = z.infer<typeof listedAgentSchema>;

/** An approval as the API shows it. */
export const approvalViewSchema = z.object({
  id: approvalIdSchema,
  runId: runIdSchema,
  nodeId: z.string(),
  workflowName: z.string(),
  agent: z.string(),
  action: z.string().optional(),
  status: z.enum(['PENDING', 'APPROVED', 'REJECTED', 'EXPIRED', 'CANCELLED']),
  message: z.string().optional(),
  /** The resolved input, secrets redacted. */
  input: jsonValueSchema,
  /** SHA-256 of the resolved input as it will be handed over. */
  inputSha256: z.string(),
  requestedAtMs: atMs,
  expiresAtMs: atMs,
  excludeRequester: z.boolean().describe('Whoever started the run may not decide'),
  respondedAtMs: atMs.optional(),
  respondedBy: z.string().optional(),
  notes: z.string().optional(),
});
/** {@link approvalViewSchema} */
export type ApprovalView = z.infer<typeof approvalViewSchema>;
/** `POST /v1/approvals/:id/decision`. */
export const decideApprovalSchema = z.strictObject({
  decision: z.enum(['APPROVED', 'REJECTED']),
  notes: z.string().max(4_000).optional(),
  inputSha256: sha256.optional().describe('Of the input that was looked at; refused where another one waits'),
});
/** {@link decideApprovalSchema} */
export type DecideApproval = z.infer<typeof decideApprovalSchema>;

/** `POST /v1/approvals/:id/links`: an address at which whoever has it may decide, once. */
export const createLinkSchema = z.strictObject({
  expiresAfterMs: z
    .int()
    .min(1_000)
    .max(30 * dayMs)
    .optional()
    .describe('The approval’s own end where absent, and never later than that'),
});
/** {@link createLinkSchema} */
export type CreateLink = z.infer<typeof createLinkSchema>;
/** A link as it is told once, to whoever made it. */
export const approvalLinkSchema = z.object({ url: z.url(), approvalId: approvalIdSchema, expiresAtMs: atMs });
/** {@link approvalLinkSchema} */
export type ApprovalLink = z.infer<typeof approvalLinkSchema>;

/** A worker as the API shows it. */
export const workerViewSchema = z.object({
  id: workerIdSchema,
  name: z.string(),
  capabilities: z.array(z.string()),
  lacks: z.record(z.string(), z.string()).optional().describe('Why it has not what it looked for, as containers'),
  maxParallel: z.int(),
  heldCount: z.int(),
  state: z.enum(['connected', 'silent', 'cordoned', 'draining']),
  lastSeenAtMs: atMs,
});
/** {@link workerViewSchema} */
export type WorkerView = z.infer<typeof workerViewSchema>;

/** `GET /v1/status`: what the installation is and how it fares. */
export const statusSchema = z.object({
  version: z.string(),
  epoch: z.int(),
  authentication: z.enum(['api-key', 'none']),
  startedAtMs: atMs,
  runs: z.record(z.string(), z.int()).describe('Runs by status'),
  tickets: z.object({ ready: z.int(), leased: z.int(), delayed: z.int() }),
  workers: z.array(workerViewSchema),
  health: readinessSchema.extend({ canaries: z.array(canaryViewSchema) }),
});
/** {@link statusSchema} */
export type Status = z.infer<typeof statusSchema>;

/** Names of backups sort by the time they were begun: `backup-20260102-030405-678`. */
export const backupNameSchema = z.string().regex(/^backup-\d{8}-\d{6}-\d{3}$/, 'expected a name that GET /v1/backups lists');
/** `POST /v1/backups`. */
export const createBackupSchema = z.strictObject({
  keep: z.int().min(1).max(1_000).optional().describe('Remove the oldest whole backups, once this one is written, until so many are left'),
});
/** {@link createBackupSchema} */
export type CreateBackup = z.infer<typeof createBackupSchema>;
/** Query of `GET /v1/backups/:name`. */
export const backupQuerySchema = z.strictObject({
  waitMs: z.coerce.number().int().min(0).max(30_000).default(0).describe('How long to wait for a backup that is being written'),
});
/** A backup as the API shows it. */
export const backupViewSchema = z.object({
  name: backupNameSchema,
  state: z.enum(['WRITING', 'COMPLETE', 'FAILED', 'DAMAGED']).describe('DAMAGED: its manifest cannot be read'),
  path: z.string().describe('Directory on the control plane’s machine'),
  createdAtMs: atMs.optional().describe('The moment whose state it holds, by the database’s clock'),
  sizeBytes: z.int().optional(),
  rowCount: z.int().optional(),
  schemaVersion: z.int().optional(),
  productVersion: z.string().optional(),
  epoch: z.int().optional(),
  error: z.object({ code: z.string(), message: z.string() }).optional(),
});
/** {@link backupViewSchema} */
export type BackupView = z.infer<typeof backupViewSchema>;
/** `GET /v1/backups/:name/verification`. */
export const backupVerificationSchema = z.object({
  isSound: z.boolean(),
  faults: z.array(z.object({ part: z.string(), message: z.string() })).describe('At most 100'),
  partCount: z.int(),
  rowCount: z.int(),
  auditEntryCount: z.int(),
  unprovenEntryCount: z.int().describe('Audit entries from before payloads were kept: only their place in the chain can be checked'),
});
/** {@link backupVerificationSchema} */
export type BackupVerification = z.infer<typeof backupVerificationSchema>;

/**
 * `GET /v1/runs/:id/events` (SSE): `data` of each event. `id` is `version.index`; absent for `attempt.progressed`, which is not
 * kept, and for `stream.ended`, which is no event of the run.
 */
export const runStreamEventSchema = z.looseObject({ type: z.string(), atMs });
