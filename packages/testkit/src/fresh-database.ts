import pg from 'pg';
import { borrowServer, type TestServer } from './test-server.ts';

/** A database of its own for one test file. */
export interface FreshDatabase extends AsyncDisposable {
  /** As the role `hive`, which owns it and is bound by row security. */
  readonly url: string;
  /** As a superuser, to look behind row security or to break things. */
  readonly superuserUrl: string;
  /** Drops it; with the last one the server stops. */
  drop(): Promise<void>;
}

/** Brings the database behind the URL to its newest schema. */
export type MigrateDatabase = (url: string) => Promise<void>;

const templates = new WeakMap<TestServer['postgres'], Map<MigrateDatabase, Promise<string>>>();
let count = 0;

/** A database with the schema that `migrate` makes; several from the same function are copies of one that was migrated once. */
export async function freshDatabase(migrate: MigrateDatabase = async () => {}): Promise<FreshDatabase> {
  const server = await borrowServer();
  try {
    const template = await templateOf(server.postgres, migrate);
    const name = `test_${++count}`;
    await administer(server.postgres, `CREATE DATABASE ${name} TEMPLATE ${template} OWNER hive`);
    const drop = async () => {
      await administer(server.postgres, `DROP DATABASE IF EXISTS ${name} WITH (FORCE)`);
      await server.giveBack();
    };
    return {
      url: urlOf(server.postgres.url('app'), name),
      superuserUrl: urlOf(server.postgres.url('superuser'), name),
      drop,
      [Symbol.asyncDispose]: drop,
    };
  } catch (error) {
    await server.giveBack();
    throw error;
  }
}

function templateOf(server: TestServer['postgres'], migrate: MigrateDatabase): Promise<string> {
  const known = templates.get(server) ?? new Map<MigrateDatabase, Promise<string>>();
  templates.set(server, known);
  const template = known.get(migrate) ?? createTemplate(server, migrate);
  known.set(migrate, template);
  return template;
}

async function createTemplate(server: TestServer['postgres'], migrate: MigrateDatabase): Promise<string> {
  const name = `template_${++count}`;
  await administer(server, `CREATE DATABASE ${name} TEMPLATE hive OWNER hive`);
  await migrate(urlOf(server.url('app'), name));
  return name;
}

async function administer(server: TestServer['postgres'], statement: string): Promise<void> {
  const client = new pg.Client({ connectionString: server.url('superuser') });
  await client.connect();
  try {
    await client.query(statement);
  } finally {
    await client.end();
  }
}

function urlOf(url: string, database: string): string {
  const changed = new URL(url);
  changed.pathname = `/${database}`;
  return changed.href;
}
