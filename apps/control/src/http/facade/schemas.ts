import {
  approvalViewSchema,
  jsonObjectSchema,
  triggerSchema,
  nameSchema,
  projectIdSchema as projectId,
  riskLevelSchema,
  workflowViewSchema,
} from '@hivekeeper/contract';
import { z } from 'zod';
import { answers, maxInteger } from '../route.ts';

/** What an agent is, in CommandCenter's words; kept as given, it decides nothing here. */
export const agentTypeSchema = z.enum(['LLM', 'RULE', 'API', 'SCRIPT']);

const semver = z
  .string()
  .max(50)
  .regex(/^\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?$/, 'expected a semantic version such as 1.2.3');
const capability = z.strictObject({
  name: z.string().min(1).max(100),
  description: z.string().max(4_000).nullish(),
  riskLevel: riskLevelSchema.optional().describe('The agent’s where absent'),
  inputSchema: jsonObjectSchema.optional(),
  outputSchema: jsonObjectSchema.optional(),
});

/** `POST /api/agents`. */
export const createAgentSchema = z.strictObject({
  projectId,
  name: nameSchema,
  type: agentTypeSchema,
  description: z.string().max(4_000).nullish(),
  entryPath: z.string().min(1).max(4_096).describe('A directory or a file on the control plane’s machine'),
  version: semver,
  riskLevel: riskLevelSchema,
  capabilities: z.array(capability).max(100).optional(),
});
/** {@link createAgentSchema} */
export type CreateAgent = z.infer<typeof createAgentSchema>;

/** `PUT /api/agents/:id`: the fields that can be changed. */
export const changeAgentSchema = z.strictObject({
  description: z.string().max(4_000).nullish(),
  entryPath: z.string().min(1).max(4_096).optional(),
  version: semver.optional(),
  riskLevel: riskLevelSchema.optional(),
});

const symbol = z.string().min(1).max(200);
const node = z.strictObject({
  agentId: z.string().min(1).max(200),
  action: z.string().min(1).max(100),
  inputsJson: jsonObjectSchema,
  dependsOn: z.array(symbol).max(1_000).default([]).describe('Other nodes, by `_symbolicId` or as `node-<index>`'),
  approvalRequired: z.boolean().default(false),
  _symbolicId: symbol.optional(),
});
/** A node as CommandCenter's clients write it. */
export type FacadeNode = z.infer<typeof node>;

/** `POST /api/workflows`. */
export const createWorkflowSchema = z.strictObject({
  projectId,
  name: nameSchema,
  description: z.string().max(4_000).nullish(),
  trigger: triggerSchema.refine((trigger) => trigger !== null, 'expected a JSON value other than null'),
  nodes: z.array(node).min(1).max(10_000),
  status: z.literal('ACTIVE', 'a new workflow is ACTIVE; change its status with PUT').optional(),
});
/** {@link createWorkflowSchema} */
export type CreateWorkflow = z.infer<typeof createWorkflowSchema>;

/** `PUT /api/workflows/:id`. */
export const changeWorkflowSchema = z.strictObject({
  description: z.string().max(4_000).optional(),
  status: workflowViewSchema.shape.status.optional(),
});

/** `POST /api/workflows/:id/trigger`; its clients send one name or the other. */
export const triggerWorkflowSchema = z
  .strictObject({ contextJson: jsonObjectSchema.nullish(), context: jsonObjectSchema.nullish() })
  .refine(({ contextJson, context }) => (contextJson ?? undefined) === undefined || (context ?? undefined) === undefined, {
    path: ['context'],
    message: 'send contextJson or context, not both',
  });

/** `POST /api/approvals/:id/decision`. */
export const decideSchema = z.strictObject({
  decision: z.enum(['APPROVED', 'REJECTED']),
  respondedBy: z.string().min(1).max(200),
  notes: z.string().max(4_000).nullish(),
});

const queryProjectId = z.coerce.number().int().min(1).max(maxInteger);
/** `GET /api/agents`. */
export const agentsQuerySchema = z.strictObject({ projectId: queryProjectId });
/** `GET /api/workflows`. */
export const workflowsQuerySchema = z.strictObject({ projectId: queryProjectId, status: workflowViewSchema.shape.status.optional() });
/** `GET /api/approvals`. */
export const approvalsQuerySchema = z.strictObject({
  status: approvalViewSchema.shape.status.optional(),
  workflowRunId: z.string().max(200).optional(),
});
/** Ids in paths: any text; one that names nothing is 404. */
export const idParams = z.strictObject({ id: z.string().max(200) });

const instant = z.iso.datetime();
const text = z.string();

