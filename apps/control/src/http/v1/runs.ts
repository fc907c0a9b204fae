import { listRunsQuerySchema, runIdSchema, runSummarySchema, runViewSchema } from '@hivekeeper/contract';
import { z } from 'zod';
import { answers, type App, callerOf, noQuery } from '../route.ts';
import type { Services } from '../services.ts';

const tags = ['runs'];
const params = z.strictObject({ id: runIdSchema });

/** Runs: listing and reading. */
export function addRuns(app: App, services: Services): void {
  app.get(
    '/v1/runs',
    {
      config: { access: 'read' },
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
      config: { access: 'read' },
      schema: {
        summary: 'A run with its nodes and attempts',
        tags,
        params,
        querystring: noQuery,
        response: answers({ 200: runViewSchema }),
      },
    },
    async (request, reply) => {
      const { tenantId } = callerOf(request);
      const { id } = request.params;
      const [run, effects] = await Promise.all([services.runs.view(tenantId, id), services.effectStore.counts(tenantId, id)]);
      return reply.send({ ...run, ...(Object.keys(effects).length > 0 && { effects }) } as never);
    },
  );
}
