import { join } from 'node:path';
import { type EmbeddedPostgres, startEmbeddedPostgres } from '@hivekeeper/embedded-postgres';
import { newLog } from '@hivekeeper/kernel';
import postgres from 'postgres';

/** A PostgreSQL of its own: the one the product brings, with the product's settings, over its socket, for everybody alike. */
export interface Database {
  /** Of a role that may do everything, because some engines create schemas and extensions. */
  readonly url: string;
  /** Of the role the product uses: it owns its database, and row security binds it. */
  readonly appUrl: string;
  /** What the running server says about what it keeps. */
  readonly durability: string;
  /** A pool of postgres.js, which does not read the socket's directory from a URL. */
  connect(connectionCount: number): postgres.Sql;
  stop(): Promise<void>;
}

/** Creates a cluster in the directory and starts it. */
export async function startDatabase(directory: string): Promise<Database> {
  const server = await startEmbeddedPostgres({
    directory: join(directory, 'database'),
    log: newLog({ level: 'silent', component: 'bench' }),
    fast: true,
  });
  const connect = (connectionCount: number) => openPool(server, connectionCount);
  return {
    url: server.url('superuser', 'socket'),
    appUrl: server.url('app', 'socket'),
    durability: await readDurability(connect(1)),
    connect,
    stop: () => server.stop(),
  };
}

const openPool = (server: EmbeddedPostgres, connectionCount: number): postgres.Sql =>
  postgres(server.url('superuser'), {
    max: connectionCount,
    onnotice: () => {},
    ...(server.socketDirectory !== undefined && { host: server.socketDirectory }),
  });

async function readDurability(sql: postgres.Sql): Promise<string> {
  const names = ['server_version', 'fsync', 'synchronous_commit', 'full_page_writes'];
  const rows = await sql<
    { name: string; setting: string }[]
  >`SELECT name, setting FROM pg_settings WHERE name IN ${sql(names)} ORDER BY array_position(${names}, name)`;
  await sql.end();
  return rows.map(({ name, setting }) => (name === 'server_version' ? `PostgreSQL ${setting}` : `${name}=${setting}`)).join(', ');
}
