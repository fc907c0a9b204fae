import { defaultTenantId, type RunId, type ScheduleId, scheduleRuleSchema, type WorkflowId } from '@hivekeeper/contract';
import { newLog } from '@hivekeeper/kernel';
import { type FreshDatabase, freshDatabase } from '@hivekeeper/testkit';
import postgres from 'postgres';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import type { StoredSchedule, Verdict } from '../../flow/triggers/index.ts';
import { openDatabase, type PostgresDatabase } from './index.ts';

const log = newLog({ level: 'silent', component: 'test' });
const id = 'sch_1' as ScheduleId;
const what = { rule: scheduleRuleSchema.parse({ cron: '0 * * * *' }), context: {} };
const change = { tenantId: defaultTenantId, id, by: 'test' };
const starting: Verdict = { outcome: 'STARTING', isCaughtUp: false };
const skipped: Verdict = { outcome: 'SKIPPED', isCaughtUp: false, reason: 'not now' };

let fresh: FreshDatabase;
let database: PostgresDatabase;
let sql: postgres.Sql;

beforeAll(async () => {
  fresh = await freshDatabase();
  database = await openDatabase({ url: fresh.url, maxConnections: 8, log });
  sql = postgres(fresh.superuserUrl, { max: 1 });
  await sql`INSERT INTO workflows (id, tenant_id, name, latest_version) VALUES ('wfl_1', ${defaultTenantId}, 'w', 1)`;
});
afterAll(async () => {
  await sql.end();
  await database[Symbol.asyncDispose]();
  await fresh.drop();
});

let schedule: StoredSchedule;
const found = async () => (await database.scheduleStore.find(defaultTenantId, 'nightly')) as StoredSchedule;
beforeEach(async () => {
  await sql`DELETE FROM schedules`;
  await database.scheduleStore.add({ ...change, ...what, name: 'nightly', workflowId: 'wfl_1' as WorkflowId });
  schedule = await found();
});

it('decides about an instant once: whoever comes at the same time gets the same answer', async () => {
  for (let round = 1; round <= 30; round += 1) {
    const nominalAtMs = schedule.dealtUntilMs + round * 3_600_000;
    const answers = await Promise.all(
      Array.from({ length: 6 }, (_, index) =>
        database.scheduleStore.decide(schedule, nominalAtMs, () => (index % 2 === 0 ? starting : skipped)),
      ),
    );
    const outcomes = new Set(answers.flatMap((firing) => (firing === undefined ? [] : [firing.outcome])));
    expect(outcomes.size).toBe(1);
    const firing = answers.find((answer) => answer !== undefined);
    if (firing?.outcome === 'STARTING') await database.scheduleStore.finish(firing, { outcome: 'STARTED', runId: 'run_1' as RunId });
    expect(await database.scheduleStore.decide(schedule, nominalAtMs, () => starting)).toBeUndefined();
    expect((await found()).dealtUntilMs).toBe(nominalAtMs);
  }
});

it('shows the run before, and whether it has ended', async () => {
  const insert = (runId: string) => sql`
    INSERT INTO runs (id, tenant_id, workflow_id, workflow_version, status, trigger, created_at)
    VALUES (${runId}, ${defaultTenantId}, 'wfl_1', 1, 'RUNNING', 'schedule', now())`;
  const formers: unknown[] = [];
  const serve = async (hour: number, runId: string) => {
    const nominalAtMs = schedule.dealtUntilMs + hour * 3_600_000;
    const firing = await database.scheduleStore.decide(schedule, nominalAtMs, (former) => {
      formers.push(former);
      return starting;
    });
    await insert(runId);
    if (firing !== undefined) await database.scheduleStore.finish(firing, { outcome: 'STARTED', runId: runId as RunId });
    return firing;
  };
  await serve(1, 'run_a');
  expect((await serve(2, 'run_b'))?.openRunId).toBe('run_a');
  await sql`UPDATE runs SET finished_at = now()`;
  expect((await serve(3, 'run_c'))?.openRunId).toBeUndefined();
  expect(formers).toEqual([undefined, { runId: 'run_a', hasEnded: false }, { runId: 'run_b', hasEnded: true }]);
});

it.each([
  ['changed', () => database.scheduleStore.change({ ...change, rule: scheduleRuleSchema.parse({ cron: '30 * * * *' }), context: {} })],
  ['paused', () => database.scheduleStore.pause(change)],
  ['removed', () => database.scheduleStore.remove(change)],
])('decides nothing and arms nothing by what a schedule was before it was %s', async (_what, meanwhile) => {
  await meanwhile();
  expect(await database.scheduleStore.decide(schedule, schedule.dealtUntilMs + 3_600_000, () => starting)).toBeUndefined();
  await database.scheduleStore.arm(schedule, schedule.dealtUntilMs + 7_200_000);
  expect((await sql`SELECT FROM schedules WHERE due_at IS NOT NULL`).length).toBe(0);
});

it('gives what is due by the clock of the database, what was never looked at, and when to look again', async () => {
  const { schedules, nowMs, nextAtMs } = await database.scheduleStore.due(10);
  expect([schedules.map(({ name }) => name), nextAtMs]).toEqual([['nightly'], undefined]);
  await database.scheduleStore.arm(schedule, nowMs + 3_600_000);
  expect(await database.scheduleStore.due(10)).toMatchObject({ schedules: [], nextAtMs: nowMs + 3_600_000 });
  await database.scheduleStore.arm(schedule, nowMs);
  expect((await database.scheduleStore.due(10)).schedules).toHaveLength(1);
  await database.scheduleStore.pause(change);
  expect(await database.scheduleStore.due(10)).toMatchObject({ schedules: [] });
});

it('gives starts whose end nobody recorded only after a minute: until then somebody is at it', async () => {
  await database.scheduleStore.decide(schedule, schedule.dealtUntilMs + 3_600_000, () => starting);
  expect(await database.scheduleStore.unfinished()).toEqual([]);
  await sql`UPDATE schedule_firings SET decided_at = now() - interval '61 seconds'`;
  expect(await database.scheduleStore.unfinished()).toMatchObject([{ outcome: 'STARTING', schedule: { name: 'nightly' } }]);
});

it('forgets firings and events after 30 days, and nothing younger', async () => {
  await sql`
    INSERT INTO schedule_firings (schedule_id, nominal_at, tenant_id, outcome, is_caught_up)
    VALUES (${id}, now() - interval '31 days', ${defaultTenantId}, 'STARTED', false), (${id}, now() - interval '29 days', ${defaultTenantId}, 'STARTED', false)`;
  await sql`
    INSERT INTO events (id, tenant_id, type, key, payload, published_by, received_at)
    VALUES ('evt_1', ${defaultTenantId}, 't', '', '1', 'test', now() - interval '31 days'), ('evt_2', ${defaultTenantId}, 't', '', '1', 'test', now())`;
  await database.forgetOld();
  expect(await sql`SELECT FROM schedule_firings`).toHaveLength(1);
  expect(await sql`SELECT id FROM events`).toEqual([{ id: 'evt_2' }]);
});
