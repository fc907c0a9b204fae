import { HiveError } from '@hivekeeper/contract';
import type { Sql } from './connection.ts';

/** What decides whether a database keeps what it acknowledged, and tenants apart. */
export interface DatabaseTraits {
  readonly serverVersion: number;
  readonly fsync: string;
  readonly synchronousCommit: string;
  readonly fullPageWrites: string;
  readonly role: string;
  readonly isSuperuser: boolean;
  readonly bypassesRowSecurity: boolean;
}

const oldestServerVersion = 150_000;

/** Refuses a database that would lose acknowledged work or ignore tenant isolation. */
export async function requireSafeDatabase(sql: Sql): Promise<void> {
  const fault = findUnsafeTrait(await readTraits(sql));
  if (fault !== undefined) throw new HiveError('DATABASE_UNSAFE', fault);
}

/** The first fault as a sentence with its remedy. */
export function findUnsafeTrait(traits: DatabaseTraits): string | undefined {
  if (traits.serverVersion < oldestServerVersion)
    return `PostgreSQL ${Math.floor(traits.serverVersion / 10_000)} is too old: use 15 or newer.`;
  if (traits.fsync === 'off') return 'fsync is off: a power failure would destroy the database. Set fsync = on.';
  if (traits.fullPageWrites === 'off') return 'full_page_writes is off: a power failure could tear pages. Set full_page_writes = on.';
  if (traits.synchronousCommit === 'off')
    return 'synchronous_commit is off: a crash would lose acknowledged work. Set synchronous_commit = on, also for the role and the database.';
  if (traits.isSuperuser)
    return `The role ${traits.role} is a superuser, which ignores row security. Connect as one that is not: ALTER ROLE ${traits.role} NOSUPERUSER, or another role.`;
  if (traits.bypassesRowSecurity) return `The role ${traits.role} bypasses row security: ALTER ROLE ${traits.role} NOBYPASSRLS.`;
  return undefined;
}

async function readTraits(sql: Sql): Promise<DatabaseTraits> {
  const [traits] = await sql<DatabaseTraits[]>`
    SELECT
      current_setting('server_version_num')::integer AS "serverVersion",
      current_setting('fsync') AS "fsync",
      current_setting('synchronous_commit') AS "synchronousCommit",
      current_setting('full_page_writes') AS "fullPageWrites",
      rolname AS "role",
      rolsuper AS "isSuperuser",
      rolbypassrls AS "bypassesRowSecurity"
    FROM pg_roles WHERE rolname = current_user`;
  if (traits === undefined) throw new HiveError('DATABASE_UNSAFE', 'The role of this connection was dropped.');
  return traits;
}
