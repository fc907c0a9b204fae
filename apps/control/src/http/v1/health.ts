import { type HealthReport, healthReportSchema } from '@hivekeeper/contract';
import { imbalanceOf, overdueAfterMs } from '../../flow/runs/index.ts';
import { answers, type App, callerOf, noQuery } from '../route.ts';
import type { Services } from '../services.ts';

/** Whether work moves. `/ready` says the same to everybody, and no more than which part does not. */
export function addHealth(app: App, { census, desk, health, canaries }: Services): void {
  app.get(
    '/v1/health',
    {
      config: { access: 'read' },
      schema: {
        summary: 'Whether work moves, and what holds it up',
        tags: ['platform'],
        querystring: noQuery,
        response: answers({ 200: healthReportSchema }),
      },
    },
    async (request): Promise<HealthReport> => {
      const { tenantId } = callerOf(request);
      const [counts, stuckRuns] = await Promise.all([census.counts(tenantId), census.stuck(tenantId, overdueAfterMs(desk.leaseMs))]);
      return {
        ...health.readiness(),
        canaries: canaries.views(),
        stuckRuns: [...stuckRuns],
        acceptedRuns: counts.accepted,
        imbalance: imbalanceOf(counts),
      };
    },
  );
}