/** A row of `agents`. */
export const agentRowSchema = z.object({
  id: text,
  projectId: z.int(),
  name: text,
  type: agentTypeSchema,
  description: text.nullable(),
  entryPath: text,
  version: text,
  riskLevel: riskLevelSchema,
  registeredAt: instant,
  updatedAt: instant,
  capabilities: z.array(
    z.object({
      id: text,
      agentId: text,
      name: text,
      description: text.nullable(),
      riskLevel: riskLevelSchema,
      inputSchema: z.unknown(),
      outputSchema: z.unknown(),
    }),
  ),
});
/** {@link agentRowSchema} */
export type AgentRow = z.infer<typeof agentRowSchema>;

const nodeRow = z.object({
  id: text.describe('The node’s `_symbolicId`, so that `{{ nodes.<id>.output }}` names it'),
  workflowId: text,
  agentId: text,
  action: text,
  inputsJson: z.unknown(),
  dependsOn: z.array(text),
  approvalRequired: z.boolean(),
  agent: agentRowSchema.nullable(),
});
/** A row of `workflow_nodes`. */
export type NodeRow = z.infer<typeof nodeRow>;

/** A row of `workflows`, with its nodes. */
export const workflowRowSchema = z.object({
  id: text,
  projectId: z.int(),
  name: text,
  description: text.nullable(),
  trigger: z.unknown(),
  status: workflowViewSchema.shape.status,
  createdAt: instant,
  updatedAt: instant,
  nodes: z.array(nodeRow),
});
/** {@link workflowRowSchema} */
export type WorkflowRow = z.infer<typeof workflowRowSchema>;

/** A row of `workflow_runs`. */
export const runRowSchema = z.object({
  id: text,
  workflowId: text,
  trigger: text,
  status: text,
  startedAt: instant,
  finishedAt: instant.nullable(),
  error: text.nullable(),
  errorCode: text.nullable(),
});
/** {@link runRowSchema} */
export type RunRow = z.infer<typeof runRowSchema>;

/** A row of `agent_runs`: one attempt, from the moment it was issued. */
export const agentRunRowSchema = z.object({
  id: text,
  agentId: text,
  workflowRunId: text,
  nodeId: text,
  inputJson: z.unknown(),
  outputJson: z.unknown(),
  status: text,
  error: text.nullable(),
  startedAt: instant,
  finishedAt: instant.nullable(),
  durationMs: z.int().nullable(),
  agent: agentRowSchema.nullable(),
});
/** {@link agentRunRowSchema} */
export type AgentRunRow = z.infer<typeof agentRunRowSchema>;

/** A row of `workflow_approvals`. */
export const approvalRowSchema = z.object({
  id: text,
  workflowRunId: text,
  nodeId: text,
  status: text,
  requestedAt: instant,
  expiresAt: instant,
  respondedAt: instant.nullable(),
  respondedBy: text.nullable(),
  notes: text.nullable(),
});
/** {@link approvalRowSchema} */
export type ApprovalRow = z.infer<typeof approvalRowSchema>;

/** A run with all that belongs to it. */
export const wholeRunSchema = runRowSchema.extend({
  contextJson: z.unknown(),
  workflow: workflowRowSchema.nullable(),
  agentRuns: z.array(agentRunRowSchema),
  approvals: z.array(approvalRowSchema),
});
/** An approval with the run and the node it belongs to. */
export const wholeApprovalSchema = approvalRowSchema.extend({
  workflowRun: runRowSchema.extend({ workflow: z.object({ id: text, name: text }) }),
  node: z.object({ id: text, agentId: text, action: text, inputsJson: z.unknown(), agent: agentRowSchema.nullable() }),
});

/** The body of every error under `/api`. */
export const facadeErrorSchema = z.looseObject({
  error: text,
  code: text.describe('From the error catalogue'),
  remedy: text.optional(),
  requestId: text.optional(),
  issues: z.array(z.object({ path: text, message: text })).optional(),
});

/** The answers of a route under `/api`. */
export const facadeAnswers = <Own extends Record<number, z.ZodType>>(own: Own) => ({
  ...answers(own),
  '4xx': facadeErrorSchema,
  '5xx': facadeErrorSchema,
});

/** What the OpenAPI document names. */
export const facadeComponents = {
  FacadeAgent: agentRowSchema,
  FacadeAgentRun: agentRunRowSchema,
  FacadeApproval: wholeApprovalSchema,
  FacadeError: facadeErrorSchema,
  FacadeRun: runRowSchema,
  FacadeWorkflow: workflowRowSchema,
};
