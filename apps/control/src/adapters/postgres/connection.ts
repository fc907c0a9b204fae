import { HiveError } from '@hivekeeper/contract';
import type { Log } from '@hivekeeper/kernel';
import postgres from 'postgres';
import { unavailableFrom } from './connection-errors.ts';

export { isTransient, isUniqueViolation, unavailableFrom } from './connection-errors.ts';

/** Something that takes queries: a pool, or a transaction of one. */
export type Sql = postgres.ISql<{ bigint: number }>;
/** Connections of one kind. `end()` closes them. */
export type Pool = postgres.Sql<{ bigint: number }>;

/** How a pool connects. */
export interface PoolOptions {
  /** `?host=/directory` connects by the Unix socket there. */
  readonly url: string;
  /** `*` for the engine, which works for every tenant; `none` for requests, which see nothing outside {@link withTenant}. */
  readonly tenantScope: '*' | 'none';
  readonly maxConnections: number;
  /** Shown by pg_stat_activity. */
  readonly applicationName: string;
  readonly log: Log;
}

// A statement that needs longer is at fault, and so is a transaction whose owner went away.
const statementTimeoutMs = 30_000;
const idleInTransactionTimeoutMs = 15_000;
const lockTimeoutMs = 10_000;
const connectTimeoutSeconds = 5;
// A backend holds some 5 MB: an idle platform gives them back.
const idleTimeoutSeconds = 120;

/** Opens a pool; connections are made when they are needed. */
export function openPool({ url, tenantScope, maxConnections, applicationName, log }: PoolOptions): Pool {
  const { serverUrl, socketPath } = readUrl(url);
  return postgres(serverUrl, {
    ...(socketPath !== undefined && { path: socketPath }),
    max: maxConnections,
    connect_timeout: connectTimeoutSeconds,
    idle_timeout: idleTimeoutSeconds,
    onnotice: ({ severity, message }) => log.debug({ severity }, message),
    types: { bigint: safeBigint },
    connection: {
      application_name: applicationName,
      statement_timeout: statementTimeoutMs,
      idle_in_transaction_session_timeout: idleInTransactionTimeoutMs,
      lock_timeout: lockTimeoutMs,
      ...(tenantScope === '*' && { 'hive.tenant_id': '*' }),
    },
  });
}

/** Runs `work` in a transaction that sees one tenant. Faults of the connection come out as DATABASE_UNAVAILABLE. */
export async function withTenant<T>(pool: Pool, tenantId: string, work: (sql: Sql) => Promise<T>): Promise<T> {
  return inTransaction(pool, async (sql) => {
    await sql`SELECT set_config('hive.tenant_id', ${tenantId}, true)`;
    return work(sql);
  });
}

/** Runs `work` in a transaction: commits what it did when it resolves, rolls back when it rejects. */
export async function inTransaction<T>(pool: Pool, work: (sql: Sql) => Promise<T>): Promise<T> {
  try {
    return (await pool.begin(work)) as T;
  } catch (error) {
    throw unavailableFrom(error) ?? error;
  }
}

// libpq's way to name a socket in a URL; the driver wants it apart.
function readUrl(url: string): { serverUrl: string; socketPath: string | undefined } {
  const parsed = parse(url);
  const host = parsed.searchParams.get('host');
  if (host === null || !host.startsWith('/')) return { serverUrl: url, socketPath: undefined };
  parsed.searchParams.delete('host');
  return { serverUrl: parsed.href, socketPath: `${host}/.s.PGSQL.${parsed.port || '5432'}` };
}

function parse(url: string): URL {
  try {
    return new URL(url);
  } catch {
    // The text may hold a password, so it is not repeated.
    throw new HiveError('CONFIGURATION_INVALID', 'The database URL is not a URL: expected postgres://user:password@host:port/database.');
  }
}

/** bigint as a number, as long as a number can hold it: rounding silently is not an option. */
const safeBigint = {
  to: 20,
  from: [20],
  serialize: (value: number | string) => String(value),
  parse: (text: string): number => {
    const value = Number(text);
    if (!Number.isSafeInteger(value)) throw new HiveError('INTERNAL', `The database gave ${text}, which a number cannot hold.`);
    return value;
  },
};
