import { cp, mkdir, readFile, rename, rm, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { seededRandom, type FreshDatabase, freshDatabase } from '@hivekeeper/testkit';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { tryBackup } from '../../apps/control/src/offline.ts';
import { asSuperuser, backUp, forge, log, placePerTest, reseal } from './backups.ts';
import { chain, deploy, ended, engineOn, migratedDatabase, seatWorker, start, succeed } from './fixture.ts';

const place = placePerTest();
let source: FreshDatabase;
beforeAll(async () => {
  source = await migratedDatabase();
  await using engine = await engineOn(source.url);
  await deploy(engine, chain('five', 5));
  seatWorker(engine, succeed);
  for (let count = 0; count < 10; count += 1) await ended(engine, await start(engine, 'five'));
});
afterAll(() => source.drop());

/** A backup that nothing is wrong with yet. */
async function goodBackup(): Promise<string> {
  await using engine = await place.engine(source);
  return await backUp(engine);
}

const isEmpty = (database: FreshDatabase) =>
  asSuperuser(database, async (sql) => (await sql`SELECT FROM pg_class WHERE relnamespace = 'public'::regnamespace`).length === 0);

async function flip(file: string): Promise<void> {
  const bytes = await readFile(file);
  const middle = Math.floor(bytes.length / 2);
  bytes[middle] = (bytes[middle] ?? 0) ^ 1;
  await writeFile(file, bytes);
}

interface Damage {
  readonly name: string;
  readonly code: string;
  readonly says: RegExp;
  readonly make: (path: string) => Promise<unknown>;
}

const damages: readonly Damage[] = [
  {
    name: 'a part with one bit changed',
    code: 'BACKUP_INVALID',
    says: /run_journal\.copy\.gz: was changed/,
    make: (path) => flip(join(path, 'run_journal.copy.gz')),
  },
  {
    name: 'a part that is cut off',
    code: 'BACKUP_INVALID',
    says: /runs\.copy\.gz: has 40 bytes/,
    make: (path) => truncate(join(path, 'runs.copy.gz'), 40),
  },
  {
    name: 'a part that is missing',
    code: 'BACKUP_INVALID',
    says: /tickets\.copy\.gz: is missing/,
    make: (path) => rm(join(path, 'tickets.copy.gz')),
  },
  {
    name: 'two parts that were exchanged',
    code: 'BACKUP_INVALID',
    says: /audit_log\.copy\.gz: .*; run_journal\.copy\.gz: /,
    make: async (path) => {
      await rename(join(path, 'audit_log.copy.gz'), join(path, 'x'));
      await rename(join(path, 'run_journal.copy.gz'), join(path, 'audit_log.copy.gz'));
      await rename(join(path, 'x'), join(path, 'run_journal.copy.gz'));
    },
  },
  {
    name: 'a manifest that is cut off',
    code: 'BACKUP_INVALID',
    says: /manifest\.json: is no JSON/,
    make: (path) => truncate(join(path, 'manifest.json'), 500),
  },
  { name: 'no manifest', code: 'BACKUP_INVALID', says: /manifest\.json: is missing/, make: (path) => rm(join(path, 'manifest.json')) },
  {
    name: 'a manifest that was changed by hand',
    code: 'BACKUP_INVALID',
    says: /manifest\.json: was changed/,
    make: async (path) => {
      const file = join(path, 'manifest.json');
      await writeFile(file, (await readFile(file, 'utf8')).replace(/"epoch": \d+/, '"epoch": 7'));
    },
  },
  {
    name: 'a part of which the manifest tells another number of rows',
    code: 'BACKUP_INVALID',
    says: /runs\.copy\.gz: has 10 rows, the manifest says 11/,
    make: (path) =>
      reseal(path, (manifest) => ({
        ...manifest,
        parts: manifest.parts.map((part) => (part.table === 'runs' ? { ...part, rowCount: 11 } : part)),
      })),
  },
  {
    name: 'a manifest that names a part elsewhere',
    code: 'BACKUP_INVALID',
    says: /manifest\.json: manifest\/parts\/0\/file/,
    make: (path) =>
      reseal(path, (manifest) => ({ ...manifest, parts: manifest.parts.map((part) => ({ ...part, file: `../${part.file}` })) })),
  },
  {
    name: 'a run that the journal lacks',
    code: 'BACKUP_INVALID',
    says: /audit_log\.copy\.gz: entry \d+ of ten_\w+: the journal has no such commit/,
    make: (path) => forge(path, 'run_journal', (rows) => rows.slice(0, -1)),
  },
  {
    name: 'a row that its table does not take',
    code: 'BACKUP_INVALID',
    says: /approvals\.copy\.gz: /,
    make: (path) => forge(path, 'approvals', () => ['x\ty']),
  },
  {
    name: 'a schema of a newer version',
    code: 'BACKUP_SCHEMA_UNKNOWN',
    says: /manifest\.json: .*written by a newer one/,
    make: (path) =>
      reseal(path, (manifest) => ({
        ...manifest,
        migrations: [...manifest.migrations, { version: manifest.migrations.length + 1, name: 'of_tomorrow', checksum: 'a'.repeat(64) }],
      })),
  },
  {
    name: 'a schema of another product',
    code: 'BACKUP_SCHEMA_UNKNOWN',
    says: /manifest\.json: Migration 1 .*is not the one/,
    make: (path) =>
      reseal(path, (manifest) => ({ ...manifest, migrations: [{ version: 1, name: 'foundation', checksum: 'a'.repeat(64) }] })),
  },
  {
    name: 'a table that its schema does not have',
    code: 'BACKUP_SCHEMA_UNKNOWN',
    says: /^strangers: /,
    make: (path) =>
      reseal(path, (manifest) => ({
        ...manifest,
        parts: manifest.parts.map((part) => (part.table === 'approvals' ? { ...part, table: 'strangers' } : part)),
      })),
  },
];

describe('a damaged backup is refused, and the place where it should go stays empty:', () => {
  test.each(damages)('$name', async ({ code, says, make }) => {
    const path = await goodBackup();
    await make(path);
    await using target = await freshDatabase();
    await expect(place.restore(path, target)).rejects.toMatchObject({ code, message: expect.stringMatching(says) });
    expect(await isEmpty(target)).toBe(true);
  });

  test('its audit chain tells every entry that somebody changed who made all digests fit', async () => {
    const path = await goodBackup();
    expect(await tryBackup(path, { isDeep: false }, log)).toMatchObject({ isSound: true, unprovenEntryCount: 0 });
    const random = seededRandom(11);
    const columns = ['tenant_id', 'seq', 'at', 'actor', 'action', 'object', 'hash', 'payload'];
    for (let round = 0; round < 60; round += 1) {
      const copy = place.in(`forged-${round}`);
      await cp(path, copy, { recursive: true });
      let changed = '';
      await forge(copy, 'audit_log', (rows) => {
        const at = Math.floor(random.next() * rows.length);
        const fields = rows[at]?.split('\t') ?? [];
        // Not the number and the tenant: a row without its place is a gap, which other tests make.
        const field = 2 + Math.floor(random.next() * (columns.length - 2));
        const text = fields[field] ?? '';
        fields[field] =
          columns[field] === 'at' ? text.replace(/^\d{4}/, '1999') : columns[field] === 'hash' ? `\\\\x${'0'.repeat(64)}` : `${text}x`;
        changed = fields[1] ?? '';
        return rows.with(at, fields.join('\t'));
      });
      const { isSound, faults } = await tryBackup(copy, { isDeep: false }, log);
      expect([round, isSound]).toEqual([round, false]);
      expect(faults[0]?.message).toContain(`entry ${changed} of`);
    }
  });
});

describe('a place that is not empty', () => {
  test('is refused, and stays as it was', async () => {
    const path = await goodBackup();
    await using target = await migratedDatabase();
    const versions = () => asSuperuser(target, (sql) => sql`SELECT version, applied_at FROM schema_migrations ORDER BY 1`);
    const before = await versions();
    await expect(place.restore(path, target)).rejects.toMatchObject({ code: 'RESTORE_TARGET_NOT_EMPTY' });
    expect(await versions()).toEqual(before);
    // Its data directory is not marked as one that waits for a restore.
    await expect(readFile(join(place.in('data'), 'restore.json'))).rejects.toMatchObject({ code: 'ENOENT' });
  });

  test('is what a second restore into the same database finds', async () => {
    const path = await goodBackup();
    await using target = await freshDatabase();
    await place.restore(path, target);
    await expect(place.restore(path, target)).rejects.toMatchObject({ code: 'RESTORE_TARGET_NOT_EMPTY' });
  });
});

describe('a restore that is cut off', () => {
  test('in the middle leaves the database empty, and can be repeated', async () => {
    await asSuperuser(
      source,
      (sql) => sql`
      INSERT INTO idempotency_keys SELECT 'ten_00000000000000000000000000', 'r', n::text, repeat(md5(n::text), 20), 'x' FROM generate_series(1, 100000) n`,
    );
    const path = await goodBackup();
    await mkdir(place.in('data'));
    await using target = await freshDatabase();
    const restoring = place.restore(path, target).then(
      () => 'restored',
      (error: unknown) => error,
    );
    const cut = () =>
      asSuperuser(
        target,
        (sql) => sql`
      SELECT pg_terminate_backend(pid) FROM pg_stat_activity
      WHERE application_name = 'hivekeeper-restore' AND datname = current_database() AND query LIKE 'COPY%idempotency%'`,
      );
    while ((await cut()).length === 0);
    expect(await restoring).toMatchObject({ code: 'DATABASE_UNAVAILABLE' });
    expect(await isEmpty(target)).toBe(true);
    const { epoch } = JSON.parse(await readFile(join(place.in('data'), 'restore.json'), 'utf8')) as { epoch: number };
    expect((await place.restore(path, target)).epoch).toBeGreaterThan(epoch);
  });
});
