import { copyFile, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { newLog } from '@hivekeeper/kernel';
import { type FreshDatabase, freshDatabase, guardLeaks } from '@hivekeeper/testkit';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { inTransaction, openPool, type Pool } from './connection.ts';
import { migrate } from './migrate.ts';
import { requireSafeDatabase } from './safety.ts';

guardLeaks();

const log = newLog({ level: 'silent', component: 'test' });
let database: FreshDatabase;
let pool: Pool;
let superuser: Pool;
let folder: string;

const open = (url: string, maxConnections = 2): Pool => openPool({ url, tenantScope: '*', maxConnections, applicationName: 'test', log });
const write = (file: string, statements: string) => writeFile(join(folder, file), statements);
const run = (on: Pool = pool, maxAttempts = 15) => migrate(on, { log, directory: pathToFileURL(`${folder}/`), maxAttempts });

// Keeps the server for the whole file; the tests have databases of their own.
let keeper: FreshDatabase;
beforeAll(async () => {
  keeper = await freshDatabase();
});
afterAll(() => keeper.drop());

beforeEach(async () => {
  database = await freshDatabase();
  pool = open(database.url);
  superuser = open(database.superuserUrl, 3);
  folder = await mkdtemp(join(tmpdir(), 'migrate-'));
});

afterEach(async () => {
  await Promise.all([pool.end(), superuser.end()]);
  await database.drop();
  await rm(folder, { recursive: true, force: true });
});

describe('the shipped schema', () => {
  it('is made from nothing, in order, and nothing is left to do afterwards', async () => {
    const applied = await migrate(pool, { log });
    expect(applied.length).toBeGreaterThan(0);
    expect(applied).toEqual(applied.map((_, index) => index + 1));
    expect(await migrate(pool, { log })).toEqual([]);
    expect(await pool`SELECT version FROM schema_migrations WHERE checksum ~ '^[0-9a-f]{64}$' AND applied_at <= now()`).toHaveLength(
      applied.length,
    );
  });

  it('takes a run over that waited before its blocker moved to the journal', async () => {
    for (const file of ['0001_foundation.sql', '0002_commit.sql'])
      await copyFile(new URL(`./migrations/${file}`, import.meta.url), join(folder, file));
    await run();
    await pool.unsafe(`
      INSERT INTO workflows (id, tenant_id, name, latest_version) VALUES ('w', 'ten_00000000000000000000000000', 'w', 1);
      INSERT INTO runs (id, tenant_id, workflow_id, workflow_version, status, version, trigger, created_at, blocker)
        VALUES ('r', 'ten_00000000000000000000000000', 'w', 1, 'RUNNING', 2, 'api', now(), '{"kind":"ticket"}');
      INSERT INTO run_journal (run_id, version, tenant_id, events)
        SELECT 'r', version, 'ten_00000000000000000000000000', '[]' FROM generate_series(1, 2) AS version;`);
    expect(await migrate(pool, { log })).toContain(3);
    expect([...(await pool`SELECT version, blocker FROM run_journal ORDER BY version`)]).toEqual([
      { version: 1, blocker: null },
      { version: 2, blocker: { kind: 'ticket' } },
    ]);
  });

  it('forces row security on every table that has rows of tenants, and every table has', async () => {
    await migrate(pool, { log });
    const unprotected = await pool`
      SELECT c.relname AS table FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
      WHERE n.nspname = 'public' AND c.relkind IN ('r', 'p') AND c.relname <> 'schema_migrations'
        AND NOT (c.relrowsecurity AND c.relforcerowsecurity AND EXISTS (SELECT FROM pg_policy WHERE polrelid = c.oid)
          AND EXISTS (SELECT FROM pg_attribute WHERE attrelid = c.oid AND attname = 'tenant_id' AND attnotnull))`;
    expect(unprotected).toHaveLength(0);
  });
});

describe('migrating', () => {
  it('applies each step once when several start at the same moment', async () => {
    await write('0001_one.sql', 'CREATE TABLE one (id integer); SELECT pg_sleep(0.05);');
    await write('0002_two.sql', 'CREATE TABLE two (id integer); SELECT pg_sleep(0.05);');
    const pools = Array.from({ length: 4 }, () => open(database.url));
    const applied = await Promise.all(pools.map((each) => run(each)));
    await Promise.all(pools.map((each) => each.end()));
    expect(applied.flat().sort()).toEqual([1, 2]);
  });

  it('keeps the steps before one that fails, nothing of it, and goes on there once it is corrected', async () => {
    await write('0001_one.sql', 'CREATE TABLE one (id integer);');
    await write('0002_two.sql', 'CREATE TABLE two (id integer); CREATE TABLE one (id integer);');
    await expect(run()).rejects.toMatchObject({ code: 'DATABASE_MIGRATION', message: expect.stringContaining('Migration 2 (two) failed') });
    expect(await pool`SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1`).toEqual(
      expect.arrayContaining([{ tablename: 'one' }, { tablename: 'schema_migrations' }]),
    );
    expect(await pool`SELECT FROM pg_tables WHERE tablename = 'two'`).toHaveLength(0);
    await write('0002_two.sql', 'CREATE TABLE two (id integer);');
    expect(await run()).toEqual([2]);
  });

  it('whose process dies in the middle of a step leaves nothing of it, and the next start applies it', async () => {
    await write('0001_one.sql', 'CREATE TABLE one (id integer);');
    await write('0002_two.sql', 'CREATE TABLE two (id integer); SELECT pg_sleep(30) /* the middle */;');
    const attempt = run().catch((error: unknown) => error);
    const cut = () =>
      superuser`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'hive' AND datname = current_database() AND query LIKE '%the middle%'`;
    await expect.poll(async () => (await cut()).length, { interval: 5, timeout: 10_000 }).toBe(1);
    expect(await attempt).toMatchObject({ code: 'DATABASE_UNAVAILABLE' });
    await write('0002_two.sql', 'CREATE TABLE two (id integer);');
    expect(await run()).toEqual([2]);
  });

  it('refuses a file that was changed after it was applied, and applies nothing after it', async () => {
    await write('0001_one.sql', 'CREATE TABLE one (id integer);');
    await run();
    await write('0001_one.sql', 'CREATE TABLE one (id bigint);');
    await write('0002_two.sql', 'CREATE TABLE two (id integer);');
    await expect(run()).rejects.toMatchObject({ code: 'DATABASE_MIGRATION', message: expect.stringContaining('changed afterwards') });
    expect(await pool`SELECT FROM pg_tables WHERE tablename = 'two'`).toHaveLength(0);
  });

  it('refuses a database that a newer version wrote', async () => {
    await write('0001_one.sql', 'CREATE TABLE one (id integer);');
    await write('0002_two.sql', 'CREATE TABLE two (id integer);');
    await run();
    await rm(join(folder, '0002_two.sql'));
    await expect(run()).rejects.toMatchObject({ code: 'DATABASE_MIGRATION', message: expect.stringContaining('newer') });
  });

  it('waits two seconds for a table that is in use, lets others pass in between, and gives up in the end', async () => {
    await write('0001_one.sql', 'CREATE TABLE one (id integer);');
    await run();
    await write('0002_two.sql', 'ALTER TABLE one ADD COLUMN size integer;');
    const attempt = await inTransaction(superuser, async (sql) => {
      await sql`LOCK TABLE one IN ACCESS SHARE MODE`;
      const startedAtMs = performance.now();
      const reason = await run(pool, 1).catch((error: unknown) => error);
      return { reason, tookMs: performance.now() - startedAtMs };
    });
    expect(attempt.tookMs).toBeGreaterThan(1_900);
    expect(attempt.tookMs).toBeLessThan(6_000);
    expect(attempt.reason).toMatchObject({ code: 'DATABASE_MIGRATION', message: expect.stringContaining('lock was not free') });
    expect(await run()).toEqual([2]);
  });

  it('tries again by itself when the lock was not free, until it is', async () => {
    await write('0001_one.sql', 'CREATE TABLE one (id integer);');
    await run();
    await write('0002_two.sql', 'ALTER TABLE one ADD COLUMN size integer;');
    const locked = Promise.withResolvers<void>();
    const freed = Promise.withResolvers<void>();
    const holding = inTransaction(superuser, async (sql) => {
      await sql`LOCK TABLE one IN ACCESS SHARE MODE`;
      locked.resolve();
      await freed.promise;
    });
    await locked.promise;
    const attempt = run();
    const waiting = async () => (await superuser`SELECT FROM pg_locks WHERE NOT granted`).length;
    await expect.poll(waiting, { timeout: 5_000 }).toBe(1);
    await expect.poll(waiting, { timeout: 5_000, interval: 5 }).toBe(0);
    freed.resolve();
    await holding;
    expect(await attempt).toEqual([2]);
  });
});

describe('a safe database', () => {
  it('is the one that comes with the product', async () => {
    await expect(requireSafeDatabase(pool)).resolves.toBeUndefined();
  });

  it('is not one entered as a superuser', async () => {
    await expect(requireSafeDatabase(superuser)).rejects.toMatchObject({
      code: 'DATABASE_UNSAFE',
      message: expect.stringContaining('superuser'),
    });
  });

  it.each([
    [
      'synchronous_commit is off for the role',
      (name: string) => `ALTER ROLE hive IN DATABASE ${name} SET synchronous_commit = off`,
      'synchronous_commit',
    ],
    ['the role may bypass row security', () => 'ALTER ROLE hive BYPASSRLS', 'bypasses row security'],
  ])('is not one where %s', async (_, statement, message) => {
    const [row] = await superuser<{ name: string }[]>`SELECT current_database() AS name`;
    await superuser.unsafe(statement(row?.name ?? ''));
    const fresh = open(database.url);
    await expect(requireSafeDatabase(fresh)).rejects.toMatchObject({ code: 'DATABASE_UNSAFE', message: expect.stringContaining(message) });
    await fresh.end();
    await superuser.unsafe('ALTER ROLE hive NOBYPASSRLS');
  });
});
