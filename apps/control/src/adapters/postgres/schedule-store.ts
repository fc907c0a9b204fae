import type { FiringView, JsonObject, RunId, ScheduleId, ScheduleRule, TenantId, WorkflowId } from '@hivekeeper/contract';
import type { Firing, Former, ScheduleChange, ScheduleStore, StoredSchedule, Verdict } from '../../flow/triggers/index.ts';
import { audit } from './audit.ts';
import { inTransaction, type Pool, type Sql, withTenant } from './connection.ts';
import { refuseTwins } from './registry-change.ts';

interface ScheduleRow {
  readonly id: ScheduleId;
  readonly tenant_id: TenantId;
  readonly name: string;
  readonly workflow_id: WorkflowId;
  readonly workflow_name: string;
  readonly is_declared: boolean;
  readonly rule: ScheduleRule;
  readonly context: JsonObject;
  readonly paused_at: Date | null;
  readonly paused_by: string | null;
  readonly pause_reason: string | null;
  readonly dealt_until: Date;
  readonly due_at: Date | null;
  readonly last_run_id: RunId | null;
  readonly created_at: Date;
  readonly updated_at: Date;
}

interface FiringRow {
  readonly nominal_at: Date;
  readonly decided_at: Date;
  readonly outcome: FiringView['outcome'];
  readonly is_caught_up: boolean;
  readonly run_id: RunId | null;
  readonly reason: string | null;
}

/** Tells every control plane that a schedule changed. */
export const schedulesChannel = 'hive_schedules';

/** The last step of every change of schedules. */
export const tellSchedules = (sql: Sql) => sql`SELECT pg_notify(${schedulesChannel}, '')`;

type EngineCalls = Pick<ScheduleStore, 'due' | 'arm' | 'decide' | 'finish' | 'unfinished'>;

/** Schedules in PostgreSQL: the engine's own pool for serving them, the request pool, confined to a tenant, for people. */
export const postgresScheduleStore = (engine: Pool, requests: Pool): ScheduleStore => ({
  ...reads(requests),
  ...changes(requests),
  ...engineCalls(engine),
});

const selected = (sql: Sql) => sql`SELECT s.*, w.name AS workflow_name FROM schedules s JOIN workflows w ON w.id = s.workflow_id`;

type ReadCalls = Pick<ScheduleStore, 'list' | 'find' | 'firings'>;

const reads = (requests: Pool): ReadCalls => ({
  list: (tenantId, { workflowId }) =>
    withTenant(requests, tenantId, async (sql) => {
      const rows = await sql<ScheduleRow[]>`
        ${selected(sql)} WHERE s.tenant_id = ${tenantId} ${workflowId === undefined ? sql`` : sql`AND s.workflow_id = ${workflowId}`}
        ORDER BY s.name LIMIT 1000`;
      return rows.map(scheduleOf);
    }),

  find: (tenantId, name) =>
    withTenant(requests, tenantId, async (sql) => {
      const [row] = await sql<ScheduleRow[]>`${selected(sql)} WHERE s.tenant_id = ${tenantId} AND s.name = ${name}`;
      return row === undefined ? undefined : scheduleOf(row);
    }),

  firings: (tenantId, id, most) =>
    withTenant(requests, tenantId, async (sql) => {
      const rows = await sql<FiringRow[]>`
        SELECT * FROM schedule_firings WHERE tenant_id = ${tenantId} AND schedule_id = ${id} ORDER BY nominal_at DESC LIMIT ${most}`;
      return rows.map(firingOf);
    }),
});

