import { budgetSchema, setBudgetSchema } from '@hivekeeper/contract';
import { z } from 'zod';
import { standingOf } from '../../governance/budgets/index.ts';
import { answers, type App, callerOf, noQuery } from '../route.ts';
import type { Services } from '../services.ts';

const tags = ['budgets'];
const config = { access: 'administer' } as const;
const path = '/v1/budgets';

/** Caps on what may be spent, and where they stand. */
export function addBudgets(app: App, { money, clock }: Services): void {
  app.get(
    path,
    {
      config: { access: 'read' },
      schema: { summary: 'Budgets and where they stand', tags, querystring: noQuery, response: answers({ 200: z.array(budgetSchema) }) },
    },
    async (request) => (await money.list(callerOf(request).tenantId)).map((budget) => standingOf(budget, clock.nowMs())),
  );
  app.put(
    path,
    {
      config,
      schema: {
        summary: 'Set the cap of a budget, which is created where there is none; the same again is no news',
        tags,
        querystring: noQuery,
        body: setBudgetSchema,
        response: answers({ 200: budgetSchema }),
      },
    },
    async (request) => {
      const { tenantId, subject: by } = callerOf(request);
      return standingOf(await money.set({ tenantId, by }, request.body), clock.nowMs());
    },
  );
  app.delete(
    `${path}/:id`,
    {
      config,
      schema: {
        summary: 'Remove a budget: nothing is refused for it any more',
        tags,
        params: z.strictObject({ id: z.string().regex(/^[\w-]{1,100}$/) }),
        querystring: noQuery,
        response: answers({ 200: budgetSchema }),
      },
    },
    async (request) => {
      const { tenantId, subject: by } = callerOf(request);
      return standingOf(await money.remove({ tenantId, by, id: request.params.id }), clock.nowMs());
    },
  );
}
