import { defaultTenantId, type RunId } from '@hivekeeper/contract';
import { newLog } from '@hivekeeper/kernel';
import { type FreshDatabase, freshDatabase } from '@hivekeeper/testkit';
import postgres from 'postgres';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import type { TurnDecision, TurnQueue } from '../../flow/runs/index.ts';
import { openDatabase, type PostgresDatabase } from './index.ts';

const log = newLog({ level: 'silent', component: 'test' });
const key = { tenantId: defaultTenantId, key: 'k' };
const run = (number: number) => `run_${number}` as RunId;

let fresh: FreshDatabase;
let database: PostgresDatabase;
let sql: postgres.Sql;

beforeAll(async () => {
  fresh = await freshDatabase();
  database = await openDatabase({ url: fresh.url, maxConnections: 4, log });
  sql = postgres(fresh.superuserUrl, { max: 2 });
  await sql`INSERT INTO workflows (id, tenant_id, name, latest_version) VALUES ('wfl_1', ${defaultTenantId}, 'w', 1)`;
});
afterAll(async () => {
  await sql.end();
  await database[Symbol.asyncDispose]();
  await fresh.drop();
});
beforeEach(async () => {
  await sql`DELETE FROM run_turns`;
  await sql`DELETE FROM runs`;
});

/** A run that waits for its turn, as the commit that queued it left it. */
async function queue(number: number, priority = 0): Promise<void> {
  await sql`
    INSERT INTO runs (id, tenant_id, workflow_id, workflow_version, status, trigger, created_at)
    VALUES (${run(number)}, ${defaultTenantId}, 'wfl_1', 1, 'PENDING', 'api', now())`;
  await sql`
    INSERT INTO run_turns (run_id, tenant_id, key, most, priority, is_paused)
    VALUES (${run(number)}, ${defaultTenantId}, 'k', 1, ${priority}, false)`;
}

/** Gives the first its turn where nobody has one. */
const giveOne = ({ holders, waiting }: TurnQueue): TurnDecision => {
  const first = [...waiting].sort((a, b) => b.priority - a.priority)[0];
  return { given: holders.length === 0 && first !== undefined ? [first.runId] : [], ended: [] };
};

it('gives one turn where two control planes look at the same moment, and see different runs at the head', async () => {
  await queue(1);
  await queue(2);
  const reserved = await sql.reserve();
  await reserved`BEGIN`;
  // The first stands still in the middle: it has read who waits, and cannot write yet.
  await reserved`SELECT FROM run_turns WHERE run_id = ${run(1)} FOR UPDATE`;
  const looks = [database.turnStore.settle(key, giveOne)];
  await expect
    .poll(async () => (await sql`SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE 'UPDATE run_turns%'`).length)
    .toBe(1);
  await sql`UPDATE run_turns SET priority = 5 WHERE run_id = ${run(2)}`;
  looks.push(database.turnStore.settle(key, giveOne));
  await expect.poll(async () => (await sql`SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock'`).length).toBe(2);
  await reserved`COMMIT`;
  reserved.release();
  const given = (await Promise.all(looks)).flatMap((decision) => decision.given);
  expect(given).toEqual([run(1)]);
  expect(await database.turnStore.holders(key, 10)).toEqual([run(1)]);
});

it('shows who has a turn and has not ended, and forgets the others', async () => {
  for (const number of [1, 2, 3]) await queue(number);
  await database.turnStore.settle(key, () => ({ given: [run(1), run(2)], ended: [] }));
  await sql`UPDATE runs SET status = 'RUNNING' WHERE id = ${run(2)}`;
  await sql`UPDATE runs SET status = 'SUCCESS', finished_at = now() WHERE id = ${run(1)}`;
  const { holders, waiting } = await database.turnStore.settle(key, () => ({ given: [], ended: [] }));
  expect(holders).toEqual([{ runId: run(2), isBegun: true }]);
  expect(waiting.map(({ runId }) => runId)).toEqual([run(3)]);
  expect(await sql`SELECT FROM run_turns WHERE run_id = ${run(1)}`).toHaveLength(0);
});

it('names the keys at which something is left: a run that waits, a turn not told, a turn not given back', async () => {
  const unsettled = async () => (await database.turnStore.unsettled()).map((left) => left.key);
  await queue(1);
  expect(await unsettled()).toEqual(['k']);
  await database.turnStore.settle(key, giveOne);
  expect(await unsettled()).toEqual(['k']);
  await sql`UPDATE runs SET status = 'RUNNING'`;
  expect(await unsettled()).toEqual([]);
  await sql`UPDATE runs SET finished_at = now()`;
  expect(await unsettled()).toEqual(['k']);
});

it('shows the head of a long queue, and the newest of those that do not simply wait', async () => {
  await sql`
    INSERT INTO runs (id, tenant_id, workflow_id, workflow_version, status, trigger, created_at)
    SELECT 'run_' || n, ${defaultTenantId}, 'wfl_1', 1, 'PENDING', 'api', now() FROM generate_series(10000, 19999) AS n`;
  await sql`
    INSERT INTO run_turns (run_id, tenant_id, key, most, overlap, priority, is_paused)
    SELECT 'run_' || n, ${defaultTenantId}, 'k', 1, CASE WHEN n = 19999 THEN 'replace' END, n % 2, n < 10010 FROM generate_series(10000, 19999) AS n`;
  const { waiting } = await database.turnStore.settle(key, () => ({ given: [], ended: [] }));
  expect(waiting).toHaveLength(201);
  const shown = waiting.map(({ runId }) => runId).sort();
  expect([shown[0], shown.at(-2), shown.at(-1)]).toEqual([run(10_011), run(10_409), run(19_999)]);
});
