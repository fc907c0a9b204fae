import { listModelCallsQuerySchema, modelCallSchema, modelCostSchema, modelCostsQuerySchema } from '@hivekeeper/contract';
import { z } from 'zod';
import { answers, type App, callerOf } from '../route.ts';
import type { Services } from '../services.ts';

const tags = ['models'];
const config = { access: 'read' } as const;

/** What was asked of models, and what it cost. */
export function addModelCalls(app: App, { modelCalls }: Services): void {
  app.get(
    '/v1/model-calls',
    {
      config,
      schema: {
        summary: 'Calls of models that are over, the latest first',
        tags,
        querystring: listModelCallsQuerySchema,
        response: answers({ 200: z.array(modelCallSchema) }),
      },
    },
    async (request, reply) => reply.send([...(await modelCalls.list(callerOf(request).tenantId, request.query))]),
  );
  app.get(
    '/v1/model-costs',
    {
      config,
      schema: {
        summary: 'What calls of models cost, by model, run or day',
        tags,
        querystring: modelCostsQuerySchema,
        response: answers({ 200: z.array(modelCostSchema) }),
      },
    },
    async (request, reply) => reply.send([...(await modelCalls.costs(callerOf(request).tenantId, request.query))]),
  );
}
