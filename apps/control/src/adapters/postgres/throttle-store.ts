import type { BreakerSubject, BudgetView, RunId, TenantId, ThrottledBy, TicketId, WorkerId } from '@hivekeeper/contract';
import { type Breaker, breakerKey, breakerSubject, newBreaker, type Throttle, type ThrottleStore } from '../../flow/tickets/index.ts';
import { audit } from './audit.ts';
import { inTransaction, type Pool, type Sql } from './connection.ts';

interface BreakerRow {
  readonly subject: string;
  readonly cause: string | null;
  readonly state: Breaker['state'];
  readonly since_ms: number | null;
  readonly failed_at_ms: number[];
  readonly next_trial_at_ms: number | null;
  readonly trial_ticket_id: TicketId | null;
  readonly trials: readonly TicketId[];
}

interface HolderRow {
  readonly id: TicketId;
  readonly run_id: RunId;
  readonly node_id: string;
  readonly worker_id: WorkerId;
  readonly leased_at: Date;
  readonly holder_count: number;
}

interface FullBudgetRow {
  readonly name: string;
  readonly period: BudgetView['period'];
  readonly cap_micro_usd: string;
  readonly reserved_micro_usd: string;
  readonly settled_micro_usd: string;
  readonly turns_at: Date | null;
}

interface WaitingRow {
  readonly tenant_id: TenantId;
  readonly run_id: RunId;
  readonly agent: string;
  readonly concurrency_key: string | null;
  readonly throttles: readonly Throttle[] | null;
}

/** Throttles and breakers in PostgreSQL, for the engine. */
export const postgresThrottleStore = (engine: Pool): ThrottleStore => ({
  async throttledBy(ticketId) {
    const [ticket] = await engine<WaitingRow[]>`
      SELECT tenant_id, run_id, agent, concurrency_key, throttles FROM tickets WHERE id = ${ticketId} AND worker_id IS NULL`;
    for (const throttle of ticket?.throttles ?? []) {
      const answer = await reasonOf(engine, ticket as WaitingRow, throttle);
      if (answer !== undefined) return answer;
    }
    return undefined;
  },

  async breakers(tenantId) {
    const rows = await engine<BreakerRow[]>`SELECT ${breakerColumns(engine)} FROM breakers WHERE tenant_id = ${tenantId}`;
    return { nowMs: await nowMsOf(engine), byKey: new Map(rows.map((row) => [keyOf(row.subject), breakerOf(row)])) };
  },

  async changeBreaker({ tenantId, subject, by }, change) {
    const row = { tenantId, subject: columnOf(subject) };
    const before = await readBreaker(engine, row);
    // Most attempts go well while the breaker is closed: they need no lock and no transaction.
    if (change(before, await nowMsOf(engine)) === before) return false;
    return inTransaction(engine, async (sql) => {
      await sql`INSERT INTO breakers (tenant_id, agent, state) VALUES (${tenantId}, ${row.subject}, 'closed') ON CONFLICT DO NOTHING`;
      await sql`SELECT FROM breakers WHERE tenant_id = ${tenantId} AND agent = ${row.subject} FOR UPDATE`;
      const current = await readBreaker(sql, row);
      const next = change(current, await nowMsOf(sql));
      if (next === current) return false;
      await writeBreaker(sql, row, next);
      const isOther = next.state !== current.state;
      if (isOther || by !== 'platform')
        await audit(sql, { tenantId, actor: by, action: `breaker.${next.state}`, object: row.subject, payload: next });
      return isOther;
    });
  },
});

/** Whose row it is: the column `agent` holds an agent's name, or `dependency:` and a dependency's. */
const columnOf = ({ kind, name }: BreakerSubject): string => (kind === 'agent' ? name : breakerKey({ kind, name }));
const keyOf = (column: string): string => (column.startsWith('dependency:') ? column : breakerKey({ kind: 'agent', name: column }));

interface BreakerPlace {
  readonly tenantId: TenantId;
  readonly subject: string;
}

const breakerColumns = (sql: Sql) => sql`
  agent AS subject, cause, state, extract(epoch FROM since)::double precision * 1000 AS since_ms,
  ARRAY(SELECT extract(epoch FROM f)::double precision * 1000 FROM unnest(failed_at) AS f) AS failed_at_ms,
  extract(epoch FROM next_trial_at)::double precision * 1000 AS next_trial_at_ms, trial_ticket_id, trials`;

async function nowMsOf(sql: Sql): Promise<number> {
  const [row] = await sql<{ now_ms: number }[]>`SELECT extract(epoch FROM clock_timestamp())::double precision * 1000 AS now_ms`;
  return row?.now_ms ?? 0;
}

async function readBreaker(sql: Sql, { tenantId, subject }: BreakerPlace): Promise<Breaker> {
  const [row] = await sql<BreakerRow[]>`SELECT ${breakerColumns(sql)} FROM breakers WHERE tenant_id = ${tenantId} AND agent = ${subject}`;
  return row === undefined ? newBreaker : breakerOf(row);
}

async function writeBreaker(sql: Sql, { tenantId, subject }: BreakerPlace, breaker: Breaker): Promise<void> {
  const failedAtMs = breaker.state === 'closed' ? breaker.failedAtMs : [];
  await sql`
    UPDATE breakers SET trials = '{}', state = ${breaker.state}, since = to_timestamp(${breaker.sinceAtMs ?? null}::double precision / 1000),
      failed_at = ARRAY(SELECT to_timestamp(f / 1000) FROM unnest(${failedAtMs}::double precision[]) AS f),
      next_trial_at = to_timestamp(${breaker.state === 'open' ? breaker.nextTrialAtMs : null}::double precision / 1000),
      trial_ticket_id = ${breaker.state === 'half-open' ? breaker.trialId : null},
      cause = ${breaker.state === 'closed' ? null : (breaker.cause ?? null)}
    WHERE tenant_id = ${tenantId} AND agent = ${subject}`;
}

