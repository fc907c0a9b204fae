import type { RunId, RunStatus, TenantId } from '@hivekeeper/contract';
import type { TurnKey, TurnStore, Waiter } from '../../flow/runs/index.ts';
import { inTransaction, type Pool, type Sql } from './connection.ts';

interface WaiterRow {
  readonly run_id: RunId;
  readonly most: number;
  readonly overlap: 'skip' | 'replace' | null;
  readonly priority: number;
}

// So many are looked at a time: a queue may be long, and each look gives turns to those at its head only.
const shownWaiters = 200;

/** Turns in PostgreSQL, on the engine's pool: runs of any tenant. */
export const postgresTurnStore = (engine: Pool): TurnStore => ({
  settle: (key, decide) =>
    inTransaction(engine, async (sql) => {
      await sql`SELECT pg_advisory_xact_lock(hashtextextended(${`${key.tenantId} ${key.key}`}, 0))`;
      const queue = { holders: await readHolders(sql, key), waiting: await readWaiting(sql, key) };
      const decision = decide(queue);
      if (decision.given.length > 0) await sql`UPDATE run_turns SET granted_at = now() WHERE run_id = ANY (${[...decision.given]})`;
      return { ...queue, ...decision };
    }),

  async unsettled() {
    const rows = await engine<{ tenant_id: TenantId; key: string }[]>`
      SELECT DISTINCT tenant_id, key FROM run_turns WHERE granted_at IS NULL AND NOT is_paused
      UNION
      SELECT t.tenant_id, t.key FROM run_turns t JOIN runs r ON r.id = t.run_id
        WHERE t.granted_at IS NOT NULL AND (r.status = 'PENDING' OR r.finished_at IS NOT NULL)`;
    return rows.map((row) => ({ tenantId: row.tenant_id, key: row.key }));
  },

  async holders({ tenantId, key }, most) {
    const rows = await engine<{ run_id: RunId }[]>`
      SELECT t.run_id FROM run_turns t JOIN runs r ON r.id = t.run_id
      WHERE t.tenant_id = ${tenantId} AND t.key = ${key} AND t.granted_at IS NOT NULL AND r.finished_at IS NULL ORDER BY t.run_id LIMIT ${most}`;
    return rows.map((row) => row.run_id);
  },
});

/** Also forgets the turns of runs that have ended. */
async function readHolders(sql: Sql, { tenantId, key }: TurnKey) {
  await sql`
    DELETE FROM run_turns t USING runs r
    WHERE t.tenant_id = ${tenantId} AND t.key = ${key} AND t.granted_at IS NOT NULL AND r.id = t.run_id AND r.finished_at IS NOT NULL`;
  const rows = await sql<{ run_id: RunId; status: RunStatus }[]>`
    SELECT t.run_id, r.status FROM run_turns t JOIN runs r ON r.id = t.run_id
    WHERE t.tenant_id = ${tenantId} AND t.key = ${key} AND t.granted_at IS NOT NULL ORDER BY t.run_id`;
  return rows.map((row) => ({ runId: row.run_id, isBegun: row.status !== 'PENDING' }));
}

async function readWaiting(sql: Sql, { tenantId, key }: TurnKey): Promise<Waiter[]> {
  const rows = await sql<WaiterRow[]>`
    (SELECT run_id, most, overlap, priority FROM run_turns
      WHERE tenant_id = ${tenantId} AND key = ${key} AND granted_at IS NULL AND NOT is_paused
      ORDER BY priority DESC, run_id LIMIT ${shownWaiters})
    UNION
    (SELECT run_id, most, overlap, priority FROM run_turns
      WHERE tenant_id = ${tenantId} AND key = ${key} AND granted_at IS NULL AND NOT is_paused AND overlap IS NOT NULL
      ORDER BY run_id DESC LIMIT ${shownWaiters})`;
  return rows.map((row) => ({ runId: row.run_id, limit: row.most, overlap: row.overlap ?? undefined, priority: row.priority }));
}
