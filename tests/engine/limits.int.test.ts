import { type AgentSpec, defaultTenantId, type Outcome, type RunId, type WorkflowInput } from '@hivekeeper/contract';
import type { FreshDatabase } from '@hivekeeper/testkit';
import postgres from 'postgres';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Engine } from '../../apps/control/src/engine.ts';
import { builtin, deploy, ended, engineOn, migratedDatabase, seatWorker, start, succeed } from './fixture.ts';

let database: FreshDatabase;
let sql: postgres.Sql;

beforeAll(async () => {
  database = await migratedDatabase();
  sql = postgres(database.superuserUrl, { max: 2 });
});
afterAll(async () => {
  await sql.end();
  await database.drop();
});

const register = ({ services }: Engine, name: string, more: Partial<AgentSpec>) =>
  services.agents.ensureSpec({ tenantId: defaultTenantId, spec: builtin(name, more), by: 'test' });
const wide = (name: string, count: number, more: Partial<WorkflowInput['nodes'][number]> = {}): WorkflowInput => ({
  name,
  nodes: Array.from({ length: count }, (_, index) => ({ id: `n${index}`, agent: 'noop', ...more })),
});

/** Looks every 20 ms, by a connection of its own, how many tickets with the condition are leased; stops by returning the most it saw. */
function watchLeased(condition: () => postgres.PendingQuery<postgres.Row[]>): () => Promise<{ most: number; looks: number }> {
  let [most, looks, isOver] = [0, 0, false];
  const watching = (async () => {
    while (!isOver) {
      const [row] = await sql<{ leased: number }[]>`SELECT count(*)::integer AS leased FROM tickets WHERE token IS NOT NULL AND ${condition()}`;
      most = Math.max(most, row?.leased ?? 0);
      looks += 1;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  })();
  return async () => {
    isOver = true;
    await watching;
    return { most, looks };
  };
}

/** Succeeds after a moment, so that leases of different tickets overlap. */
const slowly = (ms: number) => (): Promise<Outcome> => new Promise((resolve) => setTimeout(resolve, ms, { ok: true, output: 1 }));

describe('a concurrency key', () => {
  test('is never held by more tickets than its limit says, by two control planes with one worker each', async () => {
    await using left = await engineOn(database.url);
    await using right = await engineOn(database.url);
    await deploy(left, wide('narrow', 20, { concurrency: { key: 'printer {{ context.floor }}', limit: 3 } }));
    for (const engine of [left, right]) seatWorker(engine, slowly(10));
    const stop = watchLeased(() => sql`concurrency_key = 'key:printer 1'`);
    const runs = await Promise.all(Array.from({ length: 10 }, (_, index) => start(index % 2 === 0 ? left : right, 'narrow', { floor: 1 })));
    expect(await Promise.all(runs.map((runId) => ended(left, runId)))).toEqual(runs.map(() => 'SUCCESS'));
    const { most, looks } = await stop();
    expect(looks).toBeGreaterThan(10);
    expect(most).toBe(3);
  });
});
