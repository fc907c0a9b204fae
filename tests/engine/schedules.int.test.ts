import {
  defaultTenantId,
  type FiringView,
  type RunId,
  type ScheduleRule,
  scheduleRuleSchema,
  type WorkflowInput,
} from '@hivekeeper/contract';
import { describe, expect, test } from 'vitest';
import type { Engine } from '../../apps/control/src/engine.ts';
import { instantsBetween } from '../../apps/control/src/flow/triggers/schedules/instants.ts';
import { chain, deploy, ended, engineOn, ownDatabase, seatWorker, succeed } from './fixture.ts';

const { database, sql } = await ownDatabase();

const of = (name: string) => ({ tenantId: defaultTenantId, name, by: 'test' });
// Half an hour away from now, so that no instant is on time by chance.
const hourly = `${(new Date().getUTCMinutes() + 30) % 60} * * * *`;
const ruleOf = (rule: Partial<ScheduleRule>): ScheduleRule => scheduleRuleSchema.parse({ cron: hourly, overlap: 'allow', ...rule });

async function schedule({ services }: Engine, name: string, rule: Partial<ScheduleRule>): Promise<void> {
  await services.schedules.create({ ...of(name), workflow: 'job', rule: ruleOf(rule), context: { name } });
}

/** As if nobody had served the schedule for so many hours. */
async function neglect(name: string, hours: number): Promise<void> {
  await sql`UPDATE schedules SET dealt_until = now() - ${hours} * interval '1 hour', due_at = NULL WHERE name = ${name}`;
  await sql`SELECT pg_notify('hive_schedules', '')`;
}

const firingsOf = async ({ services }: Engine, name: string): Promise<readonly FiringView[]> =>
  (await services.schedules.detail(defaultTenantId, name)).firings;

/** Resolves with the firings once there are so many, and all are over. */
async function fired(engine: Engine, name: string, count: number): Promise<readonly FiringView[]> {
  const settled = async () => (await firingsOf(engine, name)).filter(({ outcome }) => outcome !== 'STARTING').length;
  await expect.poll(settled, { timeout: 50_000 }).toBeGreaterThanOrEqual(count);
  return firingsOf(engine, name);
}

const runsOf = async (name: string) =>
  sql<{ id: RunId; nominal: string; status: string }[]>`
    SELECT r.id, r.status, j.events->0->'context'->'schedule'->>'nominalAt' AS nominal FROM runs r
    JOIN run_journal j ON j.run_id = r.id AND j.version = 1
    WHERE r.trigger = 'schedule' AND j.events->0->'context'->'schedule'->>'name' = ${name} ORDER BY r.id`;

const outcomes = (firings: readonly FiringView[]) => firings.map(({ outcome }) => outcome);
const job = (more: Partial<WorkflowInput> = {}): WorkflowInput => ({ ...chain('job', 1), ...more });

