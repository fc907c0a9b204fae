import { type ApprovalId, type ApprovalView, HiveError, type RunId, type RunSummary, type TenantId } from '@hivekeeper/contract';
import { z } from 'zod';
import { previewOf } from '../preview.ts';
import { type App, callerOf } from '../route.ts';
import type { Services } from '../services.ts';
import { refusal } from './refusal.ts';
import { AgentRows, approvalRowOf, recordedDecider, runRowOf } from './rows.ts';
import { approvalsQuerySchema, decideSchema, facadeAnswers, facadeErrorSchema, idParams, wholeApprovalSchema } from './schemas.ts';

const tags = ['CommandCenter: approvals'];

/** `/api/approvals`. */
export function addFacadeApprovals(app: App, services: Services): void {
  app.get(
    '/api/approvals',
    {
      config: { access: 'read' },
      schema: {
        summary: 'Approvals with their runs and nodes',
        tags,
        querystring: approvalsQuerySchema,
        response: facadeAnswers({ 200: z.array(wholeApprovalSchema) }),
      },
    },
    async (request) => {
      const { tenantId } = callerOf(request);
      const { status, workflowRunId } = request.query;
      const runId = workflowRunId as RunId | undefined;
      return wholeApprovalsOf(services, tenantId, await services.runStore.approvals(tenantId, { status, runId }));
    },
  );
  app.post(
    '/api/approvals/:id/decision',
    {
      config: { access: 'approve' },
      schema: {
        summary: 'Decide an approval',
        tags,
        params: idParams,
        body: decideSchema,
        response: facadeAnswers({ 200: wholeApprovalSchema, 400: facadeErrorSchema }),
      },
    },
    async (request, reply) => {
      const { tenantId, subject } = callerOf(request);
      const { decision, respondedBy, notes } = request.body;
      const before = await approvalOf(services, tenantId, request.params.id);
      try {
        await services.orders.decideApproval({
          tenantId,
          approvalId: before.id,
          approved: decision === 'APPROVED',
          by: recordedDecider(respondedBy, subject),
          subject,
          notes: notes ?? undefined,
        });
      } catch (error) {
        if (!HiveError.is(error) || error.code !== 'APPROVAL_ALREADY_DECIDED') throw error;
        const { status } = await approvalOf(services, tenantId, request.params.id);
        return refusal(reply, { code: error.code, error: 'Approval already processed', status });
      }
      const approval = await approvalOf(services, tenantId, request.params.id);
      const [known, run] = await Promise.all([services.agents.list(tenantId), services.runStore.summary(tenantId, approval.runId)]);
      if (run === undefined) throw new HiveError('NOT_FOUND', 'Approval not found');
      return reply.send(wholeApprovalOf(previewOf(services.redaction, approval), run, new AgentRows(known)));
    },
  );
}

async function approvalOf({ runStore }: Services, tenantId: TenantId, id: string): Promise<ApprovalView> {
  const approval = await runStore.approval(tenantId, id as ApprovalId);
  if (approval === undefined) throw new HiveError('NOT_FOUND', 'Approval not found');
  return approval;
}

async function wholeApprovalsOf({ runStore, agents, redaction }: Services, tenantId: TenantId, approvals: readonly ApprovalView[]) {
  const runIds = [...new Set(approvals.map(({ runId }) => runId))];
  const [known, summaries] = await Promise.all([
    agents.list(tenantId),
    Promise.all(runIds.map((runId) => runStore.summary(tenantId, runId))),
  ]);
  const rows = new AgentRows(known);
  const runs = new Map(summaries.filter((run) => run !== undefined).map((run) => [run.id, run]));
  return approvals.flatMap((approval) => {
    const run = runs.get(approval.runId);
    return run === undefined ? [] : [wholeApprovalOf(previewOf(redaction, approval), run, rows)];
  });
}

const wholeApprovalOf = (approval: ApprovalView, run: RunSummary, rows: AgentRows) => ({
  ...approvalRowOf(approval),
  workflowRun: { ...runRowOf(run), workflow: { id: run.workflowId, name: run.workflowName } },
  node: { id: approval.nodeId, ...rows.of(approval.agent), action: approval.action ?? '', inputsJson: approval.input },
});
