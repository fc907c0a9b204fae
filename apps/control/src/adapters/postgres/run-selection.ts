import type { RunId, TenantId } from '@hivekeeper/contract';
import type { RunSelection } from '../../flow/runs/index.ts';
import type { Sql } from './connection.ts';

/** How many runs an order is for, and the first of them, oldest first. */
export async function selectRuns(
  sql: Sql,
  tenantId: TenantId,
  { selection, most }: { readonly selection: RunSelection; readonly most: number },
): Promise<{ readonly count: number; readonly runIds: readonly RunId[] }> {
  const { workflow, statuses, isPaused, isUnretried, createdBeforeMs, createdAfterMs } = selection;
  const rows = await sql<{ id: RunId; total: number }[]>`
    SELECT r.id, (count(*) OVER ())::integer AS total FROM runs r
    WHERE r.tenant_id = ${tenantId} AND r.status = ANY (${[...statuses]}::text[])
      ${workflow === undefined ? sql`` : sql`AND r.workflow_id IN (SELECT id FROM workflows WHERE tenant_id = ${tenantId} AND name = ${workflow})`}
      ${createdBeforeMs === undefined ? sql`` : sql`AND r.created_at < ${new Date(createdBeforeMs)}`}
      ${createdAfterMs === undefined ? sql`` : sql`AND r.created_at >= ${new Date(createdAfterMs)}`}
      ${
        isPaused === undefined
          ? sql``
          : sql`AND (coalesce((SELECT j.blocker ->> 'kind' FROM run_journal j WHERE j.run_id = r.id ORDER BY j.version DESC LIMIT 1), '') = 'paused') = ${isPaused}`
      }
      ${
        isUnretried === true
          ? sql`AND NOT EXISTS (SELECT FROM runs again WHERE again.origin_run_id = r.id AND again.tenant_id = r.tenant_id AND again.trigger = 'retry')`
          : sql``
      }
    ORDER BY r.id LIMIT ${most}`;
  return { count: rows[0]?.total ?? 0, runIds: rows.map((row) => row.id) };
}
