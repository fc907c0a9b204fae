import { defaultTenantId, type LeasedTicket, type RunId, type RunStatus, type SetBudget } from '@hivekeeper/contract';
import { pause, systemClock } from '@hivekeeper/kernel';
import { type FreshDatabase, seededRandom } from '@hivekeeper/testkit';
import postgres from 'postgres';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Engine } from '../../apps/control/src/engine.ts';
import { builtin, deploy, ended, engineOn, migratedDatabase, seatWorker, start, succeed, type TestWorker } from './fixture.ts';

let database: FreshDatabase;
let sql: postgres.Sql;
const maxCostMicroUsd = 1_000;

beforeEach(async () => {
  database = await migratedDatabase();
  sql = postgres(database.superuserUrl, { max: 2 });
});
afterEach(async () => {
  await sql.end();
  await database.drop();
});

const who = { tenantId: defaultTenantId, by: 'ann' };
const register = ({ services }: Engine, name = 'costly') =>
  services.agents.ensureSpec({ tenantId: defaultTenantId, spec: builtin(name, { maxCostMicroUsd }), by: 'test' });
const set = ({ services }: Engine, budget: Omit<SetBudget, 'name'> & { readonly name?: string }) =>
  services.money.set(who, { name: '', ...budget });
const everything = (capMicroUsd: number): SetBudget => ({ scope: 'tenant', name: '', period: 'total', capMicroUsd });
const budgetsOf = ({ services }: Engine) => services.money.list(defaultTenantId);
const gone = async (engine: Engine) => (await budgetsOf(engine)).map((budget) => [budget.settledMicroUsd, budget.reservedMicroUsd]);
const settle = (engine: Engine, { workerId }: TestWorker, [{ ticketId, token }, costMicroUsd]: readonly [LeasedTicket, number?]) =>
  engine.services.runs.settle({
    ...{ workerId, ticketId, token, outcome: { ok: true, output: 1 } },
    ...(costMicroUsd !== undefined && { costMicroUsd }),
  });
const whyOf = async ({ services }: Engine, runId: RunId) => {
  const [ticket] = await services.tickets.ofRun(runId);
  return ticket && services.throttles.throttledBy(ticket.ticketId);
};

/** An engine with the agent and a workflow of one node, `pays`. */
async function ready(leaseMs = 60_000) {
  const engine = await engineOn(database.url, { leaseMs });
  await register(engine);
  await deploy(engine, { name: 'pays', nodes: [{ id: 'pay', agent: 'costly' }] });
  return engine;
}

describe('a budget', () => {
  test('lets a ticket start only where the most it may cost is left, says what is missing, and lets it go on when there is more', async () => {
    await using engine = await ready();
    const worker = seatWorker(engine, () => undefined);
    await set(engine, everything(1_500));
    const first = await start(engine, 'pays');
    const ticket = await worker.ticket(1);
    const second = await start(engine, 'pays');
    await expect.poll(() => gone(engine), { timeout: 10_000 }).toEqual([[0, 1_000]]);
    expect(await whyOf(engine, second)).toEqual({
      ...{ kind: 'budget', scope: 'tenant', name: '', period: 'total', capMicroUsd: 1_500 },
      ...{ settledMicroUsd: 0, reservedMicroUsd: 1_000, neededMicroUsd: 1_000 },
    });
    // What the first did not need is there for the second.
    await settle(engine, worker, [ticket, 400]);
    expect(await ended(engine, first)).toBe('SUCCESS');
    const next = await worker.ticket(2);
    await settle(engine, worker, [next]);
    await expect.poll(() => gone(engine), { timeout: 10_000 }).toEqual([[1_400, 0]]);
    const third = await start(engine, 'pays');
    expect(await whyOf(engine, third)).toMatchObject({ settledMicroUsd: 1_400 });
    await set(engine, everything(2_400));
    await settle(engine, worker, [await worker.ticket(3), 0]);
    expect(await ended(engine, third)).toBe('SUCCESS');
    const audited = await sql`SELECT FROM audit_log WHERE actor = 'ann' AND action = 'budget.set' ORDER BY seq`;
    expect(audited).toHaveLength(2);
  });

  test.each<[string, SetBudget]>([
    ['a workflow', { scope: 'workflow', name: 'pays', period: 'day', capMicroUsd: 1_000 }],
    ['an agent', { scope: 'agent', name: 'costly', period: 'month', capMicroUsd: 1_000 }],
  ])('of %s does not hold up what does not count in it', async (_, budget) => {
    await using engine = await ready();
    await register(engine, 'other');
    await deploy(engine, { name: 'free', nodes: [{ id: 'pay', agent: 'other' }] });
    await set(engine, budget);
    const worker = seatWorker(engine, ({ agent }) => (agent.name === 'other' ? { ok: true, output: 1 } : undefined));
    await start(engine, 'pays');
    await worker.ticket(1);
    const waits = await start(engine, 'pays');
    expect(await ended(engine, await start(engine, 'free'))).toBe('SUCCESS');
    expect(await whyOf(engine, waits)).toMatchObject({ scope: budget.scope, name: budget.name, turnsAtMs: expect.any(Number) });
  });

  test('of a run counts what is forked from it', async () => {
    await using engine = await ready();
    const first = await start(engine, 'pays');
    await set(engine, { scope: 'run', name: first, period: 'total', capMicroUsd: 1_000 });
    const worker = seatWorker(engine, () => undefined);
    await settle(engine, worker, [await worker.ticket(1), 900]);
    expect(await ended(engine, first)).toBe('SUCCESS');
    const { runId: id } = await engine.services.triggers.rerun({
      tenantId: defaultTenantId,
      runId: first,
      rerun: { kind: 'fork', nodeId: 'pay' },
      by: 'test',
    });
    expect(await whyOf(engine, id)).toMatchObject({ scope: 'run', name: first });
  });

  test('holds for tickets that waited for their agent to be registered', async () => {
    await using engine = await engineOn(database.url);
    await deploy(engine, { name: 'early', nodes: [{ id: 'pay', agent: 'noop', action: 'x' }] });
    await sql`UPDATE workflow_versions SET definition = replace(definition::text, '"noop"', '"late"')::json WHERE definition::text LIKE '%"early"%'`;
    engine.services.workflows.refresh();
    await set(engine, everything(500));
    const runId = await start(engine, 'early');
    const worker = seatWorker(engine, () => undefined);
    await register(engine, 'late');
    await expect.poll(() => whyOf(engine, runId)).toMatchObject({ kind: 'budget', neededMicroUsd: 1_000 });
    expect(worker.tickets).toHaveLength(0);
  });
});