function breakerOf({ state, since_ms, failed_at_ms, next_trial_at_ms, trial_ticket_id, trials, cause }: BreakerRow): Breaker {
  const common = { sinceAtMs: since_ms ?? 0, ...(cause !== null && { cause }) };
  if (state === 'open') return { state, ...common, nextTrialAtMs: next_trial_at_ms ?? 0 };
  if (state === 'half-open' && trial_ticket_id !== null)
    return { state, ...common, trialId: trial_ticket_id, earlierTrials: trials.filter((id) => id !== trial_ticket_id) };
  return { state: 'closed', sinceAtMs: since_ms ?? undefined, failedAtMs: failed_at_ms };
}

/** Why the throttle lets the ticket wait now; undefined where it does not. */
async function reasonOf(sql: Sql, ticket: WaitingRow, throttle: Throttle): Promise<ThrottledBy | undefined> {
  switch (throttle.kind) {
    case 'agent':
    case 'key':
      return fullPlaces(sql, ticket, throttle);
    case 'rate':
      return usedUp(sql, ticket, throttle);
    case 'breaker':
      return openBreaker(sql, ticket, throttle);
    case 'budget':
      return usedBudget(sql, ticket, throttle);
  }
}

async function fullPlaces(
  sql: Sql,
  { tenant_id, agent, concurrency_key }: WaitingRow,
  { kind, key, limit }: Extract<Throttle, { readonly kind: 'agent' | 'key' }>,
): Promise<ThrottledBy | undefined> {
  const rows = await sql<HolderRow[]>`
    SELECT id, run_id, node_id, worker_id, leased_at, (count(*) OVER ())::integer AS holder_count FROM tickets
    WHERE tenant_id = ${tenant_id} AND token IS NOT NULL
      AND ${kind === 'key' ? sql`concurrency_key = ${concurrency_key}` : sql`agent = ${agent} AND throttles IS NOT NULL`}
    ORDER BY leased_at LIMIT 10`;
  const holderCount = rows[0]?.holder_count ?? 0;
  if (holderCount < limit) return undefined;
  const holders = rows.map(({ id, run_id, node_id, worker_id, leased_at }) => ({
    ticketId: id,
    runId: run_id,
    nodeId: node_id,
    workerId: worker_id,
    leasedAtMs: leased_at.getTime(),
  }));
  return { kind: 'concurrency', key, limit, holderCount, holders };
}

async function usedUp(
  sql: Sql,
  { tenant_id }: WaitingRow,
  { key, limit, windowMs }: Extract<Throttle, { readonly kind: 'rate' }>,
): Promise<ThrottledBy | undefined> {
  const [row] = await sql<{ full_until: Date }[]>`SELECT full_until FROM rates WHERE tenant_id = ${tenant_id} AND key = ${key}`;
  const nowMs = await nowMsOf(sql);
  const roomAtMs = Math.ceil(Math.min(row?.full_until.getTime() ?? 0, nowMs + windowMs) + windowMs / limit - windowMs);
  return roomAtMs <= nowMs ? undefined : { kind: 'rate', key, limit, windowMs, roomAtMs };
}

async function openBreaker(
  sql: Sql,
  { tenant_id }: WaitingRow,
  { key }: Extract<Throttle, { readonly kind: 'breaker' }>,
): Promise<ThrottledBy | undefined> {
  const subject = breakerSubject(key);
  const breaker = await readBreaker(sql, { tenantId: tenant_id, subject: columnOf(subject) });
  if (breaker.state === 'closed') return undefined;
  const stands = {
    ...(breaker.state === 'open'
      ? { state: breaker.state, nextTrialAtMs: Math.ceil(breaker.nextTrialAtMs) }
      : { state: breaker.state, trialTicketId: breaker.trialId }),
    ...(breaker.cause !== undefined && { cause: breaker.cause }),
  };
  return subject.kind === 'agent'
    ? { kind: 'breaker', key, ...stands }
    : { kind: 'dependency', name: subject.name, sinceAtMs: Math.floor(breaker.sinceAtMs), ...stands };
}

async function usedBudget(
  sql: Sql,
  { tenant_id, agent, run_id }: WaitingRow,
  { scope, maxMicroUsd }: Extract<Throttle, { readonly kind: 'budget' }>,
): Promise<ThrottledBy | undefined> {
  const [full] = await sql<FullBudgetRow[]>`
    SELECT *, budget_turn(period) AS turns_at FROM fullest_budget(${tenant_id}, ${agent}, ${run_id}, ${scope}, ${maxMicroUsd})`;
  if (full === undefined) return undefined;
  const { name, period, cap_micro_usd, reserved_micro_usd, settled_micro_usd, turns_at } = full;
  return {
    ...{ kind: 'budget', scope, name, period, neededMicroUsd: maxMicroUsd },
    ...{ capMicroUsd: Number(cap_micro_usd), reservedMicroUsd: Number(reserved_micro_usd), settledMicroUsd: Number(settled_micro_usd) },
    ...(turns_at !== null && { turnsAtMs: turns_at.getTime() }),
  };
}
