import { canaryTenantId, defaultTenantId } from '@hivekeeper/contract';
import { FakeClock } from '@hivekeeper/testkit';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { beforeEach, expect, test, vi } from 'vitest';
import type { Engine } from '../../apps/control/src/engine.ts';
import { registerCanaries } from '../../apps/control/src/flow/health/index.ts';
import { chain, deploy, ended, engineOn, ownDatabase, seatLabelledWorker, seatWorker, start, succeed, type Work } from './fixture.ts';

const { database, sql } = await ownDatabase();

const canaryMs = 30_000;
let clock: FakeClock;

beforeEach(() => {
  clock = new FakeClock();
});

/** An engine that sends canaries, with a worker that does `work` for the queue node. */
async function singing(work: Work): Promise<Engine> {
  const engine = await engineOn(database.url, { clock, canaryMs });
  await registerCanaries(engine.services, '/product/agents/canary');
  seatLabelledWorker(engine, work, ['node']);
  return engine;
}

/** Lets the next canary be sent and come to its end. */
async function oneCanary({ services }: Engine): Promise<void> {
  const endedBefore = services.canaries.views()[0]?.endedAtMs;
  await clock.advance(canaryMs);
  while (services.canaries.views()[0]?.endedAtMs === endedBefore) await nextTurn();
}

test('a canary goes the way of every ticket, and nobody finds it among his own', async () => {
  const seen: unknown[] = [];
  await using engine = await singing(async ({ agent }) => {
    seen.push(`${agent.name} ${agent.directory}/${agent.entry}`, await engine.services.tickets.counts());
    return { ok: true, output: { ok: true } };
  });
  await oneCanary(engine);
  const { services } = engine;
  expect(services.canaries.views()).toEqual([
    { queue: 'node', isUnderWay: false, endedAtMs: clock.nowMs(), latencyMs: expect.any(Number) },
  ]);
  expect(seen).toEqual(['canary-node /product/agents/canary/canary.mjs', { ready: 0, leased: 0 }]);
  expect(await sql`SELECT status, trigger FROM runs WHERE tenant_id = ${canaryTenantId}`).toEqual([
    { status: 'SUCCESS', trigger: 'canary' },
  ]);
  expect(await services.census.counts(defaultTenantId)).toEqual({ accepted: 0, byStatus: {} });
  expect(await services.runStore.list(defaultTenantId, { limit: 10 })).toEqual([]);
  expect(await services.agents.list(defaultTenantId)).not.toContainEqual(expect.objectContaining({ name: 'canary-node' }));
});

test('one that fails says why', async () => {
  await using engine = await singing(() => ({ ok: false, error: { code: 'AGENT_NOT_RUNNABLE', message: 'it is not there' } }));
  await oneCanary(engine);
  expect(engine.services.canaries.views()).toMatchObject([{ error: { code: 'AGENT_NOT_RUNNABLE' } }]);
});

test('canaries are forgotten with their part of the audit, not while one is under way, and what others did stays', async () => {
  await using engine = await singing(succeed);
  seatWorker(engine, succeed);
  await deploy(engine, chain('theirs', 2));
  await ended(engine, await start(engine, 'theirs'));
  await oneCanary(engine);
  const rows = async (tenantId: string) =>
    (
      await sql<{ runs: number; commits: number; entries: number; head: number }[]>`
        SELECT (SELECT count(*)::integer FROM runs WHERE tenant_id = ${tenantId}) AS runs,
          (SELECT count(*)::integer FROM run_journal WHERE tenant_id = ${tenantId}) AS commits,
          (SELECT count(*)::integer FROM audit_log WHERE tenant_id = ${tenantId}) AS entries,
          (SELECT seq::integer FROM audit_heads WHERE tenant_id = ${tenantId}) AS head`
    )[0];
  // That workers came is on record too, a moment later.
  const { instances, desk } = engine.services;
  const known = () => instances.list(defaultTenantId, { kind: 'worker' }).map(({ id }) => String(id));
  await vi.waitUntil(() => desk.workers().every(({ id }) => known().includes(id)), { timeout: 10_000, interval: 5 });
  const theirs = await rows(defaultTenantId);
  const [{ id }] = await sql<[{ id: string }]>`SELECT id FROM runs WHERE tenant_id = ${canaryTenantId} LIMIT 1`;
  await sql`UPDATE runs SET finished_at = NULL WHERE id = ${id}`;
  const forget = () => sql`SELECT forget_canaries()`;
  await forget();
  expect((await rows(canaryTenantId))?.runs).toBeGreaterThan(0);
  await sql`UPDATE runs SET finished_at = now() WHERE id = ${id}`;
  await forget();
  expect(await rows(canaryTenantId)).toEqual({ runs: 0, commits: 0, entries: 0, head: 0 });
  expect(await rows(defaultTenantId)).toEqual(theirs);
  await oneCanary(engine);
  expect(await rows(canaryTenantId)).toMatchObject({ runs: 1, commits: 2, entries: 2, head: 2 });
});
