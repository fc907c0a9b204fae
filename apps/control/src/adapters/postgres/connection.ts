import { HiveError } from '@hivekeeper/contract';
import { type Log, pause, systemClock } from '@hivekeeper/kernel';
import pg from 'pg';
import { columnTypes, send } from './client.ts';
import { isConnectionBroken, isPlanStale, translated } from './connection-errors.ts';
import { type Listening, NotificationListener } from './listener.ts';
import { type Execute, type Sql, sqlOver } from './sql.ts';

export { isConflict, isUniqueViolation } from './connection-errors.ts';
export type { Sql } from './sql.ts';

/** Connections of one kind. A query outside a transaction is one of its own, on any of them. */
export interface Pool extends Sql {
  /** Runs `work` on one connection between the `opening` statements and COMMIT; see {@link inTransaction} and {@link withTenant}. */
  transaction<T>(opening: string, work: (sql: Sql) => Promise<T>): Promise<T>;
  /**
   * Calls back for every notification on the channel, on a connection apart that comes back when it is lost. `onListen`
   * is called each time it begins to listen: what was notified in between is lost, so look yourself then.
   */
  listen(channel: string, onNotify: (payload: string) => void, onListen?: () => void): Promise<Listening>;
  /**
   * Notifies every listener but this pool's own, on the connection that listens: never in a transaction, and never taking a
   * connection from others. Rejects where it was not sent.
   */
  notify(channel: string, payloads: readonly string[]): Promise<void>;
  /** Waits for the queries that run, but not for ever. */
  end(): Promise<void>;
}

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
// The server ends a statement first; this is for a server that no longer answers at all.
const answerTimeoutMs = statementTimeoutMs + 5_000;
// Also how long a query waits for one of the pool's connections.
const connectTimeoutMs = 10_000;
// A backend holds some 5 MB: an idle platform gives them back.
const idleTimeoutMs = 120_000;
const endPatienceMs = 5_000;

/** Opens a pool; connections are made when they are needed, and made anew when they were lost. */
export function openPool(options: PoolOptions): Pool {
  const { maxConnections, log } = options;
  const settings = clientSettings(options);
  const pool = new pg.Pool({ ...settings, max: maxConnections, idleTimeoutMillis: idleTimeoutMs });
  const clients = trackClients(pool, log);
  const listener = new NotificationListener({ newClient: () => new pg.Client(settings), clock: systemClock, log });
  return Object.assign(sqlOver(executeOn(pool)), {
    transaction: <T>(opening: string, work: (sql: Sql) => Promise<T>) => transaction(pool, opening, work),
    listen: (channel: string, onNotify: (payload: string) => void, onListen?: () => void) =>
      listener.listen(channel, { onNotify, onListen }),
    notify: (channel: string, payloads: readonly string[]) => listener.notify(channel, payloads),
    async end() {
      const done = new AbortController();
      const ended = Promise.all([listener.end(), pool.end()]).finally(() => done.abort());
      await Promise.race([ended, pause(systemClock, endPatienceMs, done.signal)]).catch(() => {});
      for (const client of clients) void client.end();
    },
  });
}

/** Runs `work` in a transaction that sees one tenant. */
export const withTenant = <T>(pool: Pool, tenantId: string, work: (sql: Sql) => Promise<T>): Promise<T> =>
  pool.transaction(`BEGIN; SELECT set_config('hive.tenant_id', ${pg.escapeLiteral(tenantId)}, true)`, work);

/** Runs `work` in a transaction: commits what it did when it resolves, rolls back when it rejects. */
export const inTransaction = <T>(pool: Pool, work: (sql: Sql) => Promise<T>): Promise<T> => pool.transaction('BEGIN', work);

/** One connection apart, for work that takes long and holds what it sees: nothing on it has a time limit but the wait for a lock. */
export async function connectAlone({ url, applicationName }: Pick<PoolOptions, 'url' | 'applicationName'>): Promise<LoneConnection> {
  const limits = { statement_timeout: 0, idle_in_transaction_session_timeout: 0, query_timeout: 0 };
  const client = new pg.Client({ ...clientSettings({ url, applicationName, tenantScope: '*' }), ...limits });
  client.on('error', () => {}); // the query that runs fails with it
  await client.connect().catch((error: unknown) => {
    throw translated(error);
  });
  return { client, sql: sqlOver((statement) => send(client, statement)), [Symbol.asyncDispose]: () => client.end() };
}