describe('an attempt whose cost nobody tells', () => {
  test('is charged the most it may cost when its lease is lost or it is revoked, and nothing when it is given back', async () => {
    await using engine = await ready(1_500);
    await set(engine, everything(100_000));
    const worker = seatWorker(engine, () => undefined);
    const runId = await start(engine, 'pays');
    await worker.ticket(1);
    const second = await worker.ticket(2);
    await expect.poll(() => gone(engine), { timeout: 10_000 }).toEqual([[1_000, 1_000]]);
    const other = seatWorker(engine, () => undefined);
    await engine.services.desk.release(worker.workerId, [second]);
    await other.ticket(1);
    await expect.poll(() => gone(engine), { timeout: 10_000 }).toEqual([[1_000, 1_000]]);
    await engine.services.orders.cancel({ tenantId: defaultTenantId, runId, by: 'test' });
    expect(await ended(engine, runId)).toBe<RunStatus>('CANCELLED');
    await expect.poll(() => gone(engine), { timeout: 10_000 }).toEqual([[2_000, 0]]);
  });
});

test('300 attempts at three control planes never spend more than there is, and use it up, though one of them dies with what it had leased', async () => {
  const capMicroUsd = 100_000;
  const engines = [await ready(1_500), await engineOn(database.url, { leaseMs: 1_500 }), await engineOn(database.url, { leaseMs: 1_500 })];
  const [left, middle, dying] = engines as [Engine, Engine, Engine];
  await set(left, everything(capMicroUsd));
  await deploy(left, { name: 'many', nodes: [{ id: 'pay', agent: 'costly', map: '{{ context.items }}', input: { item: '{{ item }}' } }] });
  const random = seededRandom(7);
  const busy = (engine: Engine) => {
    const worker = seatWorker(
      engine,
      (ticket) => {
        void pause(systemClock, 2)
          .then(() => settle(engine, worker, [ticket, Math.floor(random.next() * (maxCostMicroUsd + 1))]))
          .catch(() => undefined)
          .finally(() => engine.services.desk.setCredits(worker.workerId, 50));
        return undefined;
      },
      50,
    );
    return worker;
  };
  busy(left);
  busy(middle);
  seatWorker(dying, () => undefined, 20);
  let most = 0;
  const looking = new AbortController();
  const look = async () => {
    while (!looking.signal.aborted) {
      const [budget] = await budgetsOf(left);
      most = Math.max(most, (budget?.settledMicroUsd ?? 0) + (budget?.reservedMicroUsd ?? 0));
    }
  };
  const looks = look();
  const items = Array.from({ length: 150 }, (_, index) => index);
  await Promise.all([start(left, 'many', { items }), start(middle, 'many', { items })]);
  await expect.poll(async () => (await gone(left))[0]?.[0] ?? 0, { timeout: 20_000 }).toBeGreaterThan(20_000);
  await dying[Symbol.asyncDispose]();
  await expect
    .poll(async () => ((await gone(left))[0]?.[1] === 0 ? (await gone(left))[0]?.[0] : 0), { timeout: 40_000 })
    .toBeGreaterThan(capMicroUsd - maxCostMicroUsd);
  looking.abort();
  await looks;
  expect(most).toBeLessThanOrEqual(capMicroUsd);
  for (const engine of [left, middle]) await engine[Symbol.asyncDispose]();
});

test('attempts and calls of models that reserve from the same budgets never wait for each other in a circle', async () => {
  await using engine = await ready();
  // Ids grow, so that the order of ids is not that in which an attempt asks its budgets.
  await set(engine, { scope: 'agent', name: 'costly', period: 'total', capMicroUsd: 10_000_000 });
  await set(engine, { scope: 'workflow', name: 'crowd', period: 'total', capMicroUsd: 10_000_000 });
  await set(engine, everything(10_000_000));
  await deploy(engine, {
    name: 'crowd',
    nodes: [{ id: 'pay', agent: 'costly', map: '{{ context.items }}', input: { item: '{{ item }}' } }],
  });
  seatWorker(engine, succeed, 10);
  const runId = await start(engine, 'crowd', { items: Array.from({ length: 200 }, (_, index) => index) });
  const spender = { tenantId: defaultTenantId, subject: 'key:model', runId };
  let isOver = false;
  const calls = async () => {
    while (!isOver) (await engine.services.money.reserve(10, spender)).settle(5);
  };
  const calling = [calls(), calls(), calls()];
  expect(await ended(engine, runId)).toBe('SUCCESS');
  isOver = true;
  await Promise.all(calling);
  const [seen] = await sql<{ deadlocks: string }[]>`SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()`;
  expect(Number(seen?.deadlocks)).toBe(0);
});
