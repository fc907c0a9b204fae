import { newLog } from '@hivekeeper/kernel';
import { type FaultProxy, type FreshDatabase, freshDatabase, guardLeaks, startFaultProxy } from '@hivekeeper/testkit';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { inTransaction, isUniqueViolation, openPool, type Pool, type PoolOptions, withTenant } from './connection.ts';

guardLeaks();

const log = newLog({ level: 'silent', component: 'test' });
let database: FreshDatabase;
let superuser: Pool;
let engine: Pool;
let requests: Pool;
let opened: Pool[];

const open = (options: Partial<PoolOptions> = {}): Pool => {
  const pool = openPool({ url: database.url, tenantScope: '*', maxConnections: 4, applicationName: 'test', log, ...options });
  opened.push(pool);
  return pool;
};

beforeAll(async () => {
  opened = [];
  database = await freshDatabase();
  superuser = openPool({ url: database.superuserUrl, tenantScope: 'none', maxConnections: 1, applicationName: 'test-superuser', log });
  await withOwner((sql) =>
    sql.unsafe(`
      CREATE TABLE things (tenant_id text NOT NULL, name text NOT NULL UNIQUE, size bigint);
      ALTER TABLE things ENABLE ROW LEVEL SECURITY;
      ALTER TABLE things FORCE ROW LEVEL SECURITY;
      CREATE POLICY tenant_isolation ON things
        USING (tenant_id = (SELECT current_setting('hive.tenant_id', true)) OR (SELECT current_setting('hive.tenant_id', true)) = '*')`),
  );
});

afterAll(async () => {
  await superuser.end();
  await database.drop();
});

beforeEach(async () => {
  opened = [];
  engine = open();
  requests = open({ tenantScope: 'none' });
  await engine`DELETE FROM things`;
  await engine`INSERT INTO things VALUES ('ten_a', 'apple', 1), ('ten_b', 'bread', 2)`;
});

afterEach(async () => {
  await Promise.all(opened.map((pool) => pool.end()));
});

async function withOwner(work: (pool: Pool) => PromiseLike<unknown>): Promise<void> {
  const pool = openPool({ url: database.url, tenantScope: '*', maxConnections: 1, applicationName: 'test-owner', log });
  try {
    await work(pool);
  } finally {
    await pool.end();
  }
}

/** Ends every connection of the application, as a restart of the server does. */
const cutAll = () => superuser`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'hive'`;

const names = (rows: readonly object[]): unknown[] => rows.map((row) => ('name' in row ? row.name : undefined));

describe('tenants', () => {
  it('are all visible to the engine, and none to a request outside a transaction', async () => {
    expect(names(await engine`SELECT name FROM things ORDER BY name`)).toEqual(['apple', 'bread']);
    expect(await requests`SELECT name FROM things`).toHaveLength(0);
  });

  it('are visible one at a time within a transaction, and no longer afterwards, however it ended', async () => {
    expect(names(await withTenant(requests, 'ten_a', (sql) => sql`SELECT name FROM things`))).toEqual(['apple']);
    await expect(
      withTenant(requests, 'ten_b', async (sql) => {
        expect(names(await sql`SELECT name FROM things`)).toEqual(['bread']);
        await sql`SELECT 1 / 0`;
      }),
    ).rejects.toMatchObject({ code: '22012' });
    for (let count = 0; count < 8; count += 1) expect(await requests`SELECT name FROM things`).toHaveLength(0);
  });

  it('cannot be written to by another one', async () => {
    await expect(withTenant(requests, 'ten_a', (sql) => sql`INSERT INTO things VALUES ('ten_b', 'stolen', 1)`)).rejects.toMatchObject({
      code: '42501',
    });
    expect((await withTenant(requests, 'ten_a', (sql) => sql`UPDATE things SET size = 0 WHERE name = 'bread'`)).count).toBe(0);
  });

  it('cannot be reached through a tenant id made of SQL', async () => {
    expect(await withTenant(requests, "x', true), set_config('hive.tenant_id', '*", (sql) => sql`SELECT name FROM things`)).toHaveLength(0);
  });
});

