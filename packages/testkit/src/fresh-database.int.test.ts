import { access } from 'node:fs/promises';
import pg from 'pg';
import { describe, expect, it } from 'vitest';
import { freshDatabase } from './fresh-database.ts';
import { guardLeaks } from './leak-guard.ts';

guardLeaks();

async function query(url: string, text: string): Promise<Record<string, unknown>[]> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query<Record<string, unknown>>(text)).rows;
  } finally {
    await client.end();
  }
}

describe('a fresh database', () => {
  it('is migrated once per migration function and copied for each user', async () => {
    let migrations = 0;
    const migrate = async (url: string) => {
      migrations += 1;
      await query(url, 'CREATE TABLE things (id integer)');
    };
    await using one = await freshDatabase(migrate);
    await using other = await freshDatabase(migrate);
    await query(one.url, 'INSERT INTO things VALUES (1)');
    expect(await query(other.url, 'SELECT * FROM things')).toHaveLength(0);
    expect(migrations).toBe(1);
  });

  it('is used as a role that row security binds, on settings that lose nothing', async () => {
    await using database = await freshDatabase();
    const [row] = await query(
      database.url,
      `
      SELECT rolsuper, rolbypassrls, current_setting('fsync') AS fsync, current_setting('synchronous_commit') AS synchronous_commit,
        current_setting('full_page_writes') AS full_page_writes
      FROM pg_roles WHERE rolname = current_user`,
    );
    expect(row).toEqual({ rolsuper: false, rolbypassrls: false, fsync: 'on', synchronous_commit: 'on', full_page_writes: 'on' });
  });

  it('takes the server and its files along when the last one is dropped', async () => {
    const database = await freshDatabase();
    const [row] = await query(database.superuserUrl, "SELECT current_setting('data_directory') AS path");
    await database.drop();
    await expect(access(row?.path as string)).rejects.toThrow(/ENOENT/);
    await expect(query(database.url, 'SELECT 1')).rejects.toThrow(/ECONNREFUSED/);
  });
});
