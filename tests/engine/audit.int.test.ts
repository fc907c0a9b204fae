import { defaultTenantId } from '@hivekeeper/contract';
import postgres from 'postgres';
import { describe, expect, test } from 'vitest';
import { chain, deploy, ended, engineOn, ownDatabase, seatWorker, start, succeed } from './fixture.ts';

const { database, sql } = await ownDatabase();

describe('the audit log', () => {
  test('has one entry for every commit of every run, without gaps, also where two control planes commit at once', async () => {
    await using left = await engineOn(database.url);
    await using right = await engineOn(database.url);
    await deploy(left, chain('five', 5));
    const runs = await Promise.all(
      [left, right].flatMap((engine) => {
        seatWorker(engine, succeed);
        return Array.from({ length: 20 }, async () => {
          const runId = await start(engine, 'five');
          expect(await ended(engine, runId)).toBe('SUCCESS');
          return runId;
        });
      }),
    );
    const commits = await sql<{ run_id: string; count: number }[]>`
      SELECT run_id, count(*)::integer AS count FROM run_journal GROUP BY run_id`;
    expect(commits.map(({ run_id }) => run_id).sort()).toEqual([...runs].sort());
    const entries = await sql<{ object: string; count: number }[]>`
      SELECT object, count(*)::integer AS count FROM audit_log WHERE object LIKE 'run\\_%' GROUP BY object`;
    const countOf = new Map(entries.map(({ object, count }) => [object, count]));
    expect(commits.map(({ run_id }) => [run_id, countOf.get(run_id)])).toEqual(commits.map(({ run_id, count }) => [run_id, count]));
    const numbers = await sql<{ seq: string }[]>`SELECT seq FROM audit_log WHERE tenant_id = ${defaultTenantId} ORDER BY seq`;
    expect(numbers.map(({ seq }) => Number(seq))).toEqual(numbers.map((_, index) => index + 1));
  });

  test('makes a second writer wait for the first: neither is lost, neither repeats the other’s number', async () => {
    const tenant = 'ten_00000000000000000000000000';
    const append = (transaction: postgres.Sql, object: string) =>
      transaction`SELECT append_audit(ARRAY[${tenant}], ARRAY[0::double precision], ARRAY['test'], ARRAY['test'], ARRAY[${object}], ARRAY['{}'::json])`;
    const other = postgres(database.superuserUrl, { max: 1 });
    try {
      const [{ pid } = { pid: 0 }] = await other<{ pid: number }[]>`SELECT pg_backend_pid() AS pid`;
      let second: Promise<unknown> | undefined;
      await sql.begin(async (first) => {
        await append(first as unknown as postgres.Sql, 'first');
        let isOver = false;
        second = append(other, 'second').finally(() => (isOver = true));
        second.catch(() => undefined);
        const isWaiting = async () =>
          (await first`SELECT FROM pg_stat_activity WHERE pid = ${pid} AND wait_event_type = 'Lock'`).length === 1;
        while (!isOver && !(await isWaiting())) await new Promise((fulfil) => setImmediate(fulfil));
        expect(isOver).toBe(false);
      });
      await second;
      const rows = await sql<{ object: string; seq: string }[]>`
        SELECT object, seq FROM audit_log WHERE object IN ('first', 'second') ORDER BY seq`;
      expect(rows.map(({ object }) => object)).toEqual(['first', 'second']);
      expect(Number(rows[1]?.seq)).toBe(Number(rows[0]?.seq) + 1);
    } finally {
      await other.end();
    }
  });
});
