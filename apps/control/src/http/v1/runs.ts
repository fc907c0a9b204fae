import {
  blockerSchema,
  cancelRunSchema,
  HiveError,
  listRunsQuerySchema,
  type RunId,
  runIdSchema,
  runSummarySchema,
  runViewSchema,
  type TenantId,
} from '@hivekeeper/contract';
import { z } from 'zod';
import { answers, type App, callerOf, mustTakeWork, noQuery } from '../route.ts';
import type { Services } from '../services.ts';

const tags = ['runs'];
const access = 'admin';
const params = z.strictObject({ id: runIdSchema });
const standingSchema = runSummarySchema.extend({ blocker: blockerSchema.optional() });

/** Runs: listing, reading, cancelling, retrying. */
export function addRuns(app: App, services: Services): void {
  addReading(app, services);
  addCommands(app, services);
}

function addReading(app: App, services: Services): void {
  app.get(
    '/v1/runs',
    {
      config: { access },
      schema: {
        summary: 'Runs, newest first',
        tags,
        querystring: listRunsQuerySchema,
        response: answers({ 200: z.array(runSummarySchema) }),
      },
    },
    async (request) => [...(await services.runStore.list(callerOf(request).tenantId, request.query))],
  );
  app.get(
    '/v1/runs/:id',
    {
      config: { access },
      schema: {
        summary: 'A run with its nodes and attempts',
        tags,
        params,
        querystring: noQuery,
        response: answers({ 200: runViewSchema }),
      },
    },
    async (request, reply) => reply.send((await services.runs.view(callerOf(request).tenantId, request.params.id)) as never),
  );
}

function addCommands(app: App, services: Services): void {
  app.post(
    '/v1/runs/:id/cancel',
    {
      config: { access },
      schema: {
        summary: 'Cancel a run: it is over at once',
        tags,
        params,
        querystring: noQuery,
        body: cancelRunSchema,
        response: answers({ 200: standingSchema }),
      },
    },
    async (request) => {
      const { tenantId, subject } = callerOf(request);
      const runId = request.params.id;
      await services.orders.cancel({ tenantId, runId, by: subject, reason: request.body.reason });
      return standingOf(services, tenantId, runId);
    },
  );
  app.post(
    '/v1/runs/:id/retry',
    {
      config: { access },
      schema: {
        summary: 'Run a failed run’s workflow version again, whole, with the same context',
        tags,
        params,
        querystring: noQuery,
        body: z.strictObject({}),
        response: answers({ 202: standingSchema }),
      },
    },
    async (request, reply) => {
      mustTakeWork(services);
      const { tenantId, subject } = callerOf(request);
      const runId = await services.triggers.retry({ tenantId, runId: request.params.id, by: subject });
      return reply.code(202).send(await standingOf(services, tenantId, runId));
    },
  );
}

async function standingOf(services: Services, tenantId: TenantId, runId: RunId) {
  const summary = await services.runStore.summary(tenantId, runId);
  if (summary === undefined) throw new HiveError('NOT_FOUND', `there is no run ${runId}`);
  return summary;
}
