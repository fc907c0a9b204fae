import { type TenantId, type WorkflowId } from '@hivekeeper/contract';
import { z } from 'zod';
import type { StoredWorkflow } from '../../records/registry/index.ts';
import { type App, callerOf, idempotencyOf, mustTakeWork, triggerHeadersSchema } from '../route.ts';
import type { Services } from '../services.ts';
import { definitionOf } from './definition.ts';
import { refusal } from './refusal.ts';
import { renamed } from './renamed.ts';
import { AgentRows, runRowOf, workflowRowOf } from './rows.ts';
import {
  changeWorkflowSchema,
  createWorkflowSchema,
  facadeAnswers,
  facadeErrorSchema,
  idParams,
  runRowSchema,
  triggerWorkflowSchema,
  workflowRowSchema,
  workflowsQuerySchema,
} from './schemas.ts';

const tags = ['CommandCenter: workflows'];
const runsListed = 50;
const startedSchema = z.object({ workflowRunId: z.string(), status: z.literal('PENDING'), message: z.string() });

/** `/api/workflows`: keeping and starting them. */
export function addFacadeWorkflows(app: App, services: Services): void {
  app.post(
    '/api/workflows',
    {
      config: { access: 'administer' },
      schema: { summary: 'Create a workflow', tags, body: createWorkflowSchema, response: facadeAnswers({ 201: workflowRowSchema }) },
    },
    async (request, reply) => {
      const { tenantId, subject } = callerOf(request);
      const agents = await services.agents.list(tenantId);
      const definition = definitionOf(request.body, new Map(agents.map(({ id, name }) => [id, name])));
      const creation = services.workflows.create({ tenantId, projectId: request.body.projectId, definition, by: subject });
      const workflow = await renamed(creation, { ALREADY_EXISTS: 'Workflow with this name already exists for this project' });
      return reply.code(201).send(workflowRowOf(workflow, new AgentRows(agents)));
    },
  );
  app.get(
    '/api/workflows',
    {
      config: { access: 'read' },
      schema: {
        summary: 'The workflows of a project, newest first',
        tags,
        querystring: workflowsQuerySchema,
        response: facadeAnswers({ 200: z.array(workflowRowSchema) }),
      },
    },
    async (request) => {
      const { tenantId } = callerOf(request);
      const [workflows, agents] = await Promise.all([services.workflows.list(tenantId, request.query), agentRowsOf(services, tenantId)]);
      return [...workflows].sort((a, b) => b.createdAtMs - a.createdAtMs).map((workflow) => workflowRowOf(workflow, agents));
    },
  );
  app.get(
    '/api/workflows/:id',
    {
      config: { access: 'read' },
      schema: {
        summary: 'A workflow with its nodes and their agents',
        tags,
        params: idParams,
        response: facadeAnswers({ 200: workflowRowSchema }),
      },
    },
    async (request) => {
      const { tenantId } = callerOf(request);
      return workflowRowOf(await workflowOf(services, tenantId, request.params.id), await agentRowsOf(services, tenantId));
    },
  );
  addChanges(app, services);
  addTrigger(app, services);
}

function addChanges(app: App, services: Services): void {
  app.put(
    '/api/workflows/:id',
    {
      config: { access: 'administer' },
      schema: {
        summary: 'Change a workflow’s description or status',
        tags,
        params: idParams,
        body: changeWorkflowSchema,
        response: facadeAnswers({ 200: workflowRowSchema }),
      },
    },
    async (request) => {
      const { tenantId, subject } = callerOf(request);
      const { id } = await workflowOf(services, tenantId, request.params.id);
      return workflowRowOf(
        await services.workflows.update({ tenantId, id, ...request.body, by: subject }),
        await agentRowsOf(services, tenantId),
      );
    },
  );
  app.delete(
    '/api/workflows/:id',
    {
      config: { access: 'administer' },
      schema: {
        summary: 'Take a workflow out of use; its runs stay readable',
        tags,
        params: idParams,
        response: facadeAnswers({ 204: z.null() }),
      },
    },
    async (request, reply) => {
      const { tenantId, subject } = callerOf(request);
      const { id } = await workflowOf(services, tenantId, request.params.id);
      await services.workflows.remove(tenantId, id, subject);
      return reply.code(204).send(null);
    },
  );
}

function addTrigger(app: App, services: Services): void {
  app.post(
    '/api/workflows/:id/trigger',
    {
      config: { access: 'operate' },
      schema: {
        summary: 'Start a run',
        tags,
        params: idParams,
        headers: triggerHeadersSchema,
        body: triggerWorkflowSchema,
        response: facadeAnswers({ 202: startedSchema, 400: facadeErrorSchema }),
      },
    },
    async (request, reply) => {
      mustTakeWork(services);
      const { tenantId, subject } = callerOf(request);
      const workflow = await workflowOf(services, tenantId, request.params.id);
      if (workflow.status !== 'ACTIVE')
        return refusal(reply, { code: 'WORKFLOW_NOT_ACTIVE', error: 'Cannot trigger non-active workflow', currentStatus: workflow.status });
      const trigger = {
        tenantId,
        workflow: { id: workflow.id },
        context: request.body.contextJson ?? request.body.context ?? {},
        kind: 'manual',
        by: subject,
        idempotency: idempotencyOf(request),
      };
      const { runId, isReplay } = await services.triggers.fire(trigger);
      if (isReplay) void reply.header('idempotent-replayed', 'true');
      return reply.code(202).send({ workflowRunId: runId, status: 'PENDING' as const, message: 'Workflow execution started' });
    },
  );
  app.get(
    '/api/workflows/:id/runs',
    {
      config: { access: 'read' },
      schema: {
        summary: 'The last 50 runs, newest first',
        tags,
        params: idParams,
        response: facadeAnswers({ 200: z.array(runRowSchema) }),
      },
    },
    async (request) => {
      const { tenantId } = callerOf(request);
      const { id } = await workflowOf(services, tenantId, request.params.id);
      return (await services.runStore.list(tenantId, { workflowId: id, limit: runsListed })).map(runRowOf);
    },
  );
}

const agentRowsOf = async (services: Services, tenantId: TenantId): Promise<AgentRows> =>
  new AgentRows(await services.agents.list(tenantId));

const workflowOf = (services: Services, tenantId: TenantId, id: string): Promise<StoredWorkflow> =>
  renamed(services.workflows.get(tenantId, { id: id as WorkflowId }), { NOT_FOUND: 'Workflow not found' });
