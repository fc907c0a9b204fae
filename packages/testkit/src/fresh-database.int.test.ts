import { access } from 'node:fs/promises';
import postgres from 'postgres';
import { describe, expect, it } from 'vitest';
import { freshDatabase } from './fresh-database.ts';
import { guardLeaks } from './leak-guard.ts';

guardLeaks();

async function withSql<T>(url: string, work: (sql: postgres.Sql) => Promise<T>): Promise<T> {
  const sql = postgres(url, { max: 1 });
  try {
    return await work(sql);
  } finally {
    await sql.end();
  }
}

describe('a fresh database', () => {
  it('is migrated once per migration function and copied for each user', async () => {
    let migrations = 0;
    const migrate = (url: string) =>
      withSql(url, async (sql) => {
        migrations += 1;
        await sql`CREATE TABLE things (id integer)`;
      });
    await using one = await freshDatabase(migrate);
    await using other = await freshDatabase(migrate);
    await withSql(one.url, (sql) => sql`INSERT INTO things VALUES (1)`);
    expect(await withSql(other.url, (sql) => sql`SELECT * FROM things`)).toHaveLength(0);
    expect(migrations).toBe(1);
  });

  it('is used as a role that row security binds, on settings that lose nothing', async () => {
    await using database = await freshDatabase();
    const [row] = await withSql(database.url, (sql) => sql`
      SELECT rolsuper, rolbypassrls, current_setting('fsync') AS fsync, current_setting('synchronous_commit') AS synchronous_commit,
        current_setting('full_page_writes') AS full_page_writes
      FROM pg_roles WHERE rolname = current_user`);
    expect(row).toEqual({ rolsuper: false, rolbypassrls: false, fsync: 'on', synchronous_commit: 'on', full_page_writes: 'on' });
  });

  it('takes the server and its files along when the last one is dropped', async () => {
    const database = await freshDatabase();
    const [row] = await withSql(database.superuserUrl, (sql) => sql`SELECT current_setting('data_directory') AS path, pg_backend_pid() AS pid`);
    await database.drop();
    await expect(access(row?.path as string)).rejects.toThrow(/ENOENT/);
    await expect(withSql(database.url, (sql) => sql`SELECT 1`)).rejects.toThrow(/ECONNREFUSED/);
  });
});
