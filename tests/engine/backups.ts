import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createHash } from 'node:crypto';
import { gunzipSync, gzipSync } from 'node:zlib';
import { newLog } from '@hivekeeper/kernel';
import type { FreshDatabase } from '@hivekeeper/testkit';
import postgres from 'postgres';
import { afterEach, beforeEach, expect } from 'vitest';
import type { Engine } from '../../apps/control/src/engine.ts';
import { restoreBackup, type Restored } from '../../apps/control/src/offline.ts';
import { type Manifest, manifestPart, parseManifest, sealManifest } from '../../apps/control/src/operations/backups/manifest.ts';
import { type EngineLike, engineOn } from './fixture.ts';

/** Says nothing. */
export const log = newLog({ level: 'silent', component: 'test' });

/** A directory per test, for backups below `backups` and for data directories. */
export const placePerTest = () => {
  const place = { path: '' };
  beforeEach(async () => {
    place.path = await mkdtemp(join(tmpdir(), 'backup-'));
  });
  afterEach(() => rm(place.path, { recursive: true, force: true }));
  return {
    engine: (database: FreshDatabase, like: EngineLike = {}) =>
      engineOn(database.url, { ...like, backupDirectory: join(place.path, 'backups') }),
    /** Into the database, with a data directory of that name. */
    restore: (path: string, database: FreshDatabase, data = 'data'): Promise<Restored> =>
      restoreBackup(path, { dataDirectory: join(place.path, data), databaseUrl: database.url }, log),
    in: (name: string) => join(place.path, name),
  };
};

/** Writes a backup and gives its directory. */
export async function backUp({ services }: Engine, keep?: number): Promise<string> {
  const { name } = services.backups.create({ keep, by: 'test' });
  const backup = await services.backups.get(name, 30_000);
  expect(backup).toMatchObject({ state: 'COMPLETE' });
  return backup.path;
}

/** Work on a database as a superuser, who sees every row. */
export async function asSuperuser<T>(database: FreshDatabase, work: (sql: postgres.Sql) => Promise<T>): Promise<T> {
  const sql = postgres(database.superuserUrl, { max: 1, onnotice: () => {} });
  try {
    return await work(sql);
  } finally {
    await sql.end();
  }
}

/** Writes a manifest anew that is not what was written, under a digest that fits. */
export async function reseal(path: string, change: (manifest: Manifest) => Manifest): Promise<void> {
  const file = join(path, manifestPart);
  await writeFile(file, sealManifest(change(parseManifest(await readFile(file, 'utf8')))));
}

/** Changes the rows of a part as somebody would who knows the format: digest, size and count fit again. */
export async function forge(path: string, table: string, change: (rows: string[]) => string[]): Promise<void> {
  const file = join(path, `${table}.copy.gz`);
  const rows = gunzipSync(await readFile(file))
    .toString()
    .split('\n')
    .slice(0, -1);
  const changed = change(rows);
  const content = gzipSync(changed.map((row) => `${row}\n`).join(''));
  await writeFile(file, content);
  const facts = { rowCount: changed.length, sizeBytes: content.length, sha256: createHash('sha256').update(content).digest('hex') };
  await reseal(path, (manifest) => ({
    ...manifest,
    parts: manifest.parts.map((part) => (part.table === table ? { ...part, ...facts } : part)),
  }));
}
