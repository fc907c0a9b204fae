import { HiveError } from '@hivekeeper/contract';
import { type Log, retry } from '@hivekeeper/kernel';
import { inTransaction, isConflict, type Pool, type Sql } from './connection.ts';
import { type AppliedMigration, type Migration, pendingMigrations, readMigrations } from './migrations.ts';

/** How to migrate. */
export interface MigrateOptions {
  readonly log: Log;
  /** Where the NNNN_name.sql files are; the shipped ones when absent. */
  readonly directory?: URL;
  /** How often a lock that is not free is asked for again, two seconds each. */
  readonly maxAttempts?: number;
}

/** Where the NNNN_name.sql files of this version are. */
export const shippedMigrations = new URL('./migrations/', import.meta.url);
/** Held by who changes the schema, shared by who needs it unchanged. Any number that nobody else takes for the same purpose. */
export const schemaLock = 0x68_69_76_65;
const longestMigrationMs = 24 * 3_600_000;

/**
 * Brings the schema to the newest version and returns the versions it applied, in order.
 *
 * One transaction per migration, so a crash in the middle leaves whole steps and the next start goes on. An advisory lock makes several
 * starters take turns, and a lock timeout keeps a waiting ALTER TABLE from blocking everybody behind it.
 */
export async function migrate(pool: Pool, { log, directory = shippedMigrations, maxAttempts = 15 }: MigrateOptions): Promise<number[]> {
  const migrations = await readMigrations(directory);
  const step = () => inTransaction(pool, (sql) => applyNext(sql, migrations));
  const applied: number[] = [];
  for (;;) {
    const next = await retry(step, { maxAttempts, minDelayMs: 50, maxDelayMs: 500, isRetryable: isConflict }).catch((error: unknown) => {
      throw isConflict(error)
        ? new HiveError(
            'DATABASE_MIGRATION',
            `A lock was not free in ${maxAttempts} attempts; somebody else migrates or works in the tables.`,
            { cause: error },
          )
        : error;
    });
    if (next === undefined) return applied;
    log.info({ version: next.version, name: next.name }, 'migration applied');
    applied.push(next.version);
  }
}

/** Applies the next one in the transaction of `sql`; undefined where there is none. */
export async function applyNext(sql: Sql, migrations: readonly Migration[]): Promise<Migration | undefined> {
  await sql.unsafe("SET LOCAL lock_timeout = '2s'; SET LOCAL statement_timeout = 0");
  await sql`SELECT pg_advisory_xact_lock(${schemaLock})`;
  const [next] = pendingMigrations(migrations, await readApplied(sql));
  if (next === undefined) return undefined;
  try {
    await sql.unsafe(next.statements, [], { patienceMs: longestMigrationMs });
  } catch (cause) {
    if (isConflict(cause) || HiveError.is(cause)) throw cause;
    throw new HiveError('DATABASE_MIGRATION', `Migration ${next.version} (${next.name}) failed: ${String(cause)}`, { cause });
  }
  await sql`INSERT INTO schema_migrations (version, name, checksum) VALUES (${next.version}, ${next.name}, ${next.checksum})`;
  return next;
}

async function readApplied(sql: Sql): Promise<readonly AppliedMigration[]> {
  const [found] = await sql`SELECT FROM pg_tables WHERE schemaname = current_schema() AND tablename = 'schema_migrations'`;
  if (found === undefined) {
    await sql`CREATE TABLE schema_migrations (
      version integer PRIMARY KEY, name text NOT NULL, checksum text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())`;
  }
  return sql<AppliedMigration[]>`SELECT version, name, checksum FROM schema_migrations ORDER BY version`;
}