describe('a schedule', () => {
  test('is served at every instant, once, over two control planes, each run knowing its instant', async () => {
    await using left = await engineOn(database.url);
    await using right = await engineOn(database.url);
    await deploy(left, job());
    seatWorker(left, succeed);
    await schedule(left, 'every-second', { cron: '* * * * * *' });
    await fired(right, 'every-second', 4);
    await left.services.schedules.pause({ ...of('every-second'), reason: 'enough' });
    const firings = await firingsOf(right, 'every-second');
    const nominal = firings.map(({ nominalAtMs }) => nominalAtMs);
    expect(nominal).toEqual(nominal.map((_, index) => (nominal[0] as number) - index * 1_000));
    expect(new Set(outcomes(firings))).toEqual(new Set(['STARTED']));
    const runs = await runsOf('every-second');
    expect(runs.map(({ nominal: text }) => Date.parse(text)).sort()).toEqual([...nominal].sort());
    expect(new Set(runs.map(({ id }) => id))).toEqual(new Set(firings.map(({ runId }) => runId)));
    expect(await ended(left, runs[0]?.id as RunId)).toBe('SUCCESS');
  });

  test.each([
    ['none', ['MISSED'], 0],
    ['last', ['STARTED', 'MISSED'], 1],
    ['all', ['STARTED', 'STARTED', 'STARTED'], 3],
  ] as const)('that nobody served for three hours makes up for what its policy says: %s', async (catchUp, expected, runCount) => {
    await using engine = await engineOn(database.url);
    await deploy(engine, job());
    const name = `neglected-${catchUp}`;
    await schedule(engine, name, { catchUp });
    await neglect(name, 3);
    const firings = await fired(engine, name, expected.length);
    expect(outcomes(firings)).toEqual(expected);
    expect(firings.filter(({ isCaughtUp }) => isCaughtUp)).toHaveLength(runCount);
    expect(await runsOf(name)).toHaveLength(runCount);
  });

  test('makes up for a hundred instants at most, and says so', async () => {
    await using engine = await engineOn(database.url);
    await deploy(engine, job());
    await schedule(engine, 'long-ago', { catchUp: 'all' });
    await neglect('long-ago', 24 * 365);
    await expect.poll(async () => (await runsOf('long-ago')).length, { timeout: 50_000 }).toBe(100);
    const [missed] = await sql<{ reason: string }[]>`
      SELECT f.reason FROM schedule_firings f JOIN schedules s ON s.id = f.schedule_id WHERE s.name = 'long-ago' AND f.outcome = 'MISSED'`;
    expect(missed?.reason).toBe('one instant or more passed unserved; catchUp is all');
  });

  test('that many control planes find due at once is served once per instant: 10 schedules, 20 instants', async () => {
    const engines = await Promise.all(Array.from({ length: 3 }, () => engineOn(database.url)));
    const [first] = engines as [Engine, ...Engine[]];
    await deploy(first, job());
    const names = Array.from({ length: 10 }, (_, index) => `crowd-${index}`);
    for (const name of names) await schedule(first, name, { catchUp: 'all' });
    await sql`UPDATE schedules SET dealt_until = now() - interval '20 hours', due_at = NULL WHERE name LIKE 'crowd-%'`;
    await sql`SELECT pg_notify('hive_schedules', '')`;
    const started = async () =>
      (
        await sql`SELECT FROM schedule_firings f JOIN schedules s ON s.id = f.schedule_id WHERE s.name LIKE 'crowd-%' AND f.outcome = 'STARTED'`
      ).length;
    await expect.poll(started, { timeout: 50_000 }).toBe(200);
    for (const engine of engines) await engine[Symbol.asyncDispose]();
    const doubled = await sql`
      SELECT events->0->'context'->'schedule'->>'name' AS name, events->0->'context'->'schedule'->>'nominalAt' AS nominal, count(*)
      FROM run_journal WHERE version = 1 AND events->0->'context'->'schedule'->>'name' LIKE 'crowd-%' GROUP BY 1, 2 HAVING count(*) > 1`;
    expect(doubled).toHaveLength(0);
    const runs = await Promise.all(names.map(runsOf));
    expect(runs.map(({ length }) => length)).toEqual(names.map(() => 20));
  });

  test('skips an instant while the run before has not ended, and says which', async () => {
    await using engine = await engineOn(database.url);
    await deploy(engine, job());
    await schedule(engine, 'skipping', { catchUp: 'all', overlap: 'skip' });
    await neglect('skipping', 3);
    const firings = await fired(engine, 'skipping', 3);
    expect(outcomes(firings)).toEqual(['SKIPPED', 'SKIPPED', 'STARTED']);
    expect(firings[0]?.reason).toBe(`${firings[2]?.runId} had not ended`);
    expect(await runsOf('skipping')).toHaveLength(1);
  });

  test('lets runs wait for each other, oldest first, one at a time', async () => {
    await using engine = await engineOn(database.url);
    await deploy(engine, job({ nodes: [{ id: 'queued', agent: 'noop' }] }));
    const order: string[] = [];
    seatWorker(engine, async ({ runId, nodeId }) => {
      // The tickets that earlier tests left must not queue for the connection: their leases, and then ours, would be lost.
      if (nodeId === 'queued') {
        const open = (await runsOf('queueing')).filter(({ status }) => status === 'RUNNING');
        order.push(`${runId} of ${open.length}`);
      }
      return { ok: true, output: null };
    });
    await schedule(engine, 'queueing', { catchUp: 'all', overlap: 'queue' });
    await neglect('queueing', 5);
    await fired(engine, 'queueing', 5);
    const runs = await runsOf('queueing');
    for (const { id } of runs) expect(await ended(engine, id)).toBe('SUCCESS');
    expect(order).toEqual(runs.map(({ id }) => `${id} of 1`));
  });

  test('replaces the run before by the new one', async () => {
    await using engine = await engineOn(database.url);
    await deploy(engine, job());
    await schedule(engine, 'replacing', { catchUp: 'all', overlap: 'replace' });
    await neglect('replacing', 3);
    await fired(engine, 'replacing', 3);
    expect((await runsOf('replacing')).map(({ status }) => status)).toEqual(['CANCELLED', 'CANCELLED', 'RUNNING']);
  });

  test.each(['before its run was stored', 'after its run was stored'])(
    'whose control plane was killed %s gets that one run',
    async (when) => {
      const name = when.startsWith('before') ? 'killed-before' : 'killed-after';
      const first = await engineOn(database.url);
      await deploy(first, job());
      await schedule(first, name, { catchUp: 'all' });
      const { id } = await first.services.schedules.detail(defaultTenantId, name);
      const nominalAtMs = instantsBetween(ruleOf({}), [Date.now() - 3_600_000, Date.now()], 1)[0] as number;
      if (name === 'killed-after')
        await first.services.triggers.fire({
          tenantId: defaultTenantId,
          workflow: { name: 'job' },
          context: { schedule: { name, nominalAt: 'what the run was given then' } },
          kind: 'schedule',
          by: 'test',
          idempotency: { route: 'schedule', key: `${id}@${nominalAtMs}` },
        });
      await first[Symbol.asyncDispose]();
      await sql`
        INSERT INTO schedule_firings (schedule_id, nominal_at, tenant_id, outcome, is_caught_up)
        VALUES (${id}, ${new Date(nominalAtMs)}, ${defaultTenantId}, 'STARTING', false)`;
      await neglect(name, 1);
      await using second = await engineOn(database.url);
      const firings = await fired(second, name, 1);
      expect(outcomes(firings)).toEqual(['STARTED']);
      const runs = await runsOf(name);
      expect(runs.map(({ id }) => id)).toEqual([firings[0]?.runId]);
    },
  );

  test('that is paused serves nothing, and what passed meanwhile is not made up for', async () => {
    await using engine = await engineOn(database.url);
    await deploy(engine, job());
    await schedule(engine, 'resting', { catchUp: 'all' });
    const paused = await engine.services.schedules.pause({ ...of('resting'), reason: 'holidays' });
    expect(paused).toMatchObject({ pause: { by: 'test', reason: 'holidays' } });
    expect(paused.nextAtMs).toBeUndefined();
    await neglect('resting', 3);
    await schedule(engine, 'beside', { catchUp: 'last' });
    await neglect('beside', 1);
    await fired(engine, 'beside', 1);
    expect(await firingsOf(engine, 'resting')).toEqual([]);
    const resumed = await engine.services.schedules.resume(of('resting'));
    expect(resumed.nextAtMs).toBeGreaterThan(Date.now() - 1_000);
    await schedule(engine, 'beside-too', { catchUp: 'last' });
    await neglect('beside-too', 1);
    await fired(engine, 'beside-too', 1);
    expect(await firingsOf(engine, 'resting')).toEqual([]);
  });

  test('of a workflow that may not be started records why, and goes on', async () => {
    await using engine = await engineOn(database.url);
    const { id } = await deploy(engine, { ...chain('resting-job', 1) });
    await engine.services.schedules.create({ ...of('refused'), workflow: 'resting-job', rule: ruleOf({ catchUp: 'all' }), context: {} });
    await engine.services.workflows.update({ tenantId: defaultTenantId, id, status: 'DRAFT', by: 'test' });
    await neglect('refused', 2);
    const firings = await fired(engine, 'refused', 2);
    expect(outcomes(firings)).toEqual(['FAILED', 'FAILED']);
    expect(firings[0]?.reason).toBe('WORKFLOW_NOT_ACTIVE: workflow resting-job is DRAFT');
  });
});

