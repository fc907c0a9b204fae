import type { RunId, TenantId, ThrottledBy, TicketId, WorkerId } from '@hivekeeper/contract';
import { type Breaker, newBreaker, type Throttle, type ThrottleStore } from '../../flow/tickets/index.ts';
import { audit } from './audit.ts';
import { inTransaction, type Pool, type Sql } from './connection.ts';

interface BreakerRow {
  readonly agent: string;
  readonly state: Breaker['state'];
  readonly since_ms: number | null;
  readonly failed_at_ms: number[];
  readonly next_trial_at_ms: number | null;
  readonly trial_ticket_id: TicketId | null;
}

interface HolderRow {
  readonly id: TicketId;
  readonly run_id: RunId;
  readonly node_id: string;
  readonly worker_id: WorkerId;
  readonly leased_at: Date;
  readonly holder_count: number;
}

interface WaitingRow {
  readonly tenant_id: TenantId;
  readonly agent: string;
  readonly concurrency_key: string | null;
  readonly throttles: readonly Throttle[] | null;
}

/** Throttles and breakers in PostgreSQL, for the engine. */
export const postgresThrottleStore = (engine: Pool): ThrottleStore => ({
  async throttledBy(ticketId) {
    const [ticket] = await engine<WaitingRow[]>`
      SELECT tenant_id, agent, concurrency_key, throttles FROM tickets WHERE id = ${ticketId} AND worker_id IS NULL`;
    for (const throttle of ticket?.throttles ?? []) {
      const answer = await reasonOf(engine, ticket as WaitingRow, throttle);
      if (answer !== undefined) return answer;
    }
    return undefined;
  },

  async breakers(tenantId) {
    const rows = await engine<BreakerRow[]>`SELECT ${breakerColumns(engine)} FROM breakers WHERE tenant_id = ${tenantId}`;
    return { nowMs: await nowMsOf(engine), byAgent: new Map(rows.map((row) => [row.agent, breakerOf(row)])) };
  },

  async changeBreaker(tenantId, agent, change) {
    const before = await readBreaker(engine, tenantId, agent);
    // Most attempts go well while the breaker is closed: they need no lock and no transaction.
    if (change(before, await nowMsOf(engine)) === before) return false;
    return inTransaction(engine, async (sql) => {
      await sql`INSERT INTO breakers (tenant_id, agent, state) VALUES (${tenantId}, ${agent}, 'closed') ON CONFLICT DO NOTHING`;
      await sql`SELECT FROM breakers WHERE tenant_id = ${tenantId} AND agent = ${agent} FOR UPDATE`;
      const current = await readBreaker(sql, tenantId, agent);
      const next = change(current, await nowMsOf(sql));
      if (next === current) return false;
      await writeBreaker(sql, { tenantId, agent }, next);
      if (next.state === current.state) return false;
      await audit(sql, { tenantId, actor: 'platform', action: `breaker.${next.state}`, object: agent, payload: next });
      return true;
    });
  },
});

const breakerColumns = (sql: Sql) => sql`
  agent, state, extract(epoch FROM since)::double precision * 1000 AS since_ms,
  ARRAY(SELECT extract(epoch FROM f)::double precision * 1000 FROM unnest(failed_at) AS f) AS failed_at_ms,
  extract(epoch FROM next_trial_at)::double precision * 1000 AS next_trial_at_ms, trial_ticket_id`;

async function nowMsOf(sql: Sql): Promise<number> {
  const [row] = await sql<{ now_ms: number }[]>`SELECT extract(epoch FROM clock_timestamp())::double precision * 1000 AS now_ms`;
  return row?.now_ms ?? 0;
}

async function readBreaker(sql: Sql, tenantId: TenantId, agent: string): Promise<Breaker> {
  const [row] = await sql<BreakerRow[]>`SELECT ${breakerColumns(sql)} FROM breakers WHERE tenant_id = ${tenantId} AND agent = ${agent}`;
  return row === undefined ? newBreaker : breakerOf(row);
}

async function writeBreaker(sql: Sql, { tenantId, agent }: { tenantId: TenantId; agent: string }, breaker: Breaker): Promise<void> {
  const failedAtMs = breaker.state === 'closed' ? breaker.failedAtMs : [];
  await sql`
    UPDATE breakers SET state = ${breaker.state}, since = to_timestamp(${breaker.sinceAtMs ?? null}::double precision / 1000),
      failed_at = ARRAY(SELECT to_timestamp(f / 1000) FROM unnest(${failedAtMs}::double precision[]) AS f),
      next_trial_at = to_timestamp(${breaker.state === 'open' ? breaker.nextTrialAtMs : null}::double precision / 1000),
      trial_ticket_id = ${breaker.state === 'half-open' ? breaker.trialTicketId : null}
    WHERE tenant_id = ${tenantId} AND agent = ${agent}`;
}

function breakerOf({ state, since_ms, failed_at_ms, next_trial_at_ms, trial_ticket_id }: BreakerRow): Breaker {
  const sinceAtMs = since_ms ?? 0;
  if (state === 'open') return { state, sinceAtMs, nextTrialAtMs: next_trial_at_ms ?? 0 };
  if (state === 'half-open' && trial_ticket_id !== null) return { state, sinceAtMs, trialTicketId: trial_ticket_id };
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
  { tenant_id, agent }: WaitingRow,
  { key }: Extract<Throttle, { readonly kind: 'breaker' }>,
): Promise<ThrottledBy | undefined> {
  const breaker = await readBreaker(sql, tenant_id, agent);
  switch (breaker.state) {
    case 'closed':
      return undefined;
    case 'open':
      return { kind: 'breaker', key, state: 'open', nextTrialAtMs: Math.ceil(breaker.nextTrialAtMs) };
    case 'half-open':
      return { kind: 'breaker', key, state: 'half-open', trialTicketId: breaker.trialTicketId };
  }
}
