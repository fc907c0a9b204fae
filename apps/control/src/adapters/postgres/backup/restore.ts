import { defaultTenantId, HiveError } from '@hivekeeper/contract';
import type { Log } from '@hivekeeper/kernel';
import type { Manifest, ManifestPart, StoredBackup } from '../../../operations/backups/index.ts';
import { audit } from '../audit.ts';
import { connectAlone, type LoneConnection, type Sql } from '../connection.ts';
import { applyNext, schemaLock, shippedMigrations } from '../migrate.ts';
import { type Migration, pendingMigrations, readMigrations } from '../migrations.ts';
import { requireSafeDatabase } from '../safety.ts';
import { copyIn } from './copy.ts';
import { quoted, quotedList, readSequences, readTables, type TableShape, textSettings } from './catalogue.ts';
import { type LostWindow, readLostWindow } from './lost-window.ts';

/** What is restored, and where. */
export interface RestoreOptions {
  readonly url: string;
  readonly stored: StoredBackup;
  /** Of `stored`, which was verified. */
  readonly manifest: Manifest;
  /** Larger than any that was ever in use. */
  readonly epoch: number;
  readonly log: Log;
  /** Called before anything is written, once it is sure that there is nothing. */
  readonly onEmpty?: () => Promise<void>;
}

/** What a restore did. */
export interface RestoredDatabase {
  readonly rowCount: number;
  /** Schema versions that were applied on top. */
  readonly migrated: readonly number[];
  readonly lostWindow: LostWindow;
}

/**
 * Fills an empty database with a backup, in one transaction: schema as it was then, rows, the rest of the migrations, the new epoch. Killed at
 * any moment, it leaves the database empty.
 * @throws HiveError RESTORE_TARGET_NOT_EMPTY, BACKUP_SCHEMA_UNKNOWN, BACKUP_INVALID
 */
export async function restoreDatabase({ url, stored, manifest, epoch, log, onEmpty }: RestoreOptions): Promise<RestoredDatabase> {
  const shipped = await readMigrations(shippedMigrations);
  const later = knownMigrations(shipped, manifest);
  await using connection = await connectAlone({ url, applicationName: 'hivekeeper-restore' });
  const { sql } = connection;
  await requireSafeDatabase(sql);
  // Nobody is told of what happened before the backup.
  await sql.unsafe(`BEGIN; ${textSettings}; SELECT set_config('hive.tenant_id', '*', true), set_config('hive.is_restoring', 'on', true)`);
  // So that nobody else fills it meanwhile.
  await sql`SELECT pg_advisory_xact_lock(${schemaLock})`;
  await requireEmpty(sql);
  await onEmpty?.();
  await migrateTo(sql, shipped.slice(0, manifest.migrations.length));
  await sql.unsafe(textSettings);
  await loadRows(connection, stored, manifest);
  await setSequences(sql, manifest);
  await migrateTo(sql, shipped);
  const lostWindow = await beginEpoch(sql, { manifest, epoch, name: stored.path.split('/').at(-1) ?? '' });
  await sql.unsafe('ANALYZE');
  await sql.unsafe('COMMIT');
  const rowCount = manifest.parts.reduce((sum, part) => sum + part.rowCount, 0);
  const migrated = later.map(({ version }) => version);
  log.info({ rowCount, migrated, epoch }, 'the backup is restored');
  return { rowCount, migrated, lostWindow };
}

