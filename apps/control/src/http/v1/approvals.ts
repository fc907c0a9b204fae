import {
  type ApprovalId,
  approvalIdSchema,
  approvalLinkSchema,
  type ApprovalView,
  approvalViewSchema,
  createLinkSchema,
  decideApprovalSchema,
  HiveError,
  runIdSchema,
  type TenantId,
} from '@hivekeeper/contract';
import type { FastifyRequest } from 'fastify';
import { z } from 'zod';
import { linkPath } from '../approval-page/index.ts';
import { previewOf } from '../preview.ts';
import { answers, type App, callerOf, noQuery } from '../route.ts';
import type { Services } from '../services.ts';

const tags = ['approvals'];
const params = z.strictObject({ id: approvalIdSchema });

/** Approvals: listing, reading, deciding, and links by which others decide. */
export function addApprovals(app: App, services: Services): void {
  app.get(
    '/v1/approvals',
    {
      config: { access: 'read' },
      schema: {
        summary: 'Approvals, newest first',
        tags,
        querystring: z.strictObject({ status: approvalViewSchema.shape.status.optional(), runId: runIdSchema.optional() }),
        response: answers({ 200: z.array(approvalViewSchema) }),
      },
    },
    async (request) =>
      (await services.runStore.approvals(callerOf(request).tenantId, request.query)).map((approval) =>
        previewOf(services.redaction, approval),
      ),
  );
  app.get(
    '/v1/approvals/:id',
    {
      config: { access: 'read' },
      schema: { summary: 'An approval', tags, params, querystring: noQuery, response: answers({ 200: approvalViewSchema }) },
    },
    async (request) => previewOf(services.redaction, await approvalOf(services, callerOf(request).tenantId, request.params.id)),
  );
  addDecision(app, services);
  addLinks(app, services);
}

function addDecision(app: App, services: Services): void {
  app.post(
    '/v1/approvals/:id/decision',
    {
      config: { access: 'approve' },
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
      const { decision, notes, inputSha256 } = request.body;
      const approvalId = request.params.id;
      await services.orders.decideApproval({ tenantId, approvalId, approved: decision === 'APPROVED', by: subject, notes, inputSha256 });
      return previewOf(services.redaction, await approvalOf(services, tenantId, approvalId));
    },
  );
}

function addLinks(app: App, services: Services): void {
  app.post(
    '/v1/approvals/:id/links',
    {
      config: { access: 'approve' },
      schema: {
        summary: 'Make a signed link by which whoever has it decides the approval, once',
        tags,
        params,
        querystring: noQuery,
        body: createLinkSchema,
        response: answers({ 201: approvalLinkSchema }),
      },
    },
    async (request, reply) => {
      const { tenantId, subject } = callerOf(request);
      const approvalId = request.params.id;
      await services.orders.mayDecide({ tenantId, approvalId, by: subject });
      const { inputSha256, expiresAtMs: approvalEndsAtMs } = await approvalOf(services, tenantId, approvalId);
      const { expiresAfterMs = Infinity } = request.body;
      const expiresAtMs = Math.min(Math.floor(services.clock.nowMs()) + expiresAfterMs, approvalEndsAtMs);
      const link = await services.links.create({ tenantId, approvalId, inputSha256, expiresAtMs, createdBy: subject });
      return reply.code(201).send({ url: `${originOf(services, request)}${linkPath(link)}`, approvalId, expiresAtMs });
    },
  );
}

/** Where people reach this: as configured, else as the caller did. */
const originOf = ({ publicUrl }: Services, { protocol, host }: FastifyRequest): string =>
  publicUrl?.replace(/\/+$/, '') ?? `${protocol}://${host}`;

async function approvalOf(services: Services, tenantId: TenantId, approvalId: ApprovalId): Promise<ApprovalView> {
  const approval = await services.runStore.approval(tenantId, approvalId);
  if (approval === undefined) throw new HiveError('NOT_FOUND', `there is no approval ${approvalId}`);
  return approval;
}
