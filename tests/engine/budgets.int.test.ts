import { budgetSchema, defaultTenantId, type SetBudget, type TenantId } from '@hivekeeper/contract';
import { idMaker, newLog, systemClock, systemRandom } from '@hivekeeper/kernel';
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import { openDatabase, type PostgresDatabase } from '../../apps/control/src/adapters/postgres/index.ts';
import { standingOf } from '../../apps/control/src/governance/budgets/index.ts';
import { Money } from '../../apps/control/src/records/budgets/index.ts';
import { ownDatabase } from './fixture.ts';

const log = newLog({ level: 'silent', component: 'test' });
const newId = idMaker(systemClock, systemRandom);
const { database: fresh, sql } = await ownDatabase();

/** A control plane as far as money goes: pools of its own. */
async function plane(): Promise<{ readonly database: PostgresDatabase; readonly money: Money }> {
  const database = await openDatabase({ url: fresh.url, maxConnections: 4, log });
  const money = new Money({ store: database.budgetStore, newId, clock: systemClock, log });
  afterAll(async () => {
    money[Symbol.dispose]();
    await database[Symbol.asyncDispose]();
  });
  return { database, money };
}
const planes = [await plane(), await plane(), await plane()] as const;
const [{ money, database }] = planes;
const who = { tenantId: defaultTenantId, by: 'admin' };
const spender = { tenantId: defaultTenantId, subject: 'admin' };
const set = (budget: Partial<SetBudget>) => money.set(who, { scope: 'tenant', name: '', period: 'total', capMicroUsd: 100, ...budget });
const only = async () => {
  const [budget, ...others] = await money.list(defaultTenantId);
  expect(others).toEqual([]);
  return budget;
};
const settled = async (store: PostgresDatabase['budgetStore'], spentMicroUsd: number) => {
  const [row] = await sql<{ id: string }[]>`SELECT id FROM reservations`;
  await store.settle([{ id: row?.id ?? '', spentMicroUsd }]);
};

beforeEach(() => sql`TRUNCATE budgets, reservations`);