function knownMigrations(shipped: readonly Migration[], { migrations }: Manifest): readonly Migration[] {
  try {
    return pendingMigrations(shipped, migrations);
  } catch (cause) {
    throw new HiveError('BACKUP_SCHEMA_UNKNOWN', `manifest.json: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
  }
}

async function requireEmpty(sql: Sql): Promise<void> {
  const [found] = await sql<{ name: string }[]>`
    SELECT relname AS name FROM pg_class WHERE relnamespace = current_schema()::regnamespace AND relkind IN ('r', 'p', 'v', 'm', 'S') LIMIT 1`;
  if (found !== undefined) throw new HiveError('RESTORE_TARGET_NOT_EMPTY', `The database has ${found.name} already.`);
}

async function migrateTo(sql: Sql, migrations: readonly Migration[]): Promise<void> {
  while ((await applyNext(sql, migrations)) !== undefined);
}

async function loadRows({ client, sql }: LoneConnection, stored: StoredBackup, { parts }: Manifest): Promise<void> {
  const shapes = await readTables(sql);
  requireSameTables(shapes, parts);
  const all = quotedList(shapes.map(({ table }) => table));
  const forced = shapes.filter(({ isForced }) => isForced).map(({ table }) => quoted(table));
  // COPY FROM is refused where row security binds; it does not bind the owner while it is not forced. Nobody sees that before the commit.
  for (const table of forced) await sql.unsafe(`ALTER TABLE ${table} NO FORCE ROW LEVEL SECURITY`);
  // What the migrations themselves put in.
  await sql.unsafe(`TRUNCATE ${all}`);
  for (const { table, columns, file, rowCount } of parts) {
    const statement = `COPY ${quoted(table)} (${quotedList(columns)}) FROM STDIN`;
    const loaded = await copyIn(client, statement, rowsOf(stored, file)).catch((error: unknown) => {
      throw HiveError.is(error) ? error : invalid(file, error);
    });
    if (loaded !== rowCount) throw invalid(file, `${loaded} rows were loaded, not ${rowCount}`);
  }
  for (const table of forced) await sql.unsafe(`ALTER TABLE ${table} FORCE ROW LEVEL SECURITY`);
}

async function* rowsOf(stored: StoredBackup, file: string): AsyncGenerator<Buffer, void> {
  try {
    yield* stored.readRows(file) as AsyncIterable<Buffer>;
  } catch (error) {
    throw invalid(file, error);
  }
}

const invalid = (file: string, fault: unknown): HiveError =>
  new HiveError('BACKUP_INVALID', `${file}: ${fault instanceof Error ? fault.message : String(fault)}`, { cause: fault });

/** The schema is made by our own migrations; a backup with other tables or columns is somebody else's. */
function requireSameTables(shapes: readonly TableShape[], parts: readonly ManifestPart[]): void {
  const shapeOf = (table: string, columns: readonly string[]) => `${table}(${[...columns].sort().join(', ')})`;
  const ours = shapes.map(({ table, columns }) => shapeOf(table, columns));
  const theirs = parts.map(({ table, columns }) => shapeOf(table, columns));
  const odd = [...theirs, ...ours].find((shape) => !theirs.includes(shape) || !ours.includes(shape));
  if (odd !== undefined)
    throw new HiveError('BACKUP_SCHEMA_UNKNOWN', `${odd.split('(')[0]}: the backup and its schema version differ in ${odd}`);
}

async function setSequences(sql: Sql, { sequences }: Manifest): Promise<void> {
  const known = new Set(await readSequences(sql));
  for (const { sequence, lastValue, isCalled } of sequences) {
    if (!known.has(sequence)) throw new HiveError('BACKUP_SCHEMA_UNKNOWN', `manifest.json: the schema has no sequence ${sequence}`);
    await sql`SELECT setval(${quoted(sequence)}::regclass, ${lastValue}::bigint, ${isCalled})`;
  }
}

/** Nothing that was handed out before is valid from here on. */
async function beginEpoch(
  sql: Sql,
  { manifest, epoch, name }: { readonly manifest: Manifest; readonly epoch: number; readonly name: string },
): Promise<LostWindow> {
  await sql`UPDATE installation SET epoch = ${epoch}`;
  // Over at once, so the first sweep gives them up: their tickets are lost and issued anew.
  const given = await sql`UPDATE tickets SET lease_until = now() - interval '1 second' WHERE token IS NOT NULL`;
  const payload = { epoch, epochBefore: manifest.epoch, createdAtMs: manifest.createdAtMs };
  await audit(sql, { tenantId: defaultTenantId, actor: 'platform', action: 'installation.restored', object: name, payload });
  return readLostWindow(sql, { fromMs: manifest.createdAtMs, leaseCount: given.count });
}
