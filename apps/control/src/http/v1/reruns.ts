import {
  bulkAnswerSchema,
  bulkOrderSchema,
  forkRunSchema,
  rerunSchema,
  retryRunSchema,
  type RunId,
  runIdSchema,
} from '@hivekeeper/contract';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import type { Rerun } from '../../flow/triggers/index.ts';
import { answers, type App, callerOf, idempotencyOf, mustTakeWork, noQuery, triggerHeadersSchema } from '../route.ts';
import type { Services } from '../services.ts';

const tags = ['runs'];
const params = z.strictObject({ id: runIdSchema });
const base = { tags, params, querystring: noQuery, headers: triggerHeadersSchema, response: answers({ 202: rerunSchema }) };

/** Runs that go on from ended ones. */
export function addReruns(app: App, services: Services): void {
  const start = async (
    request: FastifyRequest,
    reply: FastifyReply,
    { id: originRunId, rerun }: { readonly id: RunId; readonly rerun: Rerun },
  ) => {
    mustTakeWork(services);
    const { tenantId, subject } = callerOf(request);
    const idempotency = idempotencyOf(request);
    const started = await services.triggers.rerun({ tenantId, runId: originRunId, rerun, by: subject, idempotency });
    if (started.isReplay) void reply.header('idempotent-replayed', 'true');
    return reply.code(202).send({ id: started.runId, status: 'PENDING', workflowVersion: started.workflowVersion, originRunId });
  };
  app.post(
    '/v1/runs/:id/retry',
    {
      config: { access: 'operate' },
      schema: { ...base, summary: 'Run a failed run’s workflow version again: whole, or from what failed it', body: retryRunSchema },
    },
    (request, reply) => start(request, reply, { ...request.params, rerun: { kind: 'retry', ...request.body } }),
  );
  app.post(
    '/v1/runs/:id/fork',
    {
      config: { access: 'operate' },
      schema: { ...base, summary: 'Run an ended run’s workflow version again from a node on', body: forkRunSchema },
    },
    (request, reply) => start(request, reply, { ...request.params, rerun: { kind: 'fork', ...request.body } }),
  );
}

/** Orders for many runs at once. */
export function addBulkOrders(app: App, services: Services): void {
  app.post(
    '/v1/runs/bulk',
    {
      config: { access: 'operate' },
      schema: {
        summary: 'Cancel, pause, resume or retry many runs; a preview unless a count is expected',
        tags,
        querystring: noQuery,
        body: bulkOrderSchema,
        response: answers({ 200: bulkAnswerSchema }),
      },
    },
    async (request) => {
      const { tenantId, subject } = callerOf(request);
      const order = request.body;
      if (order.verb === 'retry' && order.expectedCount !== undefined) mustTakeWork(services);
      return services.bulk.give({ tenantId, by: subject, order });
    },
  );
}
