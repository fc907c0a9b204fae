import type { ModelCallView, ModelCost, TenantId } from '@hivekeeper/contract';
import type { ModelCallRecord, ModelCallStore } from '../../flow/models/index.ts';
import { type Pool, type Sql, withTenant } from './connection.ts';

interface CallRow {
  readonly id: string;
  readonly at: Date;
  readonly subject: string;
  readonly run_id: ModelCallView['runId'] | null;
  readonly node_id: string | null;
  readonly dialect: ModelCallView['dialect'];
  readonly asked: string;
  readonly model: string | null;
  readonly provider: string | null;
  readonly is_stream: boolean;
  readonly is_simulated: boolean;
  readonly input_tokens: number;
  readonly cached_input_tokens: number;
  readonly output_tokens: number;
  readonly is_estimated: boolean;
  readonly cost_micro_usd: number | null;
  readonly first_byte_ms: number | null;
  readonly latency_ms: number;
  readonly outcome: ModelCallView['outcome'];
  readonly tries: ModelCallView['tries'];
}

/** Calls of models in PostgreSQL: batches of all tenants on the engine's pool, what people ask confined to their tenant. */
export const postgresModelCallStore = (engine: Pool, requests: Pool): ModelCallStore => ({
  async add(calls) {
    await engine`
      INSERT INTO model_calls SELECT * FROM json_populate_recordset(NULL::model_calls, ${engine.json(calls.map(columnsOf))}::json)
      ON CONFLICT (id) DO NOTHING`;
  },

  list: (tenantId, { run, model, outcome, before, limit }) =>
    withTenant(requests, tenantId, async (sql) => {
      const rows = await sql<CallRow[]>`
        SELECT * FROM model_calls WHERE tenant_id = ${tenantId}
          ${run === undefined ? sql`` : sql`AND run_id = ${run}`}
          ${model === undefined ? sql`` : sql`AND model = ${model}`}
          ${outcome === undefined ? sql`` : sql`AND outcome = ${outcome}`}
          ${before === undefined ? sql`` : sql`AND id < ${before}`}
        ORDER BY id DESC LIMIT ${limit}`;
      return rows.map(viewOf);
    }),

  costs: (tenantId, { by, days }) =>
    withTenant(requests, tenantId, (sql) => {
      const keys = { run: sql`run_id`, model: sql`model`, day: sql`to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD')` };
      const order = by === 'day' ? sql`1 DESC` : sql`5 DESC, 1`;
      return sql<ModelCost[]>`
        SELECT coalesce(${keys[by]}, '') AS key, count(*) AS "callCount", sum(input_tokens)::bigint AS "inputTokens",
          sum(output_tokens)::bigint AS "outputTokens", coalesce(sum(cost_micro_usd), 0)::bigint AS "costMicroUsd",
          count(*) FILTER (WHERE is_estimated) AS "estimatedCount", count(*) FILTER (WHERE cost_micro_usd IS NULL) AS "unpricedCount"
        FROM model_calls WHERE tenant_id = ${tenantId} AND at > now() - make_interval(days => ${days}::int)
        GROUP BY 1 ORDER BY ${order} LIMIT 1000`;
    }),
});

/** Deletes calls older than 90 days. */
export async function forgetOldModelCalls(engine: Sql): Promise<void> {
  await engine`DELETE FROM model_calls WHERE at < now() - interval '90 days'`;
}

const columnsOf = (call: ModelCallRecord): CallRow & { readonly tenant_id: TenantId } => ({
  id: call.id,
  tenant_id: call.tenantId,
  at: new Date(call.atMs),
  subject: call.subject,
  run_id: call.runId ?? null,
  node_id: call.nodeId ?? null,
  dialect: call.dialect,
  asked: call.asked,
  model: call.model ?? null,
  provider: call.provider ?? null,
  is_stream: call.isStream,
  is_simulated: call.isSimulated,
  input_tokens: call.usage.inputTokens,
  cached_input_tokens: call.usage.cachedInputTokens,
  output_tokens: call.usage.outputTokens,
  is_estimated: call.isEstimated,
  cost_micro_usd: call.costMicroUsd ?? null,
  first_byte_ms: call.firstByteMs ?? null,
  latency_ms: call.latencyMs,
  outcome: call.outcome,
  // What a provider said may hold what PostgreSQL cannot.
  tries: call.tries.map(({ failure, ...each }) => ({ ...each, ...(failure !== undefined && { failure: printable(failure) }) })),
});

const printable = (text: string): string => text.toWellFormed().replaceAll('\0', '�');

const viewOf = (row: CallRow): ModelCallView => ({
  id: row.id,
  atMs: row.at.getTime(),
  subject: row.subject,
  runId: row.run_id ?? undefined,
  nodeId: row.node_id ?? undefined,
  dialect: row.dialect,
  asked: row.asked,
  model: row.model ?? undefined,
  provider: row.provider ?? undefined,
  isStream: row.is_stream,
  isSimulated: row.is_simulated,
  inputTokens: row.input_tokens,
  cachedInputTokens: row.cached_input_tokens,
  outputTokens: row.output_tokens,
  isEstimated: row.is_estimated,
  costMicroUsd: row.cost_micro_usd ?? undefined,
  firstByteMs: row.first_byte_ms ?? undefined,
  latencyMs: row.latency_ms,
  outcome: row.outcome,
  tries: row.tries,
});
