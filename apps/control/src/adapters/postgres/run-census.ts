import type { RunId } from '@hivekeeper/contract';
import type { RunCensus } from '../../flow/runs/index.ts';
import { type Pool, withTenant } from './connection.ts';

const mostNamed = 100;

/** The census over PostgreSQL; each count is of one snapshot. */
export const postgresRunCensus = (requests: Pool): RunCensus => ({
  counts: (tenantId) =>
    withTenant(requests, tenantId, async (sql) => {
      const rows = await sql<{ accepted: number; status: string | null; count: number | null }[]>`
        SELECT a.accepted, r.status, r.count
        FROM (SELECT count(*)::integer AS accepted FROM run_journal WHERE tenant_id = ${tenantId} AND version = 1) AS a
        LEFT JOIN (SELECT status, count(*)::integer AS count FROM runs WHERE tenant_id = ${tenantId} GROUP BY status) AS r ON true`;
      const counted = rows.flatMap(({ status, count }) => (status === null || count === null ? [] : [[status, count] as const]));
      return { accepted: rows[0]?.accepted ?? 0, byStatus: Object.fromEntries(counted) };
    }),

  stuck: (tenantId, overdueMs) =>
    withTenant(requests, tenantId, async (sql) => {
      const rows = await sql<{ run_id: RunId }[]>`
        SELECT run_id FROM stuck_runs(${overdueMs}) WHERE tenant_id = ${tenantId} ORDER BY run_id LIMIT ${mostNamed}`;
      return rows.map((row) => row.run_id);
    }),
});
