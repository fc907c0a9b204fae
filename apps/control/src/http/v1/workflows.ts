import {
  deployWorkflowSchema,
  HiveError,
  nameSchema,
  startRunSchema,
  type TenantId,
  workflowIdSchema,
  type WorkflowView,
  workflowViewSchema,
} from '@hivekeeper/contract';
import { z } from 'zod';
import type { Reference, StoredWorkflow } from '../../records/registry/index.ts';
import { answers, type App, callerOf, idempotencyOf, maxInteger, mustTakeWork, noQuery, triggerHeadersSchema } from '../route.ts';
import type { Services } from '../services.ts';

const tags = ['workflows'];
const nameParams = z.strictObject({ name: nameSchema.describe('The workflow’s name or id') });
const issuesSchema = z.object({
  issues: z.array(z.object({ path: z.string(), message: z.string() })).describe('Empty where the workflow may be deployed'),
});
const startedSchema = z.object({ id: z.string(), status: z.literal('PENDING'), workflowVersion: z.int() });

/** Workflows: deploying, reading, starting. */
export function addWorkflows(app: App, services: Services): void {
  addDeployment(app, services);
  app.get(
    '/v1/workflows',
    {
      config: { access: 'read' },
      schema: {
        summary: 'Every workflow, in its latest version',
        tags,
        querystring: noQuery,
        response: answers({ 200: z.array(workflowViewSchema) }),
      },
    },
    async (request) => (await services.workflows.list(callerOf(request).tenantId)).map(viewOf),
  );
  app.get(
    '/v1/workflows/:name',
    {
      config: { access: 'read' },
      schema: {
        summary: 'A workflow in its latest version, or the one asked for',
        tags,
        params: nameParams,
        querystring: z.strictObject({ version: z.coerce.number().int().min(1).max(maxInteger).optional() }),
        response: answers({ 200: workflowViewSchema }),
      },
    },
    async (request) =>
      viewOf(await services.workflows.get(callerOf(request).tenantId, referenceOf(request.params.name), request.query.version)),
  );
  addTrigger(app, services);
}

function addDeployment(app: App, services: Services): void {
  app.post(
    '/v1/workflows',
    {
      config: { access: 'administer' },
      schema: {
        summary: 'Store a new version; 200 where the definition is the version there is',
        tags,
        querystring: noQuery,
        body: deployWorkflowSchema,
        response: answers({ 200: workflowViewSchema, 201: workflowViewSchema }),
      },
    },
    async (request, reply) => {
      const { tenantId, subject } = callerOf(request);
      const before = await latestVersionOf(services, tenantId, request.body.name);
      const workflow = await services.workflows.deploy({ tenantId, definition: request.body, by: subject });
      return reply.code(workflow.version > before ? 201 : 200).send(viewOf(workflow));
    },
  );
  app.post(
    '/v1/workflows/validate',
    {
      config: { access: 'read' },
      schema: {
        summary: 'What deploying would refuse; stores nothing',
        tags,
        querystring: noQuery,
        body: deployWorkflowSchema,
        response: answers({ 200: issuesSchema }),
      },
    },
    async (request) => ({ issues: [...(await services.workflows.issuesOf(callerOf(request).tenantId, request.body))] }),
  );
}

function addTrigger(app: App, services: Services): void {
  app.post(
    '/v1/workflows/:name/runs',
    {
      config: { access: 'operate' },
      schema: {
        summary: 'Start a run',
        tags,
        params: nameParams,
        querystring: noQuery,
        headers: triggerHeadersSchema,
        body: startRunSchema,
        response: answers({ 202: startedSchema }),
      },
    },
    async (request, reply) => {
      mustTakeWork(services);
      const { tenantId, subject } = callerOf(request);
      const trigger = {
        tenantId,
        workflow: referenceOf(request.params.name),
        context: request.body.context,
        kind: 'api',
        by: subject,
        idempotency: idempotencyOf(request),
      };
      const { runId, workflowVersion, isReplay } = await services.triggers.fire(trigger);
      if (isReplay) void reply.header('idempotent-replayed', 'true');
      return reply.code(202).send({ id: runId, status: 'PENDING' as const, workflowVersion });
    },
  );
}

const referenceOf = (name: string): Reference => (workflowIdSchema.safeParse(name).success ? { id: name } : { name });

async function latestVersionOf(services: Services, tenantId: TenantId, name: string): Promise<number> {
  try {
    return (await services.workflows.get(tenantId, { name })).version;
  } catch (error) {
    if (HiveError.is(error) && error.code === 'NOT_FOUND') return 0;
    throw error;
  }
}

const viewOf = ({ id, name, version, status, createdAtMs, updatedAtMs, definition }: StoredWorkflow): WorkflowView => ({
  id,
  name,
  version,
  status,
  createdAtMs,
  updatedAtMs,
  definition,
});
