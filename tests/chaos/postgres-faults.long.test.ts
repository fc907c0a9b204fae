// @module-tag needs-bwrap
import { execFileSync } from 'node:child_process';
import { mkdir, rm, statfs, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import postgres from 'postgres';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { temporaryDirectory } from '../stack/stack.ts';
import { type Fleet, startFleet } from './harness/fleet.ts';
import { prepare } from './harness/load.ts';

/** What one call came to. */
interface Answer {
  readonly status: number;
  readonly retryAfter: string | null;
}

const oneOfEach = { planeCount: 1, workersPerPlane: 1 };
let callCount = 0;

/** Starts a run by HTTP as any client would. */
async function call({ url, adminKey }: Fleet): Promise<Answer> {
  const response = await fetch(`${url}/v1/workflows/diamond/runs`, {
    method: 'POST',
    headers: { authorization: `Bearer ${adminKey}`, 'content-type': 'application/json', 'idempotency-key': `call-${++callCount}` },
    body: JSON.stringify({ context: {} }),
  });
  await response.arrayBuffer();
  return { status: response.status, retryAfter: response.headers.get('retry-after') };
}

/** Calls, two at a time, until enough answers are `wanted`. */
async function callsUntil(fleet: Fleet, wanted: (answers: readonly Answer[]) => boolean): Promise<readonly Answer[]> {
  const answers: Answer[] = [];
  const one = async () => {
    for (const endMs = performance.now() + 60_000; !wanted(answers) && performance.now() < endMs; await pause(5))
      answers.push(await call(fleet));
  };
  await Promise.all([one(), one()]);
  return answers;
}

const count = (answers: readonly Answer[], status: number) => answers.filter((answer) => answer.status === status).length;
/** Neither done nor "come again later": what must not be. */
const bad = (answers: readonly Answer[]) =>
  answers.filter(({ status, retryAfter }) => status !== 202 && !(status === 503 && Number(retryAfter) >= 1));
const some =
  (status: number, most = 3) =>
  (answers: readonly Answer[]) =>
    count(answers, status) >= most;

/** While the fault lasts callers are told to come again; when it is over they are served, by the same process. */
async function survives(fleet: Fleet, begin: () => Promise<unknown>, heal: () => Promise<unknown>): Promise<void> {
  const pid = fleet.planes[0]?.process.pid;
  await begin();
  const during = await callsUntil(fleet, some(503)).finally(heal);
  expect(bad(during)).toEqual([]);
  expect(count(during, 503)).toBeGreaterThanOrEqual(3);
  const after = await callsUntil(fleet, some(202));
  expect(bad(after)).toEqual([]);
  expect(count(after, 202)).toBeGreaterThanOrEqual(3);
  expect(fleet.planes[0]?.process.pid).toBe(pid);
}

const terminateAll = (sql: postgres.Sql) =>
  sql`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'hivekeeper%'`;

/** No run that was accepted is missing or unfinished. */
async function everythingEnds(sql: postgres.Sql): Promise<void> {
  const unfinished = async () => (await sql`SELECT FROM runs WHERE status <> 'SUCCESS'`).length;
  await expect.poll(unfinished, { interval: 50, timeout: 120_000 }).toBe(0);
}

describe('a database in trouble', () => {
  let directory: Awaited<ReturnType<typeof temporaryDirectory>>;
  let fleet: Fleet;
  let sql: postgres.Sql;
  beforeAll(async () => {
    directory = await temporaryDirectory('postgres-faults');
    fleet = await startFleet(directory.path, oneOfEach);
    await prepare(fleet);
    sql = postgres(fleet.sqlUrl, { max: 1, onnotice: () => {} });
  });
  afterAll(async () => {
    await sql.end();
    await fleet[Symbol.asyncDispose]();
    await directory[Symbol.asyncDispose]();
  });

  test('that ends every connection twenty times has every call answered or put off', async () => {
    let isOver = false;
    const calling = callsUntil(fleet, () => isOver);
    let ended = 0;
    for (let round = 0; round < 20; round += 1) {
      ended += (await terminateAll(sql)).length;
      await pause(60);
    }
    isOver = true;
    expect(ended).toBeGreaterThanOrEqual(20);
    expect(bad(await calling)).toEqual([]);
    await everythingEnds(sql);
  });

  test('that takes no more connections puts callers off, and serves them when it does again', async () => {
    const [row] = await sql<{ most: string }[]>`SELECT current_setting('max_connections') AS most`;
    const guests: postgres.Sql[] = [];
    const fill = async () => {
      const guest = postgres(fleet.sqlUrl, { max: Number(row?.most), onnotice: () => {}, connect_timeout: 2 });
      guests.push(guest);
      await Promise.allSettled(Array.from({ length: Number(row?.most) }, () => guest`SELECT 1`));
      await terminateAll(sql);
      await Promise.allSettled(Array.from({ length: Number(row?.most) }, () => guest`SELECT pg_sleep(0.05)`));
    };
    await survives(fleet, fill, () => Promise.all(guests.map((guest) => guest.end({ timeout: 1 }))));
    await everythingEnds(sql);
  });

  test('that only reads puts callers off, and serves them when it writes again', async () => {
    const only = async (text: 'on' | 'off') => {
      await sql.unsafe(`ALTER DATABASE hive SET default_transaction_read_only = ${text}`);
      await terminateAll(sql);
    };
    await survives(
      fleet,
      () => only('on'),
      () => only('off'),
    );
    await everythingEnds(sql);
  });

  test('that is shut down, fast or at once, puts callers off, and serves them when it is back', async () => {
    for (const signal of ['SIGINT', 'SIGQUIT'] as const) {
      const before = fleet.postgres.pid;
      const calling = callsUntil(fleet, (answers) => fleet.postgres.pid !== before && count(answers.slice(-4), 202) === 4);
      process.kill(before, signal);
      const answers = await calling;
      expect(fleet.postgres.pid).not.toBe(before);
      expect(bad(answers)).toEqual([]);
      expect(count(answers.slice(-4), 202)).toBe(4);
    }
    await everythingEnds(sql);
  });

  test.each([
    ['deadlock', '40P01'],
    ['serialization failure', '40001'],
    ['lock timeout', '55P03'],
  ])('that meets a %s in two commits of three has every call answered all the same', async (_name, state) => {
    await sql.unsafe(`
      CREATE SEQUENCE trouble;
      CREATE FUNCTION trouble() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        IF nextval('trouble') % 3 <> 0 THEN RAISE EXCEPTION 'injected' USING ERRCODE = '${state}'; END IF; RETURN NULL;
      END $$;
      CREATE TRIGGER trouble AFTER INSERT ON run_journal FOR EACH STATEMENT EXECUTE FUNCTION trouble();
      GRANT USAGE ON SEQUENCE trouble TO hive`);
    const answers = await callsUntil(fleet, some(202, 12));
    const [met] = await sql<{ value: string }[]>`SELECT last_value AS value FROM trouble`;
    await sql.unsafe('DROP TRIGGER trouble ON run_journal; DROP FUNCTION trouble; DROP SEQUENCE trouble');
    expect(bad(answers)).toEqual([]);
    expect(count(answers, 202)).toBeGreaterThanOrEqual(12);
    expect(Number(met?.value)).toBeGreaterThanOrEqual(9);
    await everythingEnds(sql);
  });
});

// A file system of a size of its own can be made by root only; nobody else could fill one without filling the machine's.
describe.runIf(process.getuid?.() === 0 && process.platform === 'linux')('a database whose disk is full', () => {
  test('puts callers off, and serves them when there is space again', async () => {
    await using directory = await temporaryDirectory('disk-full');
    const disk = join(directory.path, 'disk');
    await mkdir(disk);
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=200m,mode=0755', 'tmpfs', disk]);
    try {
      await using fleet = await startFleet(directory.path, { ...oneOfEach, postgresDirectory: join(disk, 'postgres') });
      await prepare(fleet);
      const ballast = join(disk, 'ballast');
      const fill = async () => {
        // New pages and WAL need space; what is preallocated lasts for a while.
        const { bavail, bsize } = await statfs(disk);
        await writeFile(ballast, Buffer.alloc(bavail * bsize)).catch(() => {});
        const sql = postgres(fleet.sqlUrl, { max: 1, onnotice: () => {} });
        await sql`CREATE TABLE more AS SELECT repeat('x', 7000) AS x FROM generate_series(1, 4000)`.catch(() => {});
        await sql`SELECT pg_switch_wal()`.catch(() => {});
        await sql.end({ timeout: 1 });
      };
      await survives(fleet, fill, () => rm(ballast));
    } finally {
      execFileSync('umount', ['-l', disk]);
    }
  });
});