describe('values', () => {
  it('come as JavaScript has them: json parsed, bigint as a number, timestamps as Date, a date as its text', async () => {
    const [row] = await engine`
      SELECT ${engine.json({ a: [1, 'zwei', null] })}::jsonb AS json, ${Number.MAX_SAFE_INTEGER}::bigint AS big, ARRAY[1, NULL, 3]::bigint[] AS bigs,
        ${new Date(1_700_000_000_123)}::timestamptz AS at, '2026-02-28'::date AS day, ${['a"b', null, 'c,d']}::text[] AS texts,
        ${new Uint8Array([0, 255])}::bytea AS bytes, ${true}::boolean AS yes, NULL AS nothing`;
    expect(row).toEqual({
      json: { a: [1, 'zwei', null] },
      big: Number.MAX_SAFE_INTEGER,
      bigs: [1, null, 3],
      at: new Date(1_700_000_000_123),
      day: '2026-02-28',
      texts: ['a"b', null, 'c,d'],
      bytes: Buffer.from([0, 255]),
      yes: true,
      nothing: null,
    });
  });

  it('are refused rather than rounded', async () => {
    await expect(engine`SELECT 9007199254740993::bigint AS big`).rejects.toMatchObject({ code: 'INTERNAL' });
    expect(await engine`SELECT 1 AS one`).toEqual(expect.arrayContaining([{ one: 1 }]));
  });

  it('come with the number of rows that a statement touched', async () => {
    expect((await engine`UPDATE things SET size = 9`).count).toBe(2);
    expect((await engine`UPDATE things SET size = 9 WHERE name = 'none'`).count).toBe(0);
  });
});

describe('a transaction', () => {
  it('commits all or nothing', async () => {
    await expect(
      inTransaction(engine, async (sql) => {
        await sql`DELETE FROM things`;
        throw new TypeError('a mistake');
      }),
    ).rejects.toThrow('a mistake');
    expect(await engine`SELECT FROM things`).toHaveLength(2);
    await inTransaction(engine, async (sql) => sql`DELETE FROM things`);
    expect(await engine`SELECT FROM things`).toHaveLength(0);
  });

  it('rejects when a statement failed and its error was swallowed', async () => {
    const attempt = inTransaction(engine, async (sql) => {
      await sql`INSERT INTO things VALUES ('ten_a', 'cake', 1)`;
      await sql`INSERT INTO things VALUES ('ten_a', 'apple', 1)`.catch((error: unknown) => expect(isUniqueViolation(error)).toBe(true));
    });
    await expect(attempt).rejects.toThrow('nothing was committed');
    expect(await engine`SELECT FROM things WHERE name = 'cake'`).toHaveLength(0);
  });

  it('takes no query after its end, which would not be part of it', async () => {
    let kept: Pick<Pool, 'unsafe'> = engine;
    await inTransaction(engine, async (sql) => {
      kept = sql;
    });
    await expect(kept.unsafe('DELETE FROM things')).rejects.toMatchObject({ code: 'INTERNAL' });
    expect(await engine`SELECT FROM things`).toHaveLength(2);
  });

  it('whose connection is lost in the middle rejects, and its later statements reach no other connection', async () => {
    const attempt = inTransaction(engine, async (sql) => {
      await sql`DELETE FROM things WHERE name = 'apple'`;
      await cutAll();
      await sql`SELECT 1`.catch(() => {});
      await engine`SELECT 1`.catch(() => {});
      await sql`DELETE FROM things WHERE name = 'bread'`;
    });
    await expect(attempt).rejects.toMatchObject({ code: 'DATABASE_UNAVAILABLE' });
    await expect.poll(() => engine`SELECT FROM things`.then((rows) => rows.length)).toBe(2);
  });
});

