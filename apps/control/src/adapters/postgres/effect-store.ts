import { type EffectId, type EffectState, HiveError, type MemoEntry, type Outcome, type RunId, type TenantId } from '@hivekeeper/contract';
import { retry } from '@hivekeeper/kernel';
import {
  type AwaitedEffect,
  type Change,
  type Claim,
  type EffectFilter,
  type EffectStore,
  type Found,
  type StepRecord,
  type Target,
  viewOf,
} from '../../records/effects/index.ts';
import { isConflict, isUniqueViolation, type Pool, type Sql, withTenant } from './connection.ts';
import { type EffectRow, effectOf, elementOf } from './effect-row.ts';

/** Effects and steps in PostgreSQL: workers' calls on the engine's pool, people's confined to their tenant. */
export const postgresEffectStore = (engine: Pool, requests: Pool): EffectStore => ({ ...workerCalls(engine), ...peoplesCalls(requests) });

type WorkerCalls = Pick<EffectStore, 'change' | 'recordSteps' | 'steps' | 'awaited' | 'forgetAwaiting'>;

/** Something was changed between its reading and its writing. Nothing was stored. */
class Overtaken extends HiveError {
  constructor() {
    super('INTERNAL', 'an effect or its ticket was changed meanwhile');
  }
}

const again = { maxAttempts: 6, minDelayMs: 5, maxDelayMs: 100 } as const;
const isOvertaken = (error: unknown): boolean => error instanceof Overtaken || (error as { readonly code?: string }).code === 'HV004';
const isInTheWay = (error: unknown): boolean => isOvertaken(error) || isConflict(error) || isUniqueViolation(error);
/** Reads, judges and writes anew where somebody else came in between. */
const patiently = <T>(work: () => Promise<T>): Promise<T> => retry(work, { ...again, isRetryable: isInTheWay });

const workerCalls = (engine: Pool): WorkerCalls => ({
  change: (calls, judge) =>
    patiently(async () => {
      const found = await find(engine, calls);
      const changes = calls.flatMap(({ claim }, index) => {
        const change = judge(found[index] ?? {}, index);
        return change === undefined ? [] : [{ ...change, claim, actor: `worker:${claim.workerId}` }];
      });
      await store(engine, changes);
    }),

  recordSteps: (records) =>
    patiently(async () => {
      const column = (of: (record: StepRecord) => string) => records.map(of);
      const rows = await engine<{ n: number; recorded: Outcome }[]>`
        SELECT n, recorded FROM record_steps(${column(({ claim }) => claim.ticketId)}, ${column(({ claim }) => claim.workerId)},
          ${column(({ claim }) => claim.counter)}, ${column(({ step }) => step)}, ${column(({ outcome }) => JSON.stringify(outcome))})`;
      const byNumber = new Map(rows.map(({ n, recorded }) => [n, recorded]));
      return records.map((_, index) => byNumber.get(index + 1));
    }),

  async steps({ ticketId, workerId, counter }, { after = '', limit }) {
    const rows = await engine<{ step: string | null; outcome: Outcome }[]>`
      SELECT s.step, s.outcome FROM tickets t
      LEFT JOIN steps s ON s.run_id = t.run_id AND s.node_id = t.node_id AND s.slot = t.slot AND s.step > ${after}
      WHERE t.id = ${ticketId} AND t.token = ${counter} AND t.worker_id = ${workerId} ORDER BY s.step LIMIT ${limit}`;
    return rows.length === 0 ? undefined : rows.flatMap(({ step, outcome }): MemoEntry[] => (step === null ? [] : [{ step, outcome }]));
  },

  awaited: async (only) => {
    const rows = await engine<
      (Pick<EffectRow, 'id' | 'tenant_id' | 'run_id' | 'awaited_by' | 'resolved_by'> & { is_ticket_live: boolean })[]
    >`
      SELECT e.id, e.tenant_id, e.run_id, e.awaited_by, e.resolved_by, EXISTS (SELECT FROM tickets t WHERE t.id = e.awaited_by) AS is_ticket_live
      FROM effects e WHERE e.awaited_by IS NOT NULL AND e.state <> 'unknown' ${only === undefined ? engine`` : engine`AND e.id = ${only}`}
      ORDER BY e.id LIMIT 1000`;
    return rows.map((row): AwaitedEffect => ({
      id: row.id,
      tenantId: row.tenant_id,
      runId: row.run_id,
      awaitedBy: row.awaited_by ?? undefined,
      by: row.resolved_by ?? 'platform',
      isTicketLive: row.is_ticket_live,
    }));
  },

  async forgetAwaiting({ id, awaitedBy }) {
    await engine`UPDATE effects SET awaited_by = NULL WHERE id = ${id} AND awaited_by = ${awaitedBy ?? null}`;
  },
});

interface FoundRow {
  readonly n: number;
  readonly tenant_id: TenantId;
  readonly run_id: RunId;
  readonly node_id: string;
  readonly slot: number;
  readonly effect: EffectRow | null;
}

