import {
  blockerSchema,
  HiveError,
  orderRunSchema,
  reprioritiseRunSchema,
  type RunId,
  runIdSchema,
  runSummarySchema,
  signalRunSchema,
  type TenantId,
} from '@hivekeeper/contract';
import { z } from 'zod';
import { answers, type App, callerOf, idempotencyHeadersSchema, noQuery } from '../route.ts';
import type { Services } from '../services.ts';

const tags = ['runs'];
const params = z.strictObject({ id: runIdSchema });
const standingSchema = runSummarySchema.extend({ blocker: blockerSchema.optional() });
const response = answers({ 200: standingSchema });
const base = { tags, params, querystring: noQuery, response };
// A run keeps the signals that came before somebody waits for them in memory.
const signalLimitBytes = 256 * 1024;

const verbs = {
  cancel: 'Cancel a run: it is over at once',
  pause: 'Pause a run: nothing more of it is handed out, what is at work goes on',
  resume: 'Let a paused run go on',
} as const;

/** Orders that one run is given. Each answers how the run stands once it is stored, and again the same when it is no news. */
export function addRunOrders(app: App, services: Services): void {
  for (const [verb, summary] of Object.entries(verbs) as [keyof typeof verbs, string][]) {
    app.post(
      `/v1/runs/:id/${verb}`,
      { config: { access: 'operate' }, schema: { ...base, summary, body: orderRunSchema } },
      async (request) => {
        const { tenantId, subject } = callerOf(request);
        const runId = request.params.id;
        await services.orders[verb]({ tenantId, runId, by: subject, reason: request.body.reason });
        return standingOf(services, tenantId, runId);
      },
    );
  }
  app.post(
    '/v1/runs/:id/priority',
    {
      config: { access: 'operate' },
      schema: { ...base, summary: 'Give a run another priority; larger is sooner', body: reprioritiseRunSchema },
    },
    async (request) => {
      const { tenantId, subject } = callerOf(request);
      const runId = request.params.id;
      await services.orders.reprioritise({ tenantId, runId, by: subject, ...request.body });
      return standingOf(services, tenantId, runId);
    },
  );
  addSignals(app, services);
}

function addSignals(app: App, services: Services): void {
  app.post(
    '/v1/runs/:id/signals',
    {
      config: { access: 'operate' },
      bodyLimit: signalLimitBytes,
      schema: {
        ...base,
        summary: 'Give a run a signal, to a node that waits for it or will',
        headers: idempotencyHeadersSchema('The same key counts once for the run; stands in for signalId'),
        body: signalRunSchema,
      },
    },
    async (request) => {
      const { tenantId, subject } = callerOf(request);
      const runId = request.params.id;
      const { name, key, payload = null, signalId = request.headers['idempotency-key'] } = request.body;
      await services.orders.signal({ tenantId, runId, by: subject, name, key, payload, signalId });
      return standingOf(services, tenantId, runId);
    },
  );
}

async function standingOf(services: Services, tenantId: TenantId, runId: RunId) {
  const summary = await services.runStore.summary(tenantId, runId);
  if (summary === undefined) throw new HiveError('NOT_FOUND', `there is no run ${runId}`);
  return summary;
}