describe('a pool', () => {
  it('connects by the Unix socket that the URL names', async () => {
    const url = new URL(database.url);
    const [place] = await superuser<{ directory: string }[]>`SELECT current_setting('unix_socket_directories') AS directory`;
    url.searchParams.set('host', place?.directory ?? '');
    const [row] = await open({ url: url.href })`SELECT inet_server_addr() AS address, current_setting('application_name') AS name`;
    expect(row).toEqual({ address: null, name: 'test' });
  });

  it('sets limits on every connection, so that nothing waits for ever', async () => {
    const [row] = await requests`SELECT current_setting('statement_timeout') AS statement, current_setting('lock_timeout') AS lock,
      current_setting('idle_in_transaction_session_timeout') AS idle`;
    expect(row).toEqual({ statement: '30s', lock: '10s', idle: '15s' });
  });

  it('refuses a URL that is none without repeating it', () => {
    expect(() => open({ url: 'localhost:secret' })).not.toThrow(/secret/);
    expect(() => open({ url: '//hive:secret@' })).toThrow(
      expect.objectContaining({ code: 'CONFIGURATION_INVALID', message: expect.not.stringContaining('secret') }),
    );
  });

  it('goes on with prepared statements after the schema changed', async () => {
    const pool = open({ maxConnections: 1 });
    const read = () => pool`SELECT * FROM things WHERE name = ${'apple'}`;
    await read();
    await read();
    await engine`ALTER TABLE things ADD COLUMN colour text DEFAULT 'red'`;
    expect(await read()).toEqual(expect.arrayContaining([expect.objectContaining({ colour: 'red' })]));
    await engine`ALTER TABLE things DROP COLUMN colour`;
  });

  it('tells a server that takes no more connections from an answer', async () => {
    const [row] = await superuser<{ name: string }[]>`SELECT current_database() AS name`;
    await superuser.unsafe(`ALTER DATABASE ${row?.name} CONNECTION LIMIT 0`);
    await expect(open()`SELECT 1`).rejects.toMatchObject({ code: 'DATABASE_UNAVAILABLE', message: expect.stringContaining('53300') });
    await superuser.unsafe(`ALTER DATABASE ${row?.name} CONNECTION LIMIT -1`);
  });

  it('fails what runs when all connections are cut under load, again and again, and then goes on', async () => {
    const pool = open({ maxConnections: 8 });
    const tally = { done: 0, unavailable: 0, cuts: 0, other: [] as unknown[] };
    let isOver = false;
    const work = async (nth: number) => {
      while (!isOver) {
        const attempt =
          nth % 2 === 0
            ? pool`SELECT ${nth}::integer AS n, repeat('x', ${(nth * 397) % 4_000}) AS filler`
            : inTransaction(pool, async (sql) => {
                await sql`SELECT ${nth}::integer AS n`;
                await new Promise((resolve) => setImmediate(resolve));
                await sql`SELECT 2`;
              });
        try {
          await attempt;
          tally.done += 1;
        } catch (error) {
          if ((error as { code?: string }).code === 'DATABASE_UNAVAILABLE') tally.unavailable += 1;
          else tally.other.push(error);
        }
      }
    };
    const workers = Array.from({ length: 24 }, (_, nth) => work(nth));
    for (let round = 0; round < 15; round += 1) {
      const doneBefore = tally.done;
      tally.cuts += (await cutAll()).length;
      await expect.poll(() => tally.done, { interval: 1, timeout: 5_000 }).toBeGreaterThan(doneBefore + 50);
    }
    isOver = true;
    await Promise.all(workers);
    expect(tally.other).toEqual([]);
    expect(tally.done).toBeGreaterThan(750);
    expect(tally.cuts).toBeGreaterThan(15);
    expect(tally.unavailable).toBeGreaterThan(15);
  });
});

describe('behind a network that fails', () => {
  let proxy: FaultProxy;
  let pool: Pool;

  beforeEach(async () => {
    const url = new URL(database.url);
    proxy = await startFaultProxy({ targetHost: '127.0.0.1', targetPort: Number(url.port) });
    url.port = String(proxy.port);
    pool = open({ url: url.href });
  });
  afterEach(() => proxy.stop());

  it('a query is DATABASE_UNAVAILABLE while connections are reset, and answered when they no longer are', async () => {
    await pool`SELECT 1`;
    proxy.set({ kind: 'reset' });
    await expect(pool`SELECT 1`).rejects.toMatchObject({ code: 'DATABASE_UNAVAILABLE' });
    await expect(withTenant(pool, 'ten_a', (sql) => sql`SELECT 1`)).rejects.toMatchObject({ code: 'DATABASE_UNAVAILABLE' });
    proxy.set({ kind: 'pass' });
    expect(await pool`SELECT 1`).toHaveLength(1);
    expect(proxy.counters.resets).toBeGreaterThanOrEqual(2);
  });

  it.each([1, 20, 100, 300, 500])(
    'a connection cut after %i bytes, in the middle of whatever was under way, costs only its own queries',
    async (bytes) => {
      proxy.set({ kind: 'resetAfterBytes', bytes });
      const outcomes = await Promise.allSettled(
        Array.from({ length: 8 }, (_, nth) => pool`SELECT ${nth}::integer AS n, repeat('x', 1000) AS filler`),
      );
      for (const outcome of outcomes) expect(outcome).toMatchObject({ status: 'rejected', reason: { code: 'DATABASE_UNAVAILABLE' } });
      expect(proxy.counters.resets).toBeGreaterThan(0);
      proxy.set({ kind: 'pass' });
      expect(await pool`SELECT 1`).toHaveLength(1);
    },
  );

  it('ends although the server no longer answers', async () => {
    await pool`SELECT 1`;
    proxy.set({ kind: 'blackHole' });
    const waiting = pool`SELECT 2`.catch((error: unknown) => error);
    await expect.poll(() => proxy.counters.heldPieces).toBe(1);
    const startedAtMs = performance.now();
    await pool.end();
    expect(await waiting).toMatchObject({ code: 'DATABASE_UNAVAILABLE' });
    expect(performance.now() - startedAtMs).toBeLessThan(10_000);
  });
});