async function find(sql: Sql, calls: readonly { readonly claim: Claim; readonly target: Target }[]): Promise<readonly Found[]> {
  const claims = (of: (claim: Claim) => string) => calls.map(({ claim }) => of(claim));
  const targets = (name: 'effectId' | 'step' | 'tool' | 'argsSha256') =>
    calls.map(({ target }) => (name in target ? (target as Readonly<Record<typeof name, string>>)[name] : null));
  const rows = await sql<FoundRow[]>`
    SELECT * FROM find_effects(${claims(({ ticketId }) => ticketId)}, ${claims(({ workerId }) => workerId)}, ${claims(({ counter }) => counter)},
      ${targets('effectId')}, ${targets('step')}, ${targets('tool')}, ${targets('argsSha256')})`;
  const found: Found[] = calls.map(() => ({}));
  for (const { n, tenant_id: tenantId, run_id: runId, node_id: nodeId, slot, effect } of rows) {
    const claim = calls[n - 1]?.claim;
    if (claim === undefined) continue;
    found[n - 1] = { holder: { tenantId, runId, nodeId, slot, ...claim }, effect: effect === null ? undefined : effectOf(effect) };
  }
  return found;
}

type Told = NonNullable<Change> & { readonly actor: string; readonly claim?: Claim };

/** Stores effects, each where it is at the version that was read. @throws Overtaken, HV004 */
async function store(sql: Sql, changes: readonly Told[]): Promise<void> {
  if (changes.length === 0) return;
  const elements = changes.map(({ effect, deed, actor, claim }) => ({
    ...elementOf(effect),
    ...{ deed, actor, shownTicket: claim?.ticketId, shownWorker: claim?.workerId, shownToken: claim?.counter },
  }));
  const [answer] = await sql<{ is_stored: boolean }[]>`SELECT store_effects(${sql.json(elements)}) AS is_stored`;
  if (answer?.is_stored !== true) throw new Overtaken();
}

const atWork = (sql: Sql) => sql`EXISTS (SELECT FROM tickets t WHERE t.id = e.ticket_id AND t.token = e.token)`;
interface ViewRow {
  readonly effect: EffectRow;
  readonly is_at_work: boolean;
}

const peoplesCalls = (requests: Pool): Omit<EffectStore, keyof WorkerCalls> => ({
  resolve: ({ tenantId, effectId, by }, judge) =>
    patiently(() =>
      withTenant(requests, tenantId, async (sql) => {
        const row = await read(sql, tenantId, effectId);
        if (row === undefined) return undefined;
        const effect = effectOf(row.effect);
        // A ticket that is gone does not come back, and a new attempt makes a new version.
        const change = judge(effect, row.is_at_work);
        if (change !== undefined) await store(sql, [{ ...change, actor: by }]);
        return change?.effect ?? effect;
      }),
    ),

  list: (tenantId, filter) => withTenant(requests, tenantId, (sql) => list(sql, tenantId, filter)),

  effect: (tenantId, effectId) =>
    withTenant(requests, tenantId, async (sql) => {
      const row = await read(sql, tenantId, effectId);
      return row === undefined ? undefined : viewOf(effectOf(row.effect), row.is_at_work);
    }),

  counts: (tenantId, runId) =>
    withTenant(requests, tenantId, async (sql) => {
      const rows = await sql<{ state: EffectState; count: number }[]>`
        SELECT CASE WHEN state = 'dispatched' AND NOT ${atWork(sql)} THEN 'unknown' ELSE state END AS state, count(*)::integer AS count
        FROM effects e WHERE tenant_id = ${tenantId} AND run_id = ${runId} GROUP BY 1`;
      return Object.fromEntries(rows.map(({ state, count }) => [state, count]));
    }),
});

async function read(sql: Sql, tenantId: TenantId, effectId: EffectId): Promise<ViewRow | undefined> {
  const [row] = await sql<ViewRow[]>`
    SELECT row_to_json(e) AS effect, ${atWork(sql)} AS is_at_work FROM effects e WHERE tenant_id = ${tenantId} AND id = ${effectId}`;
  return row;
}

async function list(sql: Sql, tenantId: TenantId, { run, state, after, limit }: EffectFilter) {
  const rows = await sql<ViewRow[]>`
    SELECT row_to_json(e) AS effect, ${atWork(sql)} AS is_at_work FROM effects e WHERE tenant_id = ${tenantId}
      ${run === undefined ? sql`` : sql`AND run_id = ${run}`}
      ${after === undefined ? sql`` : sql`AND id > ${after}`}
      ${stateCondition(sql, state)}
    ORDER BY id LIMIT ${limit}`;
  return rows.map(({ effect, is_at_work }) => viewOf(effectOf(effect), is_at_work));
}

function stateCondition(sql: Sql, state: EffectState | undefined) {
  switch (state) {
    case undefined:
      return sql``;
    case 'unknown':
      return sql`AND state IN ('dispatched', 'unknown') AND (state = 'unknown' OR NOT ${atWork(sql)})`;
    case 'dispatched':
      return sql`AND state = 'dispatched' AND ${atWork(sql)}`;
    default:
      return sql`AND state = ${state}`;
  }
}
