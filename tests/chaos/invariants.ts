/** What must hold at every moment, asked of the database past the product. Each gives what breaks it, and nothing where nothing does. */
import type postgres from 'postgres';

/** Unfinished runs that nothing will move, and those that what should have moved them has not for `overdueMs` (I-4). */
export async function stuckRuns(sql: postgres.Sql, overdueMs: number): Promise<readonly string[]> {
  const rows = await sql<{ run_id: string; status: string }[]>`SELECT run_id, status FROM stuck_runs(${overdueMs})`;
  return rows.map(({ run_id, status }) => `${run_id} is ${status}`);
}

interface Balance {
  readonly tenant_id: string;
  readonly accepted: number;
  readonly rows: number;
  readonly ended: number;
  readonly in_flight: number;
}

/** Tenants whose accepted runs are not the ended ones and those in flight, and these not the rows there are (I-48). */
export async function imbalances(sql: postgres.Sql): Promise<readonly string[]> {
  const balances = await sql<Balance[]>`
    SELECT tenant_id, coalesce(accepted, 0)::integer AS accepted, coalesce(rows, 0)::integer AS rows, coalesce(ended, 0)::integer AS ended,
      coalesce(in_flight, 0)::integer AS in_flight
    FROM (SELECT tenant_id, count(*) AS accepted FROM run_journal WHERE version = 1 GROUP BY 1) AS journal
    FULL JOIN (
      SELECT tenant_id, count(*) AS rows,
        count(*) FILTER (WHERE finished_at IS NOT NULL AND status IN ('SUCCESS', 'FAILED', 'CANCELLED', 'TIMED_OUT')) AS ended,
        count(*) FILTER (WHERE finished_at IS NULL AND status IN ('PENDING', 'RUNNING', 'WAITING_APPROVAL')) AS in_flight
      FROM runs GROUP BY 1) AS listed USING (tenant_id)`;
  return balances
    .filter(({ accepted, rows, ended, in_flight }) => accepted !== rows || ended + in_flight !== rows)
    .map(
      ({ tenant_id, accepted, rows, ended, in_flight }) =>
        `${tenant_id}: ${accepted} accepted, ${rows} rows, ${ended} ended, ${in_flight} in flight`,
    );
}
