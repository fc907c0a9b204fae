import { retry } from '@hivekeeper/kernel';
import type { BudgetRow, BudgetStore } from '../../records/budgets/index.ts';
import { audit } from './audit.ts';
import { isConflict, type Pool, withTenant } from './connection.ts';

interface Row {
  readonly id: string;
  readonly scope: BudgetRow['scope'];
  readonly name: string;
  readonly period: BudgetRow['period'];
  readonly cap_micro_usd: number;
  readonly reserved_micro_usd: number;
  readonly settled_micro_usd: number;
  /** A Date from a column, text from row_to_json. */
  readonly window_start: Date | string;
  readonly created_at: Date | string;
}

const again = { maxAttempts: 6, minDelayMs: 5, maxDelayMs: 100, isRetryable: isConflict } as const;

/** Budgets in PostgreSQL: reservations of all tenants on the engine's pool, what people say confined to their tenant. */
export const postgresBudgetStore = (engine: Pool, requests: Pool): BudgetStore => ({
  reserve: (calls, expiresMs) =>
    retry(async () => {
      const rows = await engine<{ n: number; refused_by: Row }[]>`
        SELECT n, refused_by FROM reserve_money(${calls.map(({ id }) => id)}, ${calls.map(({ spender }) => spender.tenantId)},
          ${calls.map(({ spender }) => spender.subject)}, ${calls.map(({ spender }) => spender.runId ?? null)},
          ${calls.map(({ mostMicroUsd }) => mostMicroUsd)}, ${expiresMs})`;
      const byNumber = new Map(rows.map(({ n, refused_by }) => [n, budgetOf(refused_by)]));
      return calls.map((_, index) => byNumber.get(index + 1));
    }, again),

  settle: (calls) =>
    retry(async () => {
      await engine`SELECT settle_money(${calls.map(({ id }) => id)}, ${calls.map(({ spentMicroUsd }) => spentMicroUsd)})`;
    }, again),

  expire: () =>
    retry(async () => {
      await engine`
        SELECT settle_money(e.ids, array_fill(NULL::bigint, ARRAY[cardinality(e.ids)]))
        FROM (SELECT array_agg(id) AS ids FROM (SELECT id FROM reservations WHERE expires_at < now() LIMIT 1000) r) e WHERE e.ids IS NOT NULL`;
    }, again),

  settleAttempts: () =>
    retry(async () => {
      await engine`SELECT settle_attempts()`;
    }, again),

  list: (tenantId) =>
    withTenant(requests, tenantId, async (sql) => {
      const rows = await sql<Row[]>`SELECT * FROM budgets WHERE tenant_id = ${tenantId} ORDER BY scope, name, period`;
      return rows.map(budgetOf);
    }),

  set: ({ tenantId, by, newId }, { scope, name, period, capMicroUsd }) =>
    withTenant(requests, tenantId, async (sql) => {
      const [changed] = await sql<Row[]>`
        INSERT INTO budgets (id, tenant_id, scope, name, period, cap_micro_usd, window_start)
        VALUES (${newId}, ${tenantId}, ${scope}, ${name}, ${period}, ${capMicroUsd}, budget_window(${period}))
        ON CONFLICT (tenant_id, scope, name, period) DO UPDATE SET cap_micro_usd = excluded.cap_micro_usd
          WHERE budgets.cap_micro_usd <> excluded.cap_micro_usd
        RETURNING *`;
      if (changed !== undefined)
        await audit(sql, { tenantId, actor: by, action: 'budget.set', object: changed.id, payload: { scope, name, period, capMicroUsd } });
      const [row] =
        changed === undefined
          ? await sql<Row[]>`
        SELECT * FROM budgets WHERE tenant_id = ${tenantId} AND scope = ${scope} AND name = ${name} AND period = ${period}`
          : [changed];
      return budgetOf(row as Row);
    }),

  remove: ({ tenantId, by, id }) =>
    withTenant(requests, tenantId, async (sql) => {
      const [row] = await sql<Row[]>`DELETE FROM budgets WHERE tenant_id = ${tenantId} AND id = ${id} RETURNING *`;
      if (row === undefined) return undefined;
      await audit(sql, { tenantId, actor: by, action: 'budget.removed', object: id, payload: { scope: row.scope, name: row.name } });
      return budgetOf(row);
    }),
});

const budgetOf = (row: Row): BudgetRow => ({
  id: row.id,
  scope: row.scope,
  name: row.name,
  period: row.period,
  capMicroUsd: row.cap_micro_usd,
  reservedMicroUsd: row.reserved_micro_usd,
  settledMicroUsd: row.settled_micro_usd,
  windowStartMs: new Date(row.window_start).getTime(),
  createdAtMs: new Date(row.created_at).getTime(),
});
