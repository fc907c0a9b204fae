/*
 * Program: what the database could do if there were nothing but SQL. Each step costs the same durable work that a step of
 * a run does (claim with a new fencing token, fenced completion, outbox entry, audit entry, audit chain and head), done by
 * one statement per batch, which is one round trip and one commit. Arguments: directory, effort as JSON.
 */
import type { Sql } from 'postgres';
import { startDatabase } from '../harness/database.ts';
import { quantile } from '../harness/statistics.ts';
import type { Effort } from '../harness/workloads.ts';

/** One round of the ceiling. */
export interface CeilingRound {
  readonly durability: string;
  /** Batches of up to 50, one connection. */
  readonly oneConnectionPerSecond: number;
  /** Batches of up to 50, two connections. */
  readonly twoConnectionsPerSecond: number;
  /** As one connection, with the insert of the next ticket as well. */
  readonly withIssuePerSecond: number;
  /** Ten steps, one commit each, one after another. */
  readonly tenStepsP50Ms: number;
  readonly tenStepsP99Ms: number;
}

/** A ticket and the token it was claimed with. */
interface Claimed {
  readonly id: string;
  readonly token: string;
}

const batchSize = 50;
const seededTickets = 150_000;
const sequenceLength = 10;

const schema = `
  -- Planning this statement anew costs more than running it for one step.
  ALTER ROLE CURRENT_USER SET plan_cache_mode = force_generic_plan;
  CREATE SEQUENCE fence;
  CREATE TABLE ticket (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, run_id bigint NOT NULL, status text NOT NULL DEFAULT 'ready', input json NOT NULL, output json,
    token bigint, holder text, lease_until timestamptz
  ) WITH (fillfactor = 50);
  CREATE INDEX ticket_ready ON ticket (id) WHERE status = 'ready';
  CREATE TABLE outbox (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, ticket_id bigint NOT NULL, event json NOT NULL);
  CREATE TABLE audit_head (tenant text PRIMARY KEY, seq bigint NOT NULL, hash bytea NOT NULL);
  CREATE TABLE audit_log (seq bigint PRIMARY KEY, at timestamptz NOT NULL, actor text NOT NULL, object bigint NOT NULL, digest bytea NOT NULL);
  CREATE TABLE audit_link (seq bigint PRIMARY KEY, hash bytea NOT NULL);
  INSERT INTO audit_head VALUES ('default', 0, sha256(''));`;

/** Completes what was claimed, writes what must be written about it, and claims the next, all in one commit. */
const settleAndClaim = (withIssue: boolean): string => `
  WITH settled AS (
    UPDATE ticket SET status = 'settled', output = '{"ok":true}' FROM unnest($1::bigint[], $2::bigint[]) AS held (id, token)
    WHERE ticket.id = ANY ($1) AND ticket.id = held.id AND ticket.token = held.token AND ticket.status = 'leased' RETURNING ticket.id, ticket.run_id
  ), noted AS (
    INSERT INTO outbox (ticket_id, event) SELECT id, json_build_object('type', 'ticket.settled', 'ticketId', id, 'output', json_build_object('ok', true)) FROM settled
  ), digests AS (
    SELECT id, sha256(convert_to('ticket.settled ' || id, 'UTF8')) AS digest, row_number() OVER (ORDER BY id) AS place FROM settled
  ), head AS (
    UPDATE audit_head SET seq = seq + batch.size, hash = sha256(hash || batch.digests)
    FROM (SELECT count(*) AS size, coalesce(string_agg(digest, ''::bytea ORDER BY place), '') AS digests FROM digests) AS batch
    WHERE tenant = 'default' AND batch.size > 0 RETURNING audit_head.seq, audit_head.hash, batch.size
  ), entries AS (
    INSERT INTO audit_log SELECT head.seq - head.size + place, now(), 'worker', id, digest FROM digests, head
  ), link AS (
    INSERT INTO audit_link SELECT seq, hash FROM head
  )${withIssue ? `, issued AS (INSERT INTO ticket (run_id, input) SELECT run_id, '{}' FROM settled)` : ''}
  UPDATE ticket SET status = 'leased', token = nextval('fence'), holder = 'worker', lease_until = now() + interval '30 seconds'
  WHERE id = ANY (ARRAY(SELECT id FROM ticket WHERE status = 'ready' ORDER BY id LIMIT $3 FOR UPDATE SKIP LOCKED))
  RETURNING id, token`;

async function runLane(sql: Sql, lane: { statement: string; until: () => boolean }): Promise<number> {
  let claimed: readonly Claimed[] = [];
  let settledCount = 0;
  do {
    const next: readonly Claimed[] = await step(sql, lane.statement, claimed, batchSize);
    settledCount += claimed.length;
    claimed = next;
  } while (claimed.length > 0 && !lane.until());
  return settledCount;
}

const step = (sql: Sql, statement: string, ...[claimed, size]: [readonly Claimed[], number]): Promise<Claimed[]> =>
  sql.unsafe<Claimed[]>(statement, [claimed.map(({ id }) => id), claimed.map(({ token }) => token), size], { prepare: true });

async function perSecond(sql: Sql, load: { connectionCount: number; withIssue: boolean; durationMs: number }): Promise<number> {
  await sql`TRUNCATE ticket, outbox, audit_log, audit_link`;
  await sql`INSERT INTO ticket (run_id, input) SELECT n, '{}' FROM generate_series(1, ${seededTickets}::int) AS n`;
  await sql.unsafe('VACUUM ANALYZE ticket');
  const startedAt = performance.now();
  const lane = { statement: settleAndClaim(load.withIssue), until: () => performance.now() - startedAt > load.durationMs };
  const counts = await Promise.all(Array.from({ length: load.connectionCount }, () => runLane(sql, lane)));
  return (counts.reduce((sum, count) => sum + count, 0) * 1_000) / (performance.now() - startedAt);
}

async function sequenceLatencies(sql: Sql, effort: Effort): Promise<number[]> {
  const samples: number[] = [];
  const endsAt = performance.now() + effort.latencyMs;
  let claimed = await step(sql, settleAndClaim(false), [], 1);
  do {
    const startedAt = performance.now();
    for (let index = 0; index < sequenceLength; index += 1) claimed = await step(sql, settleAndClaim(false), claimed, 1);
    samples.push(performance.now() - startedAt);
  } while (performance.now() < endsAt && samples.length < effort.latencySamples);
  return samples;
}

const [directory = '', effortText = ''] = process.argv.slice(2);
const effort = JSON.parse(effortText) as Effort;
const database = await startDatabase(directory);
const setup = database.connect(1);
await setup.unsafe(schema);
await setup.end();
const [one, two] = [database.connect(1), database.connect(2)];
const durationMs = effort.throughputMs;
await perSecond(one, { connectionCount: 1, withIssue: false, durationMs: effort.warmUpMs });
const oneConnectionPerSecond = await perSecond(one, { connectionCount: 1, withIssue: false, durationMs });
const samples = await sequenceLatencies(one, effort);
const round: CeilingRound = {
  durability: database.durability,
  oneConnectionPerSecond,
  twoConnectionsPerSecond: await perSecond(two, { connectionCount: 2, withIssue: false, durationMs }),
  withIssuePerSecond: await perSecond(one, { connectionCount: 1, withIssue: true, durationMs }),
  tenStepsP50Ms: quantile(samples, 0.5),
  tenStepsP99Ms: quantile(samples, 0.99),
};
await Promise.all([one.end(), two.end()]);
await database.stop();
process.stdout.write(`\n${JSON.stringify(round)}\n`);