/** Each with its audit entry, told to every control plane. */
const changes = (requests: Pool): Omit<ScheduleStore, keyof EngineCalls | keyof ReadCalls> => {
  const change = ({ tenantId, id, by }: ScheduleChange, action: string, work: (sql: Sql) => Promise<object>) =>
    withTenant(requests, tenantId, async (sql) => {
      const payload = await work(sql);
      await audit(sql, { tenantId, actor: by, action, object: id, payload });
      await tellSchedules(sql);
    });
  return {
    add: ({ id, tenantId, name, workflowId, rule, context, by }) =>
      change({ tenantId, id, by }, 'schedule.created', async (sql) => {
        await refuseTwins(
          `a schedule named ${name} exists already`,
          () => sql`
          INSERT INTO schedules (id, tenant_id, name, workflow_id, is_declared, rule, context, dealt_until)
          VALUES (${id}, ${tenantId}, ${name}, ${workflowId}, false, ${sql.json(rule)}, ${sql.json(context)}, now())`,
        );
        return { name, workflowId, rule, context };
      }),

    change: ({ rule, context, ...what }) =>
      change(what, 'schedule.changed', async (sql) => {
        await sql`
          UPDATE schedules SET rule = ${sql.json(rule)}, context = ${sql.json(context)}, dealt_until = now(), due_at = NULL, updated_at = now()
          WHERE id = ${what.id}`;
        return { rule, context };
      }),

    pause: ({ reason, ...what }) =>
      change(what, 'schedule.paused', async (sql) => {
        await sql`
          UPDATE schedules SET paused_at = now(), paused_by = ${what.by}, pause_reason = ${reason ?? null}, updated_at = now()
          WHERE id = ${what.id} AND paused_at IS NULL`;
        return { reason };
      }),

    resume: (what) =>
      change(what, 'schedule.resumed', async (sql) => {
        await sql`
          UPDATE schedules SET paused_at = NULL, paused_by = NULL, pause_reason = NULL, dealt_until = now(), due_at = NULL, updated_at = now()
          WHERE id = ${what.id} AND paused_at IS NOT NULL`;
        return {};
      }),

    remove: (what) =>
      change(what, 'schedule.removed', async (sql) => {
        await sql`DELETE FROM schedules WHERE id = ${what.id}`;
        return {};
      }),
  };
};

const engineCalls = (engine: Pool): EngineCalls => ({
  async due(most) {
    const [clock] = await engine<{ now: Date }[]>`SELECT now()`;
    const now = clock?.now ?? new Date(0);
    const rows = await engine<ScheduleRow[]>`
      ${selected(engine)} WHERE s.paused_at IS NULL AND (s.due_at IS NULL OR s.due_at <= ${now}) ORDER BY s.due_at NULLS FIRST LIMIT ${most}`;
    const [next] = await engine<{ at: Date | null }[]>`
      SELECT min(due_at) AS at FROM schedules WHERE paused_at IS NULL AND due_at > ${now}`;
    return { schedules: rows.map(scheduleOf), nowMs: now.getTime(), nextAtMs: next?.at?.getTime() };
  },

  async arm({ id, dealtUntilMs }, dueAtMs) {
    await engine`
      UPDATE schedules SET due_at = ${new Date(dueAtMs)} WHERE id = ${id} AND dealt_until = ${new Date(dealtUntilMs)} AND paused_at IS NULL`;
  },

  decide: (schedule, nominalAtMs, judge) =>
    inTransaction(engine, async (sql) => {
      const nominalAt = new Date(nominalAtMs);
      // Whoever decides holds the schedule: another control plane waits here, and then finds what was decided.
      const [row] = await sql<ScheduleRow[]>`
        ${selected(sql)} WHERE s.id = ${schedule.id} AND s.updated_at = ${new Date(schedule.updatedAtMs)} AND s.dealt_until < ${nominalAt} FOR UPDATE OF s`;
      if (row === undefined) return undefined;
      const openRunId = await openRunOf(sql, row);
      const nominal = sql`schedule_id = ${schedule.id} AND nominal_at = ${nominalAt}`;
      const [earlier] = await sql<FiringRow[]>`SELECT * FROM schedule_firings WHERE ${nominal}`;
      const firing =
        earlier ??
        (await insertFiring(sql, schedule, { nominalAt, verdict: judge(formerOf(row, openRunId), await openCountOf(sql, schedule)) }));
      if (firing.outcome !== 'STARTING') await sql`UPDATE schedules SET dealt_until = ${nominalAt} WHERE id = ${schedule.id}`;
      return { ...firingOf(firing), schedule, openRunId };
    }),

  finish: ({ schedule: { id }, nominalAtMs }, end) =>
    inTransaction(engine, async (sql) => {
      const nominalAt = new Date(nominalAtMs);
      const runId = end.outcome === 'STARTED' ? end.runId : null;
      const reason = end.outcome === 'FAILED' ? end.reason : null;
      const { count } = await sql`
        UPDATE schedule_firings SET outcome = ${end.outcome}, run_id = ${runId}, reason = ${reason}
        WHERE schedule_id = ${id} AND nominal_at = ${nominalAt} AND outcome = 'STARTING'`;
      if (count === 0) return;
      await sql`
        UPDATE schedules SET dealt_until = greatest(dealt_until, ${nominalAt}), last_run_id = coalesce((SELECT run_id FROM schedule_firings
          WHERE schedule_id = ${id} AND outcome = 'STARTED' ORDER BY nominal_at DESC LIMIT 1), last_run_id)
        WHERE id = ${id}`;
    }),

  async unfinished() {
    const rows = await engine<(ScheduleRow & FiringRow)[]>`
      SELECT s.*, w.name AS workflow_name, f.nominal_at, f.decided_at, f.outcome, f.is_caught_up, f.run_id, f.reason
      FROM schedule_firings f JOIN schedules s ON s.id = f.schedule_id JOIN workflows w ON w.id = s.workflow_id
      WHERE f.outcome = 'STARTING' AND f.decided_at < now() - interval '1 minute' ORDER BY f.nominal_at LIMIT 100`;
    return Promise.all(
      rows.map(async (row): Promise<Firing> => ({ ...firingOf(row), schedule: scheduleOf(row), openRunId: await openRunOf(engine, row) })),
    );
  },
});

