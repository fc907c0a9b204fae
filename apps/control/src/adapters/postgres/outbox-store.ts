import type { OutboxEntry, OutboxStore } from '../../records/outbox/index.ts';
import { inTransaction, type Pool } from './connection.ts';

interface OutboxRow {
  readonly seq: string;
  readonly tenant_id: OutboxEntry['tenantId'];
  readonly kind: OutboxEntry['kind'];
  readonly about: string;
}

/** The outbox in PostgreSQL; triggers of the tables fill it. */
export const postgresOutboxStore = (engine: Pool): OutboxStore => ({
  async open(name) {
    await engine`INSERT INTO relays (name) VALUES (${name}) ON CONFLICT DO NOTHING`;
  },

  take: ({ kinds, most }, tell) =>
    inTransaction(engine, async (sql) => {
      const rows = await sql<OutboxRow[]>`
        SELECT seq::text, tenant_id, kind, about FROM outbox WHERE kind = ANY (${[...kinds]}) ORDER BY outbox.seq LIMIT ${most} FOR UPDATE SKIP LOCKED`;
      if (rows.length === 0) return 0;
      const told = await tell(rows.map(({ tenant_id: tenantId, ...entry }) => ({ ...entry, tenantId })));
      await sql`DELETE FROM outbox WHERE seq = ANY (${told.map(({ seq }) => seq)}::bigint[])`;
      return told.length;
    }),
});
