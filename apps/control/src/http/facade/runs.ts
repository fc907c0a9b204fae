import { HiveError, type RunId, type RunSummary, type RunView, type TenantId } from '@hivekeeper/contract';
import { z } from 'zod';
import { type App, callerOf, mustTakeWork } from '../route.ts';
import type { Services } from '../services.ts';
import { refusal } from './refusal.ts';
import { renamed } from './renamed.ts';
import { agentRunRowsOf, AgentRows, approvalRowOf, runRowOf, workflowRowOf } from './rows.ts';
import { agentRunRowSchema, facadeAnswers, facadeErrorSchema, wholeRunSchema } from './schemas.ts';

const tags = ['CommandCenter: runs'];
const id = z.string().max(200);
const runParams = z.strictObject({ runId: id });
const bothParams = z.strictObject({ workflowId: id, runId: id });
const retriedSchema = z.object({ workflowRunId: z.string(), originalRunId: z.string(), status: z.literal('PENDING'), message: z.string() });
const strange = { code: 'NOT_FOUND', error: 'Workflow run does not belong to specified workflow' } as const;

/** `/api/workflows/…/runs`: looking at runs, and retrying them. */
export function addFacadeRuns(app: App, services: Services): void {
  app.get(
    '/api/workflows/:workflowId/runs/:runId',
    {
      config: { access: 'read' },
      schema: {
        summary: 'A run with its workflow, agent runs and approvals',
        tags,
        params: bothParams,
        response: facadeAnswers({ 200: wholeRunSchema, 400: facadeErrorSchema }),
      },
    },
    async (request, reply) => {
      const { tenantId } = callerOf(request);
      const run = await runOf(services, tenantId, request.params.runId);
      if (run.workflowId !== request.params.workflowId) return refusal(reply, strange);
      return reply.send(await wholeRunOf(services, tenantId, run));
    },
  );
  app.get(
    '/api/workflows/:workflowId/runs/:runId/agent-runs',
    {
      config: { access: 'read' },
      schema: {
        summary: 'The agent runs of a run, running ones included',
        tags,
        params: bothParams,
        response: facadeAnswers({ 200: z.array(agentRunRowSchema), 400: facadeErrorSchema }),
      },
    },
    async (request, reply) => {
      const { tenantId } = callerOf(request);
      const run = await runOf(services, tenantId, request.params.runId);
      if (run.workflowId !== request.params.workflowId) return refusal(reply, strange);
      return reply.send(agentRunRowsOf(run, new AgentRows(await services.agents.list(tenantId))));
    },
  );
  app.get(
    '/api/workflows/runs/:runId/agent-runs',
    {
      config: { access: 'read' },
      schema: {
        summary: 'The agent runs of a run, running ones included',
        tags,
        params: runParams,
        response: facadeAnswers({ 200: z.array(agentRunRowSchema) }),
      },
    },
    async (request) => {
      const { tenantId } = callerOf(request);
      return agentRunRowsOf(await runOf(services, tenantId, request.params.runId), new AgentRows(await services.agents.list(tenantId)));
    },
  );
  addRetry(app, services);
}

function addRetry(app: App, services: Services): void {
  app.post(
    '/api/workflows/runs/:runId/retry',
    {
      config: { access: 'operate' },
      schema: {
        summary: 'Run a failed run’s workflow again, whole',
        tags,
        params: runParams,
        body: z.strictObject({}),
        response: facadeAnswers({ 202: retriedSchema, 400: facadeErrorSchema }),
      },
    },
    async (request, reply) => {
      mustTakeWork(services);
      const { tenantId, subject } = callerOf(request);
      const { id: originalRunId, status } = await summaryOf(services, tenantId, request.params.runId);
      try {
        const rerun = { kind: 'retry', from: 'start' } as const;
        const { runId: workflowRunId } = await services.triggers.rerun({ tenantId, runId: originalRunId, rerun, by: subject });
        return reply.code(202).send({ workflowRunId, originalRunId, status: 'PENDING' as const, message: 'Workflow retry started' });
      } catch (error) {
        if (!HiveError.is(error) || error.code !== 'RUN_NOT_RETRYABLE') throw error;
        return refusal(reply, { code: error.code, error: 'Can only retry failed workflow runs', currentStatus: status });
      }
    },
  );
}

const notFound = 'Workflow run not found';

const runOf = (services: Services, tenantId: TenantId, runId: string): Promise<RunView> =>
  renamed(services.runs.view(tenantId, runId as RunId), { NOT_FOUND: notFound });

async function summaryOf({ runStore }: Services, tenantId: TenantId, runId: string): Promise<RunSummary> {
  const summary = await runStore.summary(tenantId, runId as RunId);
  if (summary === undefined) throw new HiveError('NOT_FOUND', notFound);
  return summary;
}

async function wholeRunOf({ workflows, agents, runStore }: Services, tenantId: TenantId, run: RunView) {
  const [workflow, known, approvals] = await Promise.all([
    // A workflow that was deleted since is null; its run stays readable.
    workflows
      .get(tenantId, { id: run.workflowId }, run.workflowVersion)
      .catch((error: unknown) => (HiveError.is(error) && error.code === 'NOT_FOUND' ? null : Promise.reject(error))),
    agents.list(tenantId),
    runStore.approvals(tenantId, { runId: run.id }),
  ]);
  const rows = new AgentRows(known);
  return {
    ...runRowOf(run),
    contextJson: run.context,
    workflow: workflow === null ? null : workflowRowOf(workflow, rows),
    agentRuns: agentRunRowsOf(run, rows),
    approvals: approvals.map(approvalRowOf),
  };
}