/** Forgets what became of nominal instants after 30 days. */
export async function forgetOldFirings(engine: Sql): Promise<void> {
  await engine`DELETE FROM schedule_firings WHERE nominal_at < now() - interval '30 days' AND outcome <> 'STARTING'`;
}

const formerOf = ({ last_run_id }: ScheduleRow, openRunId: RunId | undefined): Former | undefined =>
  last_run_id === null ? undefined : { runId: last_run_id, hasEnded: openRunId === undefined };

async function insertFiring(
  sql: Sql,
  { id, tenantId }: StoredSchedule,
  { nominalAt, verdict }: { readonly nominalAt: Date; readonly verdict: Verdict },
): Promise<FiringRow> {
  const { outcome, isCaughtUp, reason } = verdict;
  const [row] = await sql<[FiringRow]>`
    INSERT INTO schedule_firings (schedule_id, nominal_at, tenant_id, outcome, is_caught_up, reason)
    VALUES (${id}, ${nominalAt}, ${tenantId}, ${outcome}, ${isCaughtUp}, ${reason ?? null}) RETURNING *`;
  return row;
}

/** The run before, where it has not ended. */
async function openRunOf(sql: Sql, { last_run_id }: ScheduleRow): Promise<RunId | undefined> {
  if (last_run_id === null) return undefined;
  const [open] = await sql<{ id: RunId }[]>`SELECT id FROM runs WHERE id = ${last_run_id} AND finished_at IS NULL`;
  return open?.id;
}

async function openCountOf(sql: Sql, { tenantId, id }: StoredSchedule): Promise<number> {
  const key = `schedule:${id}`;
  const [row] = await sql<{ count: number }[]>`
    SELECT (SELECT count(*) FROM run_turns WHERE tenant_id = ${tenantId} AND key = ${key} AND granted_at IS NULL AND NOT is_paused)::integer
      + (SELECT count(*) FROM run_turns WHERE tenant_id = ${tenantId} AND key = ${key} AND granted_at IS NOT NULL)::integer AS count`;
  return row?.count ?? 0;
}

const firingOf = (row: FiringRow): FiringView => ({
  nominalAtMs: row.nominal_at.getTime(),
  decidedAtMs: row.decided_at.getTime(),
  outcome: row.outcome,
  isCaughtUp: row.is_caught_up,
  ...(row.run_id !== null && { runId: row.run_id }),
  ...(row.reason !== null && { reason: row.reason }),
});

const scheduleOf = (row: ScheduleRow): StoredSchedule => ({
  id: row.id,
  tenantId: row.tenant_id,
  name: row.name,
  workflowId: row.workflow_id,
  workflowName: row.workflow_name,
  isDeclared: row.is_declared,
  rule: row.rule,
  context: row.context,
  pause:
    row.paused_at === null
      ? undefined
      : { by: row.paused_by ?? '', atMs: row.paused_at.getTime(), ...(row.pause_reason !== null && { reason: row.pause_reason }) },
  dealtUntilMs: row.dealt_until.getTime(),
  lastRunId: row.last_run_id ?? undefined,
  createdAtMs: row.created_at.getTime(),
  updatedAtMs: row.updated_at.getTime(),
});