describe('a budget', () => {
  it('is never passed by 1,000 reservations at once from three pools, and is used up to less than one of them', async () => {
    // Levels that overlap, in no order of their own: who locked them one by one as they come would deadlock.
    await set({ capMicroUsd: 990 * 1_000 });
    for (const name of ['c', 'a', 'b']) await set({ scope: 'key', name, period: 'day', capMicroUsd: 5_000_000 });
    const reserve = (index: number) => planes[index % 3]?.money.reserve(1_000, { ...spender, subject: 'abc'.charAt((index % 7) % 3) });
    const tried = await Promise.allSettled(Array.from({ length: 1_000 }, (_, index) => reserve(index)));
    const refused = tried.filter(({ status }) => status === 'rejected').map((each) => (each as PromiseRejectedResult).reason as unknown);
    expect(refused).toHaveLength(10);
    for (const reason of refused) expect(reason).toMatchObject({ code: 'BUDGET_EXHAUSTED' });
    const tenant = (await money.list(defaultTenantId)).find(({ scope }) => scope === 'tenant');
    expect(tenant).toMatchObject({ reservedMicroUsd: 990_000, settledMicroUsd: 0 });
    // All end, from three pools at once, each twice: once is what counts.
    const ids = (await sql<{ id: string }[]>`SELECT id FROM reservations`).map(({ id }) => ({ id, spentMicroUsd: 700 }));
    await Promise.all(planes.map((each) => each.database.budgetStore.settle(ids.toReversed())));
    const sums = await sql<{ scope: string; reserved: number; settled: number }[]>`
      SELECT scope, sum(reserved_micro_usd)::int AS reserved, sum(settled_micro_usd)::int AS settled FROM budgets GROUP BY 1 ORDER BY 1`;
    const all = { reserved: 0, settled: 990 * 700 };
    expect(sums).toEqual([
      { scope: 'key', ...all },
      { scope: 'tenant', ...all },
    ]);
    expect(await sql`SELECT FROM reservations`).toHaveLength(0);
  });

  it('gives the last of it to one of three control planes, each time they ask at once', async () => {
    for (let round = 1; round <= 40; round += 1) {
      await set({ capMicroUsd: round });
      const tried = await Promise.allSettled(planes.map((each) => each.money.reserve(1, spender)));
      expect(tried.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    }
    expect(await only()).toMatchObject({ reservedMicroUsd: 40, settledMicroUsd: 0 });
  });

  it('takes at all levels or at none, and the refusal names the one that has too little', async () => {
    await set({ capMicroUsd: 100 });
    await set({ scope: 'key', name: 'admin', period: 'month', capMicroUsd: 10 });
    await expect(money.reserve(11, spender)).rejects.toThrow(/budget key admin \(month\) has 10 of 10 .* may need 11; .*PUT \/v1\/budgets/);
    expect((await money.list(defaultTenantId)).map(({ reservedMicroUsd }) => reservedMicroUsd)).toEqual([0, 0]);
    await money.reserve(11, { ...spender, subject: 'another' });
    expect(await sql`SELECT FROM reservations`).toHaveLength(1);
  });

  it('of a run and of its workflow counts what retries of the run spend', async () => {
    await sql`INSERT INTO workflows (id, tenant_id, name, latest_version) VALUES ('wfl_b', ${defaultTenantId}, 'dear', 1)`;
    for (const [id, origin] of [
      ['run_1', null],
      ['run_2', 'run_1'],
      ['run_3', 'run_2'],
    ] as const)
      await sql`INSERT INTO runs (id, tenant_id, workflow_id, workflow_version, status, trigger, origin_run_id, created_at)
        VALUES (${id}, ${defaultTenantId}, 'wfl_b', 1, 'SUCCESS', 'api', ${origin}, now())`;
    await set({ scope: 'run', name: 'run_1' });
    await set({ scope: 'workflow', name: 'dear', capMicroUsd: 1_000 });
    await money.reserve(60, { ...spender, runId: 'run_3' });
    await expect(money.reserve(60, { ...spender, runId: 'run_2' })).rejects.toThrow('budget run run_1');
    await expect(money.reserve(950, { ...spender, runId: 'run_2' })).rejects.toMatchObject({ code: 'BUDGET_EXHAUSTED' });
    await money.reserve(5_000, spender);
  });

  it('charges what was spent, and all of a reservation that nobody settled before it expired', async () => {
    await set({});
    await money.reserve(40, spender);
    await settled(database.budgetStore, 7);
    expect(await only()).toMatchObject({ reservedMicroUsd: 0, settledMicroUsd: 7 });
    await money.reserve(40, spender);
    await database.budgetStore.expire();
    expect(await only()).toMatchObject({ reservedMicroUsd: 40, settledMicroUsd: 7 });
    await sql`UPDATE reservations SET expires_at = now() - interval '1 second'`;
    await database.budgetStore.expire();
    expect(await only()).toMatchObject({ reservedMicroUsd: 0, settledMicroUsd: 47 });
  });

  it('has room again when its window turns, but not for what is still under way', async () => {
    await set({ period: 'day' });
    await money.reserve(60, spender);
    await settled(database.budgetStore, 60);
    await money.reserve(40, spender);
    await expect(money.reserve(1, spender)).rejects.toMatchObject({ code: 'BUDGET_EXHAUSTED' });
    await sql`UPDATE budgets SET window_start = window_start - interval '1 day'`;
    await expect(money.reserve(61, spender)).rejects.toMatchObject({ code: 'BUDGET_EXHAUSTED' });
    await money.reserve(60, spender);
    expect(await only()).toMatchObject({ reservedMicroUsd: 100, settledMicroUsd: 0 });
  });

  it('is set once however often, each change with its entry in the log, and is nobody else’s', async () => {
    const entries = async () => (await sql`SELECT FROM audit_log WHERE action LIKE 'budget.%'`).length;
    const before = await entries();
    const { id } = await set({});
    expect((await set({})).id).toBe(id);
    expect(await entries()).toBe(before + 1);
    const raised = await set({ capMicroUsd: 101 });
    expect(budgetSchema.parse(standingOf(raised, Date.now()))).toMatchObject({ id, capMicroUsd: 101, leftMicroUsd: 101 });
    const stranger = 'ten_00000000000000000000000001' as TenantId;
    expect(await money.list(stranger)).toEqual([]);
    await expect(money.remove({ tenantId: stranger, by: 'x', id })).rejects.toMatchObject({ code: 'NOT_FOUND' });
    await money.reserve(10_000, { ...spender, tenantId: stranger });
    await money.reserve(50, spender);
    await money.remove({ ...who, id });
    await set({});
    await settled(database.budgetStore, 50);
    expect(await only()).toMatchObject({ reservedMicroUsd: 0, settledMicroUsd: 0 });
    expect(await entries()).toBe(before + 4);
  });
});
