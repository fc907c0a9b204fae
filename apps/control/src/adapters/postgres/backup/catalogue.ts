import pg from 'pg';
import type { Sql } from '../connection.ts';
import { loadOrder, type Reference } from './load-order.ts';

/** A table whose rows travel. */
export interface TableShape {
  readonly table: string;
  readonly columns: readonly string[];
  readonly isForced: boolean;
}

/** The tables of the schema in load order. Which migrations were applied travels with the manifest. */
export async function readTables(sql: Sql): Promise<readonly TableShape[]> {
  // What is not logged is told anew after a crash, and so after a restore.
  // Numbers of transactions (xid8) mean nothing in another cluster: there the column's default gives that of the load.
  const rows = await sql<{ table: string; columns: string[]; is_forced: boolean }[]>`
    SELECT c.relname AS table, c.relforcerowsecurity AS is_forced, array_agg(a.attname::text ORDER BY a.attnum) AS columns
    FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind = 'r' AND c.relpersistence = 'p' AND c.relname <> 'schema_migrations'
      AND a.attgenerated = '' AND a.atttypid <> 'xid8'::regtype
    GROUP BY c.relname, c.relforcerowsecurity`;
  const references = await sql<Reference[]>`
    SELECT f.relname AS "from", t.relname AS "to" FROM pg_constraint k
    JOIN pg_class f ON f.oid = k.conrelid JOIN pg_class t ON t.oid = k.confrelid
    WHERE k.contype = 'f' AND k.connamespace = current_schema()::regnamespace`;
  const byName = new Map(rows.map(({ table, columns, is_forced }) => [table, { table, columns, isForced: is_forced }]));
  return loadOrder([...byName.keys()], references).flatMap((table) => byName.get(table) ?? []);
}

/** Names of the schema's sequences. */
export async function readSequences(sql: Sql): Promise<readonly string[]> {
  const rows = await sql<{ sequence: string }[]>`
    SELECT relname AS sequence FROM pg_class WHERE relnamespace = current_schema()::regnamespace AND relkind = 'S' ORDER BY 1`;
  return rows.map(({ sequence }) => sequence);
}

/** A name as SQL. */
export const quoted = (name: string): string => pg.escapeIdentifier(name);
/** Names as SQL, separated by commas. */
export const quotedList = (names: readonly string[]): string => names.map(quoted).join(', ');

/** How values are written as text: the same for whoever wrote and whoever reads. */
export const textSettings =
  "SET LOCAL timezone = 'UTC'; SET LOCAL datestyle = 'ISO, MDY'; SET LOCAL bytea_output = 'hex'; SET LOCAL extra_float_digits = 1";