describe('a schedule that a workflow declares', () => {
  const rule = { cron: '0 7 * * *', timeZone: 'Europe/Berlin' };
  const namesOf = async ({ services }: Engine) =>
    (await services.schedules.list(defaultTenantId, { workflow: 'declaring' })).map(({ name, cron }) => `${name} ${cron}`);

  test('is there from its deployment on, goes on undisturbed by one that says the same, and goes with what declared it', async () => {
    await using engine = await engineOn(database.url);
    const declare = (trigger: WorkflowInput['trigger'], nodeCount = 1) =>
      deploy(engine, { ...chain('declaring', nodeCount), ...(trigger !== undefined && { trigger }) });
    await declare({ schedule: rule, note: 'kept' });
    expect(await namesOf(engine)).toEqual(['declaring 0 7 * * *']);
    const before = await engine.services.schedules.detail(defaultTenantId, 'declaring');
    await declare({ schedule: rule, note: 'kept' }, 2);
    expect(await engine.services.schedules.detail(defaultTenantId, 'declaring')).toEqual(before);
    await declare({ schedule: [rule, { ...rule, cron: '0 19 * * *' }] });
    expect(await namesOf(engine)).toEqual(['declaring.1 0 7 * * *', 'declaring.2 0 19 * * *']);
    await expect(engine.services.schedules.remove(of('declaring.1'))).rejects.toMatchObject({ code: 'SCHEDULE_DECLARED' });
    const { id } = await declare(undefined);
    expect(await namesOf(engine)).toEqual([]);
    await declare({ schedule: rule });
    await engine.services.workflows.remove(defaultTenantId, id, 'test');
    expect(await sql`SELECT FROM schedules WHERE workflow_id = ${id}`).toHaveLength(0);
    const actions = await sql<
      { action: string }[]
    >`SELECT action FROM audit_log WHERE object LIKE 'declaring%' AND action LIKE 'schedule.%' ORDER BY seq`;
    expect(actions.map(({ action }) => action)).toEqual([
      'schedule.declared',
      'schedule.removed',
      'schedule.declared',
      'schedule.declared',
      'schedule.removed',
      'schedule.removed',
      'schedule.declared',
      'schedule.removed',
    ]);
  });

  test('is refused with its place where it can never be served, and nothing is stored', async () => {
    await using engine = await engineOn(database.url);
    await expect(
      deploy(engine, { ...chain('never', 1), trigger: { schedule: [rule, { ...rule, cron: '0 0 30 2 *' }] } }),
    ).rejects.toMatchObject({
      code: 'WORKFLOW_INVALID',
      issues: [{ path: '/trigger/schedule/1/cron' }],
    });
    expect(await sql`SELECT FROM workflows WHERE name = 'never'`).toHaveLength(0);
  });

  test('does not take the name of another, and then its workflow is not deployed', async () => {
    await using engine = await engineOn(database.url);
    await deploy(engine, job());
    await schedule(engine, 'taken', { cron: '0 3 * * *' });
    await expect(deploy(engine, { ...chain('taken', 1), trigger: { schedule: rule } })).rejects.toMatchObject({ code: 'ALREADY_EXISTS' });
    expect(await sql`SELECT FROM workflows WHERE name = 'taken'`).toHaveLength(0);
  });
});
