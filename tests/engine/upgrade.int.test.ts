import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { RunId } from '@hivekeeper/contract';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openPool } from '../../apps/control/src/adapters/postgres/connection.ts';
import { migrate } from '../../apps/control/src/adapters/postgres/migrate.ts';
import { readMigrations } from '../../apps/control/src/adapters/postgres/migrations.ts';
import { asSuperuser, log } from './backups.ts';
import { chain, deploy, ended, engineOn, migratedDatabase, seatWorker, start, succeed } from './fixture.ts';

const shipped = new URL('../../apps/control/src/adapters/postgres/migrations/', import.meta.url);
let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'upgrade-'));
  await cp(shipped, folder, { recursive: true });
  // What the next version may do at most: add.
  const number = String((await readMigrations(shipped)).length + 1).padStart(4, '0');
  await writeFile(
    join(folder, `${number}_of_the_next_version.sql`),
    `ALTER TABLE runs ADD COLUMN next_version text NOT NULL DEFAULT 'x';
     ALTER TABLE run_journal ADD COLUMN next_version json;
     ALTER TABLE tickets ADD COLUMN next_version integer;
     CREATE INDEX runs_next ON runs (next_version);
     CREATE OR REPLACE FUNCTION commit_rare(rare json) RETURNS void LANGUAGE plpgsql AS $$ BEGIN PERFORM 1; END $$;`,
  );
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** What a control plane of the next version does when it starts. */
async function migrateToNext(url: string): Promise<number[]> {
  const pool = openPool({ url, tenantScope: '*', maxConnections: 1, applicationName: 'next', log });
  try {
    return await migrate(pool, { log, directory: pathToFileURL(`${folder}/`) });
  } finally {
    await pool.end();
  }
}

describe('a schema that is one version newer', () => {
  test('comes while a control plane works, which goes on: it loses no run and commits new ones', async () => {
    await using database = await migratedDatabase();
    await using engine = await engineOn(database.url);
    await deploy(engine, chain('ten', 10));
    seatWorker(engine, succeed);
    const runs: RunId[] = [];
    // Statements are prepared by now, on every connection.
    for (let count = 0; count < 10; count += 1) runs.push(await start(engine, 'ten'));
    const migrated = migrateToNext(database.url);
    for (let count = 0; count < 20; count += 1) runs.push(await start(engine, 'ten'));
    expect(await migrated).toHaveLength(1);
    for (let count = 0; count < 10; count += 1) runs.push(await start(engine, 'ten'));
    for (const runId of runs) expect(await ended(engine, runId)).toBe('SUCCESS');
    const added = await asSuperuser(database, (sql) => sql`SELECT count(*)::integer AS count FROM runs WHERE next_version = 'x'`);
    expect(added[0]).toEqual({ count: runs.length });
  });

  test('is refused by a control plane that starts, which changes nothing', async () => {
    await using database = await migratedDatabase();
    await migrateToNext(database.url);
    const versions = () => asSuperuser(database, (sql) => sql`SELECT version, applied_at FROM schema_migrations ORDER BY 1`);
    const before = await versions();
    await expect(engineOn(database.url)).rejects.toMatchObject({
      code: 'DATABASE_MIGRATION',
      message: expect.stringContaining('written by a newer one'),
    });
    expect(await versions()).toEqual(before);
  });
});
