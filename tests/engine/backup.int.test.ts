import { cp, mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { systemClock } from '@hivekeeper/kernel';
import type { LeasedTicket, RunId } from '@hivekeeper/contract';
import { type FreshDatabase, freshDatabase } from '@hivekeeper/testkit';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { diskBackupShelf } from '../../apps/control/src/adapters/backup-files/backup-files.ts';
import { postgresBackupSource } from '../../apps/control/src/adapters/postgres/backup/snapshot.ts';
import { openPool } from '../../apps/control/src/adapters/postgres/connection.ts';
import { migrate } from '../../apps/control/src/adapters/postgres/migrate.ts';
import { tryBackup } from '../../apps/control/src/offline.ts';
import { restoredText } from '../../apps/control/src/offline-report.ts';
import { Backups } from '../../apps/control/src/operations/backups/index.ts';
import { asSuperuser, backUp, log, placePerTest } from './backups.ts';
import { chain, deploy, ended, engineOn, migratedDatabase, seatWorker, start, succeed } from './fixture.ts';

const place = placePerTest();
// Keeps the server for the whole file.
let keeper: FreshDatabase;
beforeAll(async () => {
  keeper = await migratedDatabase();
});
afterAll(() => keeper.drop());

/** Every row of every table as text, but for what belongs to one place: numbers of transactions. */
const contentsOf = (database: FreshDatabase): Promise<Record<string, string[]>> =>
  asSuperuser(database, async (sql) => {
    const tables = await sql<{ name: string }[]>`
      SELECT tablename AS name FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'schema_migrations'`;
    const contents: Record<string, string[]> = {};
    for (const { name } of tables)
      contents[name] = (await sql.unsafe(`SELECT (to_jsonb(t) - 'transaction')::text AS row FROM "${name}" t`))
        .map(({ row }) => row)
        .sort();
    return contents;
  });

/** A run whose only ticket a worker holds, and a backup of that moment. */
async function backUpLease(database: FreshDatabase): Promise<{ path: string; runId: RunId; workerId: string; ticket: LeasedTicket }> {
  // A lease that would outlast the test.
  await using engine = await place.engine(database, { leaseMs: 600_000 });
  await deploy(engine, chain('one', 1));
  const worker = seatWorker(engine, () => undefined);
  const runId = await start(engine, 'one');
  const ticket = await worker.ticket(1);
  return { path: await backUp(engine), runId, workerId: worker.workerId, ticket };
}

describe('a backup', () => {
  test('taken while runs go on holds every run acknowledged before, and each of them ends SUCCESS where it is restored', async () => {
    await using source = await migratedDatabase();
    const before: RunId[] = [];
    let path: string;
    let startedAfter = 0;
    {
      await using engine = await place.engine(source);
      await deploy(engine, chain('ten', 10));
      seatWorker(engine, (ticket) => (ticket.nodeId === 'n7' && before.indexOf(ticket.runId) % 3 === 0 ? undefined : succeed(ticket)));
      for (let index = 0; index < 30; index += 1) before.push(await start(engine, 'ten'));
      const done = new AbortController();
      const after = (async () => {
        for (; !done.signal.aborted; startedAfter += 1) await start(engine, 'ten');
      })();
      path = await backUp(engine).finally(() => done.abort());
      await after;
    }
    expect(startedAfter).toBeGreaterThan(0);
    await using target = await freshDatabase();
    const { lostWindow } = await place.restore(path, target);
    expect(lostWindow.leaseCount).toBeGreaterThanOrEqual(10);
    expect(lostWindow.unfinishedCount).toBeGreaterThanOrEqual(10);
    await using engine = await engineOn(target.url);
    seatWorker(engine, succeed);
    for (const runId of before) expect(await ended(engine, runId)).toBe('SUCCESS');
  });

  test('knows which effects were on their way; they are told to the person, and are not simply made again', async () => {
    await using source = await migratedDatabase();
    let path: string;
    const pay = { tool: 'bank.pay', args: { to: 'ann' } };
    let effectId: string;
    let runId: RunId;
    {
      await using engine = await place.engine(source, { leaseMs: 600_000 });
      await deploy(engine, chain('one', 1));
      const worker = seatWorker(engine, () => undefined);
      runId = await start(engine, 'one');
      const { ticketId, token } = await worker.ticket(1);
      const held = { workerId: worker.workerId, ticketId, token };
      ({ effectId } = await engine.services.effects.begin({ ...held, ...pay }));
      const over = await engine.services.effects.begin({ ...held, tool: 'mail.send', args: {} });
      await engine.services.effects.finish({ ...held, effectId: over.effectId, outcome: { ok: true, output: 1 } });
      path = await backUp(engine);
    }
    await using target = await freshDatabase();
    const restored = await place.restore(path, target);
    expect(restored.lostWindow).toMatchObject({ openEffectCount: 1, openEffects: [{ effectId, runId, tool: 'bank.pay' }] });
    expect(restoredText(restored)).toContain(
      `On their way then: 1 effects. They are unknown now (hive effects --state unknown):\n  ${effectId}  bank.pay  ${runId}\n`,
    );
    await using engine = await engineOn(target.url);
    const worker = seatWorker(engine, () => undefined);
    const { ticketId, token } = await worker.ticket(1);
    expect(await engine.services.effects.begin({ workerId: worker.workerId, ticketId, token, ...pay })).toMatchObject({ state: 'unknown' });
  });

  test('restores every row as it was, under row security, and writes down that it was restored', async () => {
    await using source = await migratedDatabase();
    let path: string;
    {
      await using engine = await place.engine(source);
      // Somebody is told of ends of runs: what the backup holds of that is told after the restore, and nothing else.
      await asSuperuser(source, (sql) => sql`INSERT INTO relays (name) VALUES ('nats')`);
      await deploy(engine, { ...chain('odd', 3), description: 'tab\t, line\nend, back\\slash, \\N, ünï ☃' });
      seatWorker(engine, succeed);
      expect(await ended(engine, await start(engine, 'odd', { text: 'a\tb\nc\\d\r"é' }))).toBe('SUCCESS');
      // As in a cluster that has seen more transactions than the one it is restored into.
      await asSuperuser(source, (sql) => sql`UPDATE run_journal SET transaction = '9000000000'`);
      path = await backUp(engine);
    }
    await using target = await freshDatabase();
    const { epoch } = await place.restore(path, target);
    const [theirs, ours] = [await contentsOf(source), await contentsOf(target)];
    // What the source did after its backup, and what a restore does.
    for (const moved of ['audit_heads', 'audit_log', 'installation', 'instances', 'instance_rounds']) delete theirs[moved];
    const { audit_log: log, audit_heads, installation, instances, instance_rounds, ...rest } = ours;
    expect(rest).toEqual(theirs);
    expect(rest['run_journal']?.length).toBeGreaterThan(3);
    expect([rest['outbox']?.length, instances?.length, instance_rounds]).toEqual([1, expect.any(Number), []]);
    expect(installation?.[0]).toContain(`"epoch": ${epoch}`);
    // Of the tenant, and of the canaries.
    expect(audit_heads).toHaveLength(2);
    expect(log?.filter((row) => row.includes('installation.restored'))).toHaveLength(1);
    const open = await asSuperuser(
      target,
      (sql) => sql`
      SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' AND relname <> 'schema_migrations'
        AND NOT (relrowsecurity AND relforcerowsecurity)`,
    );
    expect([...open]).toEqual([]);
    // Rows with the numbers of another cluster's transactions would be invisible to whoever follows the journal, for ever.
    const [ahead] = await asSuperuser(
      target,
      (sql) => sql`
      SELECT count(*)::integer AS count FROM run_journal WHERE transaction >= pg_snapshot_xmin(pg_current_snapshot())`,
    );
    expect(ahead).toEqual({ count: 0 });
  });

  test('of a schema that is older is brought to this one', async () => {
    const folder = place.in('older');
    await mkdir(folder);
    const shipped = new URL('../../apps/control/src/adapters/postgres/migrations/', import.meta.url);
    for (const file of (await readdir(shipped)).filter((name) => /^000[1-4]/.test(name)))
      await cp(new URL(file, shipped), join(folder, file));
    await using older = await freshDatabase();
    const pool = openPool({ url: older.url, tenantScope: '*', maxConnections: 2, applicationName: 'test', log });
    await using stack = new AsyncDisposableStack();
    stack.defer(() => pool.end());
    expect(await migrate(pool, { log, directory: pathToFileURL(`${folder}/`) })).toEqual([1, 2, 3, 4]);
    await pool.unsafe(`SELECT append_audit(ARRAY['ten_00000000000000000000000000'], ARRAY[1.5::double precision], ARRAY['test'], ARRAY['key.issued'],
      ARRAY['old'], ARRAY['{}'::json])`);
    const source = postgresBackupSource(pool, older.url);
    const backups = stack.use(
      new Backups({ source, shelf: diskBackupShelf(place.in('backups')), clock: systemClock, log, productVersion: '0.0.0-old' }),
    );
    const { name } = backups.create({ keep: undefined, by: 'test' });
    const { path, schemaVersion } = await backups.get(name, 30_000);
    expect(schemaVersion).toBe(4);
    expect(await tryBackup(path, { isDeep: false }, log)).toMatchObject({ isSound: true, auditEntryCount: 1, unprovenEntryCount: 1 });
    await using target = await freshDatabase();
    const { migrated } = await place.restore(path, target);
    expect(migrated[0]).toBe(5);
    await using engine = await place.engine(target);
    await deploy(engine, chain('one', 1));
    seatWorker(engine, succeed);
    expect(await ended(engine, await start(engine, 'one'))).toBe('SUCCESS');
    expect(await tryBackup(await backUp(engine), { isDeep: true }, log)).toMatchObject({ isSound: true, unprovenEntryCount: 1 });
  });

  test('with a number to keep removes the oldest whole ones, and tells the audit log', async () => {
    await using source = await migratedDatabase();
    await using engine = await place.engine(source);
    const first = await backUp(engine);
    const second = await backUp(engine);
    const third = await backUp(engine, 2);
    expect((await engine.services.backups.list()).map(({ path }) => path)).toEqual([third, second]);
    expect((await readdir(place.in('backups'))).sort()).toEqual([second, third].map((path) => basename(path)));
    const told = await asSuperuser(source, (sql) => sql`SELECT action, object FROM audit_log WHERE action LIKE 'backup.%' ORDER BY seq`);
    expect(told.map(({ action, object }) => [action, object])).toEqual([
      ...[first, second, third].map((path) => ['backup.created', basename(path)]),
      ['backup.removed', basename(first)],
    ]);
  });

  test('is one at a time', async () => {
    await using source = await migratedDatabase();
    await using engine = await place.engine(source);
    const { name } = engine.services.backups.create({ keep: undefined, by: 'test' });
    expect(() => engine.services.backups.create({ keep: undefined, by: 'test' })).toThrow(
      expect.objectContaining({ code: 'BACKUP_RUNNING' }),
    );
    expect(await engine.services.backups.get(name, 30_000)).toMatchObject({ state: 'COMPLETE' });
  });
});

/** Rows enough that reading them takes a while. */
const fill = (database: FreshDatabase) =>
  asSuperuser(
    database,
    (sql) => sql`
      INSERT INTO idempotency_keys
        SELECT 'ten_00000000000000000000000000', 'r', n::text, repeat(md5(n::text), 20), 'x' FROM generate_series(1, 100000) n`,
  );

/** Resolves with the backend that is reading them for a backup. */
async function readingBackend(database: FreshDatabase): Promise<number> {
  return asSuperuser(database, async (sql) => {
    for (;;) {
      const [row] = await sql<{ pid: number }[]>`
        SELECT pid FROM pg_stat_activity WHERE application_name = 'hivekeeper-backup' AND datname = current_database()
          AND query LIKE 'COPY%idempotency%' AND state = 'active'`;
      if (row !== undefined) return row.pid;
    }
  });
}

describe('a backup that cannot be written', () => {
  test('because the database went away leaves nothing, and says so', async () => {
    await using source = await migratedDatabase();
    await fill(source);
    await using engine = await place.engine(source);
    const { name } = engine.services.backups.create({ keep: undefined, by: 'test' });
    const pid = await readingBackend(source);
    await asSuperuser(source, (sql) => sql`SELECT pg_terminate_backend(${pid})`);
    expect(await engine.services.backups.get(name, 30_000)).toMatchObject({ state: 'FAILED', error: { code: 'DATABASE_UNAVAILABLE' } });
    expect(await readdir(place.in('backups'))).toEqual([]);
    expect(await engine.services.backups.list()).toMatchObject([{ name, state: 'FAILED' }]);
    await backUp(engine);
  });

  test('because there is no place for it says which', async () => {
    await using source = await migratedDatabase();
    await writeFile(place.in('backups'), 'a file');
    await using engine = await place.engine(source);
    const { name } = engine.services.backups.create({ keep: undefined, by: 'test' });
    expect(await engine.services.backups.get(name, 30_000)).toMatchObject({
      state: 'FAILED',
      error: { code: 'BACKUP_NOT_WRITTEN', message: expect.stringContaining(place.in('backups')) },
    });
  });

  test.each([
    ['at its beginning', async () => undefined],
    ['in the middle', readingBackend],
  ])('because the control plane stops %s is given up, and leaves nothing', async (_when, comes) => {
    await using source = await migratedDatabase();
    await fill(source);
    {
      await using engine = await place.engine(source);
      engine.services.backups.create({ keep: undefined, by: 'test' });
      await comes(source);
    }
    expect(await readdir(place.in('backups'))).toEqual([]);
  });
});

describe('after a restore', () => {
  test('the lease of the backup is lost at once, and who held it is refused with its token', async () => {
    await using source = await migratedDatabase();
    const { path, runId, workerId, ticket } = await backUpLease(source);
    await using target = await freshDatabase();
    await place.restore(path, target);
    await using engine = await engineOn(target.url, { leaseMs: 600_000 });
    const { ticketId, token } = ticket;
    const settled = engine.services.runs.settle({ workerId: workerId as never, ticketId, token, outcome: { ok: true, output: 'old' } });
    await expect(settled).rejects.toMatchObject({ code: 'TICKET_NOT_HELD' });
    const worker = seatWorker(engine, () => ({ ok: true, output: 'new' }));
    expect(await engine.services.desk.heartbeat(worker.workerId, [{ ticketId, token }])).toEqual([ticketId]);
    expect(await ended(engine, runId)).toBe('SUCCESS');
    expect(worker.tickets.map((each) => each.ticketId)).not.toContain(ticketId);
  });

  test('of the same backup once more, what the first restore handed out is refused, though nothing is left of it', async () => {
    await using source = await migratedDatabase();
    const { path, runId } = await backUpLease(source);
    await using first = await freshDatabase();
    const { epoch: firstEpoch } = await place.restore(path, first, 'first');
    let held: LeasedTicket;
    let workerId: string;
    {
      await using engine = await engineOn(first.url);
      const worker = seatWorker(engine, () => undefined);
      held = await worker.ticket(1);
      workerId = worker.workerId;
    }
    await using second = await freshDatabase();
    const { epoch } = await place.restore(path, second, 'second');
    expect(epoch).toBeGreaterThan(firstEpoch);
    await using engine = await engineOn(second.url);
    const worker = seatWorker(engine, () => undefined);
    const again = await worker.ticket(1);
    // Ticket and counter are the same in both worlds: only the epoch tells them apart.
    expect([again.ticketId, again.token.split('.')[1]]).toEqual([held.ticketId, held.token.split('.')[1]]);
    const settle = (by: string, token: string) =>
      engine.services.runs.settle({ workerId: by as never, ticketId: again.ticketId, token, outcome: { ok: true, output: 'done' } });
    await expect(settle(workerId, held.token)).rejects.toMatchObject({ code: 'TICKET_NOT_HELD' });
    await expect(settle(worker.workerId, held.token)).rejects.toMatchObject({ code: 'TICKET_NOT_HELD' });
    await settle(worker.workerId, again.token);
    expect(await ended(engine, runId)).toBe('SUCCESS');
  });

  test('the data directory knows the epoch, and the next restore is above it where the clock is behind', async () => {
    await using source = await migratedDatabase();
    const { path } = await backUpLease(source);
    await mkdir(place.in('data'));
    await writeFile(join(place.in('data'), 'restore.json'), JSON.stringify({ epoch: 2_000_000_000, backup: 'x', atMs: 0 }));
    await using target = await freshDatabase();
    const { epoch } = await place.restore(path, target);
    expect(epoch).toBe(2_000_000_001);
    expect(JSON.parse(await readFile(join(place.in('data'), 'restore.json'), 'utf8'))).toMatchObject({ epoch, backup: path });
  });
});