/** {@link connectAlone}. Closing it ends a transaction that was not committed. */
export interface LoneConnection extends AsyncDisposable {
  readonly client: pg.Client;
  readonly sql: Sql;
}

function clientSettings({
  url,
  tenantScope,
  applicationName,
}: Pick<PoolOptions, 'url' | 'tenantScope' | 'applicationName'>): pg.ClientConfig {
  if (!URL.canParse(url)) {
    // The text may hold a password, so it is not repeated.
    throw new HiveError('CONFIGURATION_INVALID', 'The database URL is not a URL: expected postgres://user:password@host:port/database.');
  }
  return {
    connectionString: url,
    application_name: applicationName,
    // In the connection's first packet, so that none is ever without it.
    options: `-c hive.tenant_id=${tenantScope === '*' ? '*' : ''}`,
    statement_timeout: statementTimeoutMs,
    idle_in_transaction_session_timeout: idleInTransactionTimeoutMs,
    lock_timeout: lockTimeoutMs,
    query_timeout: answerTimeoutMs,
    connectionTimeoutMillis: connectTimeoutMs,
    keepAlive: true,
    keepAliveInitialDelayMillis: 10_000,
    types: columnTypes,
  };
}

/** The connections that are open now. Also hears the events that would otherwise end the process. */
function trackClients(pool: pg.Pool, log: Log): ReadonlySet<pg.PoolClient> {
  const clients = new Set<pg.PoolClient>();
  pool.on('connect', (client) => {
    clients.add(client);
    client.on('error', () => {}); // the query that runs fails with it
    client.on('notice', ({ severity, message }) => log.debug({ severity }, message ?? ''));
  });
  pool.on('remove', (client) => clients.delete(client));
  pool.on('error', (error) => log.debug({ err: error }, 'an idle database connection was lost'));
  return clients;
}

const connect = (pool: pg.Pool): Promise<pg.PoolClient> =>
  pool.connect().catch((error: unknown) => {
    throw translated(error);
  });

function executeOn(pool: pg.Pool): Execute {
  const attempt: Execute = async (statement) => {
    const client = await connect(pool);
    let isBroken = false;
    try {
      return await send(client, statement);
    } catch (error) {
      isBroken = isConnectionBroken(error);
      throw error;
    } finally {
      client.release(isBroken);
    }
  };
  return (statement) =>
    attempt(statement).catch((error: unknown) => {
      // Every connection finds out by itself that the schema changed. Nothing was run, so once more without the old plan.
      if (isPlanStale(error)) return attempt({ ...statement, isPrepared: false });
      throw error;
    });
}

async function transaction<T>(pool: pg.Pool, opening: string, work: (sql: Sql) => Promise<T>): Promise<T> {
  const client = await connect(pool);
  let isOver = false;
  let isBroken = false;
  const sql = sqlOver(async (statement) => {
    if (isOver) throw new HiveError('INTERNAL', 'A query came after the end of its transaction.');
    return send(client, statement).catch((error: unknown) => {
      isBroken ||= isConnectionBroken(error);
      throw error;
    });
  });
  try {
    await sql.unsafe(opening);
    const result = await work(sql);
    await commit(client);
    return result;
  } catch (error) {
    isBroken ||= isConnectionBroken(error);
    if (!isBroken) await sql.unsafe('ROLLBACK').catch(() => {});
    throw error;
  } finally {
    isOver = true;
    client.release(isBroken);
  }
}

async function commit(client: pg.PoolClient): Promise<void> {
  const { command } = await client.query('COMMIT').catch((error: unknown) => {
    throw translated(error);
  });
  // What PostgreSQL does, and says, when a statement failed before, also when its error was caught on the way.
  if (command === 'ROLLBACK')
    throw new HiveError('INTERNAL', 'A statement of the transaction failed and its error was not passed on: nothing was committed.');
}
