import { defaultTenantId, HiveError } from '@hivekeeper/contract';
import type { BackupSource, Snapshot } from '../../../operations/backups/index.ts';
import { audit } from '../audit.ts';
import { connectAlone, inTransaction, type LoneConnection, type Pool } from '../connection.ts';
import { schemaLock } from '../migrate.ts';
import type { AppliedMigration } from '../migrations.ts';
import { copyOut } from './copy.ts';
import { quoted, quotedList, readSequences, readTables, textSettings } from './catalogue.ts';

/** The database as something to back up. */
export const postgresBackupSource = (pool: Pool, url: string): BackupSource => ({
  async snapshot(work) {
    await using connection = await connectAlone({ url, applicationName: 'hivekeeper-backup' });
    const { sql } = connection;
    // Before the snapshot is taken: rows of a table that is rewritten meanwhile would be missing in it.
    await sql`SELECT pg_advisory_lock_shared(${schemaLock})`;
    await sql.unsafe(`BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY; ${textSettings}`);
    // Awaited here: the connection is closed when this returns.
    return await work(await readSnapshot(connection));
  },

  async audit({ by, action, name }) {
    await inTransaction(pool, (sql) => audit(sql, { tenantId: defaultTenantId, actor: by, action, object: name, payload: {} }));
  },
});

async function readSnapshot({ client, sql }: LoneConnection): Promise<Snapshot> {
  const [facts] = await sql<
    { at: Date; epoch: number }[]
  >`SELECT now() AS at, epoch FROM installation WHERE tenant_id = ${defaultTenantId}`;
  if (facts === undefined) throw new HiveError('INTERNAL', 'The database has no installation.');
  const migrations = await sql<AppliedMigration[]>`SELECT version, name, checksum FROM schema_migrations ORDER BY version`;
  const tables = (await readTables(sql)).map(({ table, columns }) => ({
    table,
    columns,
    rows: () => copyOut(client, `COPY ${quoted(table)} (${quotedList(columns)}) TO STDOUT`),
  }));
  return { createdAtMs: facts.at.getTime(), epoch: facts.epoch, migrations, tables, sequences: await readPlaces({ sql }) };
}

/** Where the sequences stand. They are no part of a snapshot: what is read now is not before what the snapshot's rows hold. */
async function readPlaces({ sql }: Pick<LoneConnection, 'sql'>): Promise<Snapshot['sequences']> {
  const places: { sequence: string; lastValue: string; isCalled: boolean }[] = [];
  for (const sequence of await readSequences(sql)) {
    const [place] = await sql.unsafe<{ last: string; called: boolean }[]>(
      `SELECT last_value::text AS last, is_called AS called FROM ${quoted(sequence)}`,
    );
    if (place !== undefined) places.push({ sequence, lastValue: place.last, isCalled: place.called });
  }
  return places;
}
