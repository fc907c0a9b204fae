import { defaultTenantId, type RunId, ticketIdOf, type WorkerId } from '@hivekeeper/contract';
import { newLog } from '@hivekeeper/kernel';
import { expect, test } from 'vitest';
import { openDatabase, type PostgresDatabase } from '../../apps/control/src/adapters/postgres/index.ts';
import { chain, deploy, engineOn, ownDatabase, seatWorker, start, succeed } from './fixture.ts';

const { database, sql } = await ownDatabase();

const workerId = 'wrk_00000000000000000000000001' as WorkerId;
const runIdOf = (number: number) => `run_${String(number).padStart(26, '0')}` as RunId;
const open = () => openDatabase({ url: database.url, maxConnections: 1, log: newLog({ level: 'silent', component: 'test' }) });
type Store = PostgresDatabase['runStore'];
type Commit = Parameters<Store['commit']>[0]['runs'][number];

const counterIn = (result: Awaited<ReturnType<Store['commit']>>) => (result.stored ? [...result.counters.values()] : []);

/** A commit in the middle of a run: its row stays as it is. */
const commitOf = (runId: RunId, more: Partial<Commit>): Commit => ({
  runId,
  tenantId: defaultTenantId,
  version: 1,
  atMs: 0,
  events: [],
  status: 'RUNNING',
  hasNewStanding: false,
  actor: 'test',
  action: 'test',
  settled: [],
  revoked: [],
  issued: [],
  asked: [],
  closed: [],
  rankShiftMs: 0,
  awaited: [],
  forgotten: [],
  dead: [],
  costs: [],
  ...more,
});

const issuedIn = (runId: RunId): Commit['issued'][number] => ({
  ticketId: ticketIdOf(runId, 0),
  tenantId: defaultTenantId,
  runId,
  nodeId: 'n',
  slot: 0,
  attempt: 1,
  agent: 'noop',
  input: {},
  memo: [],
  isHeld: false,
  timeoutMs: 1_000,
  requirement: 'builtin',
  rankMs: 0,
  workerId,
});

test('of two commits that bring the same version of a run one is stored', async () => {
  await using opened = await open();
  const commit = (actor: string) => opened.runStore.commit({ runs: [commitOf(runIdOf(1), { actor })], leases: [], leaseMs: 1_000 });
  expect(await commit('left')).toMatchObject({ stored: true });
  expect(await commit('right')).toEqual({ stored: false, reason: 'moved-on', runIds: new Set([runIdOf(1)]) });
  expect(await sql`SELECT actor FROM audit_log WHERE object = ${runIdOf(1)}`).toEqual([{ actor: 'left' }]);
});

test('a settlement finds its ticket by the id alone, by a plan that was made when the table was empty too', async () => {
  await sql`VACUUM tickets`;
  const opened = await open();
  for (let number = 100; number < 150; number += 1) {
    const runId = runIdOf(number);
    const commit = (more: Partial<Commit>) => opened.runStore.commit({ runs: [commitOf(runId, more)], leases: [], leaseMs: 60_000 });
    const [counter = ''] = counterIn(await commit({ issued: [issuedIn(runId)] }));
    const settled = [{ ticketId: ticketIdOf(runId, 0), workerId, counter }];
    expect(await commit({ version: 2, settled })).toMatchObject({ stored: true });
  }
  // Its connections report what they read when they end.
  await opened[Symbol.asyncDispose]();
  await expect
    .poll(() => sql`SELECT idx_scan::integer AS scans FROM pg_stat_user_indexes WHERE indexrelname = 'tickets_pkey'`)
    .toEqual([{ scans: expect.toSatisfy((scans: number) => scans >= 50) }]);
  expect(await sql`SELECT idx_scan::integer AS scans FROM pg_stat_user_indexes WHERE indexrelname = 'tickets_leased'`).toEqual([
    { scans: 0 },
  ]);
});

test("a run's row is written when its status changes, and not by every step", async () => {
  await using engine = await engineOn(database.url);
  await deploy(engine, chain('quiet', 3));
  const worker = seatWorker(engine, (ticket) => (ticket.nodeId === 'n2' ? undefined : succeed(ticket)));
  const runId = await start(engine, 'quiet');
  const writtenBy = async () => (await sql<{ xmin: string }[]>`SELECT xmin::text FROM runs WHERE id = ${runId}`)[0]?.xmin;
  const atStart = await writtenBy();
  const { ticketId, token } = await worker.ticket(3);
  expect(await writtenBy()).toBe(atStart);
  expect((await engine.services.runStore.summary(defaultTenantId, runId))?.blocker).toMatchObject({ nodeId: 'n2' });
  await engine.services.runs.settle({ workerId: worker.workerId, ticketId, token, outcome: { ok: true, output: 1 } });
  expect(await engine.services.runStore.summary(defaultTenantId, runId)).toMatchObject({ status: 'SUCCESS', blocker: undefined });
});

test("a run's live tickets are its own, also those beyond the tenth", async () => {
  await using engine = await engineOn(database.url);
  const nodes = Array.from({ length: 12 }, (_, index) => ({ id: `n${index}`, agent: 'noop' }));
  await deploy(engine, { name: 'wide', nodes });
  const [left, right] = [await start(engine, 'wide'), await start(engine, 'wide')];
  const idsOf = async (runId: RunId) => (await engine.services.tickets.ofRun(runId)).map(({ ticketId }) => ticketId).sort();
  for (const runId of [left, right]) expect(await idsOf(runId)).toEqual(nodes.map((_, index) => ticketIdOf(runId, index)).sort());
});