describe('notifications', () => {
  it('come to every subscriber of their channel and to no other', async () => {
    const heard: string[] = [];
    const done = Promise.withResolvers<void>();
    await engine.listen('one', (payload) => heard.push(`a ${payload}`));
    await engine.listen('one', (payload) => {
      heard.push(`b ${payload}`);
      if (payload === 'last') done.resolve();
    });
    await engine.listen('Other "channel"', (payload) => heard.push(`c ${payload}`));
    await requests`SELECT pg_notify('one', 'first'), pg_notify('Other "channel"', 'x'), pg_notify('one', 'last')`;
    await done.promise;
    expect(heard).toEqual(['a first', 'b first', 'c x', 'a last', 'b last']);
  });

  it('come again after the connection was lost, and the subscriber is told to look for itself', async () => {
    let heard = Promise.withResolvers<string>();
    let listens = 0;
    let listensAgain = Promise.withResolvers<void>();
    await engine.listen(
      'one',
      (payload) => heard.resolve(payload),
      () => {
        listens += 1;
        listensAgain.resolve();
      },
    );
    for (let round = 0; round < 3; round += 1) {
      heard = Promise.withResolvers();
      listensAgain = Promise.withResolvers();
      await cutAll();
      await listensAgain.promise;
      await superuser`SELECT pg_notify('one', ${`round ${round}`})`;
      expect(await heard.promise).toBe(`round ${round}`);
    }
    expect(listens).toBe(4);
  });

  it('that one sends itself go to the others, however many at once, and also after its connection was lost', async () => {
    const heard: string[] = [];
    const [own, other] = [open(), open()];
    let waiting = Promise.withResolvers<void>();
    const listensAgain = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    let isCut = false;
    const onListen = (which: number) => () => (isCut ? listensAgain[which]?.resolve() : undefined);
    await own.listen('one', (payload) => heard.push(`own ${payload}`), onListen(0));
    const onNotify = (payload: string) => void (heard.push(payload) % 3 === 0 && waiting.resolve());
    await other.listen('one', onNotify, onListen(1));
    await Promise.all([own.notify('one', ['a', 'b']), own.notify('one', ['c'])]);
    await waiting.promise;
    isCut = true;
    await cutAll();
    await Promise.all(listensAgain.map(({ promise }) => promise));
    waiting = Promise.withResolvers();
    await own.notify('one', ['d', 'e', 'it’s']);
    await waiting.promise;
    expect(heard).toEqual(['a', 'b', 'c', 'd', 'e', 'it’s']);
  });

  it('come no more to one who has left', async () => {
    const heard: string[] = [];
    const done = Promise.withResolvers<void>();
    const first = await engine.listen('one', (payload) => heard.push(payload));
    await engine.listen('two', () => done.resolve());
    await first.unlisten();
    await superuser`SELECT pg_notify('one', 'x')`;
    await superuser`SELECT pg_notify('two', 'x')`;
    await done.promise;
    expect(heard).toEqual([]);
  });

  it('cannot be asked for while the database does not answer, and can afterwards', async () => {
    const url = new URL(database.url);
    await using proxy = await startFaultProxy({ targetHost: '127.0.0.1', targetPort: Number(url.port) });
    url.port = String(proxy.port);
    const pool = open({ url: url.href });
    proxy.set({ kind: 'reset' });
    await expect(pool.listen('one', () => {})).rejects.toMatchObject({ code: 'DATABASE_UNAVAILABLE' });
    proxy.set({ kind: 'pass' });
    await pool.listen('one', () => {});
    await pool.end();
  });
});
