import {
  type ApprovalId,
  approvalIdSchema,
  type ApprovalView,
  approvalViewSchema,
  decideApprovalSchema,
  HiveError,
  type TenantId,
} from '@hivekeeper/contract';
import { z } from 'zod';
import { answers, type App, callerOf, noQuery } from '../route.ts';
import type { Services } from '../services.ts';

const tags = ['approvals'];
const access = 'admin';
const params = z.strictObject({ id: approvalIdSchema });

/** Approvals: listing, reading, deciding. */
export function addApprovals(app: App, services: Services): void {
  app.get(
    '/v1/approvals',
    {
      config: { access },
      schema: {
        summary: 'Approvals, newest first',
        tags,
        querystring: z.strictObject({ status: approvalViewSchema.shape.status.optional() }),
        response: answers({ 200: z.array(approvalViewSchema) }),
      },
    },
    async (request) => [...(await services.runStore.approvals(callerOf(request).tenantId, request.query))],
  );
  app.get(
    '/v1/approvals/:id',
    {
      config: { access },
      schema: { summary: 'An approval', tags, params, querystring: noQuery, response: answers({ 200: approvalViewSchema }) },
    },
    async (request) => approvalOf(services, callerOf(request).tenantId, request.params.id),
  );
  app.post(
    '/v1/approvals/:id/decision',
    {
      config: { access },
      schema: {
        summary: 'Decide an approval',
        tags,
        params,
        querystring: noQuery,
        body: decideApprovalSchema,
        response: answers({ 200: approvalViewSchema }),
      },
    },
    async (request) => {
      const { tenantId, subject } = callerOf(request);
      const { decision, notes } = request.body;
      await services.orders.decideApproval({
        tenantId,
        approvalId: request.params.id,
        approved: decision === 'APPROVED',
        by: subject,
        notes,
      });
      return approvalOf(services, tenantId, request.params.id);
    },
  );
}

async function approvalOf(services: Services, tenantId: TenantId, approvalId: ApprovalId): Promise<ApprovalView> {
  const approval = await services.runStore.approval(tenantId, approvalId);
  if (approval === undefined) throw new HiveError('NOT_FOUND', `there is no approval ${approvalId}`);
  return approval;
}
