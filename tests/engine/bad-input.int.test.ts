/** The table of bad requests, against everything but the socket: real server routes, real engine, real PostgreSQL. */
import { defaultTenantId, type ErrorCode, errorCatalogue, registerInstanceSchema } from '@hivekeeper/contract';
import { newLog } from '@hivekeeper/kernel';
import postgres from 'postgres';
import { afterAll, describe, expect, test, vi } from 'vitest';
import { createServer } from '../../apps/control/src/http/index.ts';
import { badInputCases, type CaseWorld, faultIn } from '../../apps/control/src/http/testing/bad-input.cases.ts';
import { builtin, deploy, ended, engineOn, migratedDatabase, seatWorker, start, until } from './fixture.ts';

await using opening = new AsyncDisposableStack();
const database = opening.adopt(await migratedDatabase(), (fresh) => fresh.drop());
const sql = opening.adopt(postgres(database.superuserUrl, { max: 1 }), (client) => client.end());
// No lease ends and no ticket moves while the table is gone through: only a request could change what is stored.
const engine = opening.use(await engineOn(database.url, { leaseMs: 600_000 }));
const logged: string[] = [];
const app = opening.adopt(
  await createServer({
    ...engine.services,
    log: newLog({ level: 'info', component: 'test', destination: { write: (line) => void logged.push(line) } }),
    version: '0.0.0-test',
    isDraining: () => false,
    authentication: 'api-key',
  }),
  (server) => server.close(),
);

await sql`INSERT INTO relays (name) VALUES ('nats')`;
await sql`
  INSERT INTO model_calls VALUES ('call_1', ${defaultTenantId}, now(), 'test', NULL, NULL, 'messages', 'fast', NULL, NULL, false, false,
    0, 0, 0, false, 0, NULL, 0, 'failed', '[]')`;
await engine.services.money.set({ tenantId: defaultTenantId, by: 'test' }, { scope: 'tenant', name: '', period: 'day', capMicroUsd: 1 });
await engine.services.money.reserve(1, { tenantId: defaultTenantId, subject: 'test' });
// What the requests name is there: a run with a leased ticket, an unknown effect, a step and a pending approval, so that one that got through would show.
const { id: workflowId } = await deploy(engine, {
  name: 'subject',
  nodes: [
    { id: 'works', agent: 'noop' },
    { id: 'waits', agent: 'risky' },
  ],
});
const worker = seatWorker(engine, () => undefined, 1);
const keyedRoute = '/v1/workflows/:name/runs';
const { runId } = await engine.services.triggers.fire({
  tenantId: defaultTenantId,
  workflow: { name: 'subject' },
  context: { target: '/repo' },
  kind: 'api',
  by: 'test',
  idempotency: { route: keyedRoute, key: 'taken' },
});
const ticket = await worker.ticket(1);
const holder = { workerId: worker.workerId, ticketId: ticket.ticketId, token: ticket.token };
const { effectId } = await engine.services.effects.begin({ ...holder, tool: 'mail.send', args: {} });
await engine.services.effects.doubt({ ...holder, effectId, reason: 'no answer' });
await engine.services.effects.record({ ...holder, step: 's', outcome: { ok: true, output: 1 } });
const [approval] = await engine.services.runStore.approvals(defaultTenantId, { runId });
const link = await engine.services.links.create({
  tenantId: defaultTenantId,
  approvalId: approval?.id as never,
  inputSha256: approval?.inputSha256 ?? '',
  expiresAtMs: approval?.expiresAtMs ?? 0,
  createdBy: 'key:test-admin',
});
const agent = await engine.services.agents.get(defaultTenantId, { name: 'noop' });
// A run that waits for an event, and has a ticket that nobody could finish.
await deploy(engine, {
  name: 'stuck',
  nodes: [
    { id: 'waits', wait: { event: 'paid', key: 'k' } },
    { id: 'dies', agent: 'noop' },
  ],
});
seatWorker(engine, () => ({ ok: false, error: { code: 'AGENT_FAILED', message: 'no' } }), 1);
await until(engine, await start(engine, 'stuck'), ({ type }) => type === 'node.finished');
const [dead] = await engine.services.dead.list(defaultTenantId, { state: 'open', limit: 1 });
// An agent with a rate and a breaker that has seen a failure.
const frail = builtin('frail', { rate: { limit: 9, windowMs: 1_000 }, breaker: { failures: 9, windowMs: 60_000, coolDownMs: 60_000 } });
await engine.services.agents.ensureSpec({ tenantId: defaultTenantId, spec: frail, by: 'test' });
await deploy(engine, { name: 'frail', nodes: [{ id: 'fails', agent: 'frail' }] });
seatWorker(engine, () => ({ ok: false, error: { code: 'AGENT_FAILED', message: 'no' } }), 1);
await ended(engine, await start(engine, 'frail'));
await engine.services.breakers.idle();
// Two runs that take turns, an event, and a schedule of which an instant passed unserved.
await deploy(engine, { name: 'turns', nodes: [{ id: 'waits', wait: { signal: 'go' } }], concurrency: { limit: 1 } });
const first = await start(engine, 'turns');
await until(engine, first, ({ type }) => type === 'run.started');
await start(engine, 'turns');
const { id: eventId } = await engine.services.events.publish({
  tenantId: defaultTenantId,
  type: 'unwanted',
  key: 'k',
  payload: null,
  by: 'test',
  dedupeKey: 'taken',
});
const yearly = { cron: '0 0 1 1 *', timeZone: 'UTC', catchUp: 'none', overlap: 'skip', jitterMs: 0 } as const;
const scheduled = { tenantId: defaultTenantId, name: 'yearly', workflow: 'subject', rule: yearly, context: {}, by: 'test' };
await engine.services.schedules.create(scheduled);
await sql`UPDATE schedules SET dealt_until = now() - interval '2 years', due_at = NULL`;
await sql`SELECT pg_notify('hive_schedules', '')`;
await vi.waitUntil(async () => (await sql`SELECT FROM schedules WHERE due_at > now()`).length === 1, { timeout: 10_000 });
const { instances } = engine.services;
const scout = registerInstanceSchema.parse({ name: 'scout', capabilities: ['scan'], beatIntervalMs: 60_000 });
const instance = await instances.register({ tenantId: defaultTenantId, description: scout, by: 'test' });
const enrolled = () => instances.list(defaultTenantId, { kind: 'worker' }).length === engine.services.desk.workers().length;
await vi.waitUntil(enrolled, { timeout: 10_000 });
const stranger = 'wrk_01JD0000000000000000000000';
const key = await engine.services.keys.create({ tenantId: defaultTenantId, name: 'ci', role: 'viewer', by: 'test' });
const issue = (role: 'admin' | 'worker') => engine.services.keys.issue({ tenantId: defaultTenantId, name: `test-${role}`, role });
const world: CaseWorld = {
  keys: { admin: await issue('admin'), worker: await issue('worker') },
  subjects: {
    runId,
    approvalId: approval?.id ?? '',
    link,
    deadTicketId: dead?.ticketId ?? '',
    effectId,
    workflowId,
    scheduleName: 'yearly',
    eventId,
    instanceId: instance.id,
    keyId: key.id,
    agent: { name: agent.name, id: agent.id },
    workerId: worker.workerId,
    ticket: { ticketId: ticket.ticketId, token: ticket.token },
  },
};

const tables = (
  await sql<
    { name: string }[]
  >`SELECT tablename AS name FROM pg_tables WHERE schemaname = 'public' AND tablename NOT IN ('instance_rounds', 'attempt_costs') ORDER BY 1`
).map(({ name }) => name);
// When a key was used is noted in its own time.
const digests = tables.map(
  (name) =>
    `SELECT '${name}' AS name, count(*)::integer, md5(string_agg(t::text, ' ' ORDER BY t::text)) FROM (SELECT to_jsonb(r) - 'last_used_at' AS t FROM "${name}" r)`,
);
/** Every table with its number of rows and a digest of them all; the head of the audit is one of the tables. */
const stored = () => sql.unsafe(digests.join(' UNION ALL ')).then((rows) => rows.map(({ name, count, md5 }) => `${name} ${count} ${md5}`));

const before = await stored();
const house = opening.move();
afterAll(() => house.disposeAsync());

const ask = ({ method, url, headers, payload }: { method: string; url: string; headers: object; payload?: string | Buffer }) =>
  // Where people are answered by pages, programs still get JSON.
  app.inject({
    method: method as 'GET',
    url,
    headers: { accept: 'application/json', ...headers },
    ...(payload !== undefined && { payload }),
  });

describe('a bad request to the real control plane stores nothing:', () => {
  const cases = badInputCases(app.routeTable.entries, world);

  test.each(cases)('$name', async ({ status, code, path, ...request }) => {
    const response = await ask(request);
    const fault = faultIn(response.json());
    expect({ status: response.statusCode, code: fault.code }).toEqual({ status, code });
    const isNamed = path === undefined || fault.paths.some((found) => found === path || found.startsWith(`${path}/`));
    expect(isNamed, `${path} in ${JSON.stringify(fault.paths)}`).toBe(true);
    expect(await stored()).toEqual(before);
  });

  test('and there is something in every table that could be changed', () => {
    expect(cases.length).toBeGreaterThan(1_400);
    expect(tables.length).toBeGreaterThan(12);
    expect(before.filter((row) => / 0 /.test(row))).toEqual([]);
  });
});

interface Refusal {
  /** What is wrong. */
  readonly name: string;
  readonly request: string;
  readonly body?: object;
  readonly headers?: Readonly<Record<string, string>>;
  readonly code: string;
  readonly path?: string;
}

/** A chain of nodes whose last is needed by the first. */
const circle = (length: number, nodeOf: (index: number, need: number) => object) =>
  Array.from({ length }, (_, index) => nodeOf(index, (index + 1) % length));

const ours = (code: string, cases: readonly { name: string; nodes: readonly object[]; path: string }[]): Refusal[] =>
  cases.map(({ nodes, ...told }) => ({ ...told, code, request: 'POST /v1/workflows', body: { name: 'x', nodes } }));
const theirs = (code: string, cases: readonly { name: string; nodes: readonly object[]; path: string }[]): Refusal[] =>
  cases.map(({ nodes, ...told }) => ({
    ...told,
    code,
    request: 'POST /api/workflows',
    body: { projectId: 1, name: 'x', trigger: {}, nodes },
  }));

const node = { id: 'a', agent: 'noop' };
const ring = (length: number) => circle(length, (index, need) => ({ id: `n${index}`, agent: 'noop', needs: [`n${need}`] }));
const facadeNode = { agentId: agent.id, action: 'scan', inputsJson: {} };
const facadeRing = (length: number) => circle(length, (_, need) => ({ ...facadeNode, dependsOn: [`node-${need}`] }));
const settlement = { workerId: worker.workerId, ticketId: ticket.ticketId, outcome: { ok: true, output: 1 } };
const held = { ticketId: ticket.ticketId, token: ticket.token };

/** Requests of the right shape that what is there refuses. */
const refusals: readonly Refusal[] = [
  ...ours('WORKFLOW_INVALID', [
    { name: 'a circle', nodes: ring(2), path: '/nodes/0/needs' },
    { name: 'a circle of 10,000', nodes: ring(10_000), path: '/nodes/0/needs' },
    { name: 'a node that needs itself', nodes: [{ ...node, needs: ['a'] }], path: '/nodes/0/needs/0' },
    { name: 'a need that is no node', nodes: [{ ...node, needs: ['b'] }], path: '/nodes/0/needs/0' },
    { name: 'one id twice', nodes: [node, node], path: '/nodes/1/id' },
    { name: 'a broken expression', nodes: [{ ...node, when: '1 +' }], path: '/nodes/0/when' },
    {
      name: 'a template about a node that may not have run',
      nodes: [
        { ...node, input: { x: '{{ b.output }}' } },
        { ...node, id: 'b' },
      ],
      path: '/nodes/0/input/x',
    },
  ]),
  ...ours('UNKNOWN_AGENT', [
    { name: 'an unknown agent', nodes: [{ ...node, agent: 'nobody' }], path: '/nodes/0/agent' },
    { name: 'an agent that is in another project', nodes: [{ ...node, agent: '2/noop' }], path: '/nodes/0/agent' },
  ]),
  ...ours('INVALID_REQUEST', [
    {
      name: 'a label that workers find out about themselves',
      nodes: [{ ...node, requires: ['gpu', 'node'] }],
      path: '/nodes/0/requires/1',
    },
  ]),
  ...theirs('WORKFLOW_INVALID', [
    { name: 'a circle of 10,000', nodes: facadeRing(10_000), path: '/nodes/0/dependsOn' },
    { name: 'an unresolved dependency', nodes: [{ ...facadeNode, dependsOn: ['ghost'] }], path: '/nodes/0/dependsOn/0' },
  ]),
  ...theirs('UNKNOWN_AGENT', [{ name: 'an unknown agent', nodes: [{ ...facadeNode, agentId: 'agt_nobody' }], path: '/nodes/0/agentId' }]),
  {
    name: 'a path with nothing there',
    request: 'POST /v1/agents',
    body: { entryPath: '/nonexistent/agent' },
    code: 'AGENT_INVALID',
    path: '/entryPath',
  },
  {
    name: 'a path that is not absolute',
    request: 'POST /v1/agents',
    body: { entryPath: '../agent' },
    code: 'AGENT_INVALID',
    path: '/entryPath',
  },
  {
    name: 'a name that is taken',
    request: 'POST /api/agents',
    body: { projectId: 1, name: 'noop', type: 'SCRIPT', entryPath: '/nonexistent', version: '1.0.0', riskLevel: 'AUTO' },
    code: 'ALREADY_EXISTS',
  },
  { name: 'an agent in use', request: 'DELETE /v1/agents/noop', code: 'STILL_IN_USE' },
  { name: 'a workflow that is not there', request: 'POST /v1/workflows/absent/runs', body: {}, code: 'NOT_FOUND' },
  {
    name: 'a key that is used for another body',
    request: `POST ${keyedRoute.replace(':name', 'subject')}`,
    body: { context: { target: '/other' } },
    headers: { 'idempotency-key': 'taken' },
    code: 'IDEMPOTENCY_KEY_REUSED',
  },
  { name: 'a run that is not over', request: `POST /v1/runs/${runId}/retry`, body: {}, code: 'RUN_NOT_RETRYABLE' },
  { name: 'a run that goes on', request: `POST /v1/runs/${runId}/fork`, body: { nodeId: 'works' }, code: 'RUN_UNFINISHED' },
  {
    name: 'another number of runs',
    request: 'POST /v1/runs/bulk',
    body: { verb: 'cancel', filter: {}, expectedCount: 1 },
    code: 'COUNT_CHANGED',
    path: '/expectedCount',
  },
  {
    name: 'a status that the verb is not for',
    request: 'POST /v1/runs/bulk',
    body: { verb: 'retry', filter: { status: 'SUCCESS' } },
    code: 'INVALID_REQUEST',
    path: '/filter/status',
  },
  { name: 'a dead ticket of a run that goes on', request: `POST /v1/dead/${dead?.ticketId}/redrive`, body: {}, code: 'RUN_NOT_RETRYABLE' },
  { name: 'a live ticket', request: `POST /v1/dead/${ticket.ticketId}/discard`, body: { reason: 'x' }, code: 'NOT_FOUND' },
  {
    name: 'another input than the one that waits',
    request: `POST /v1/approvals/${approval?.id}/decision`,
    body: { decision: 'APPROVED', inputSha256: 'f'.repeat(64) },
    code: 'APPROVAL_INPUT_CHANGED',
  },
  { name: 'a link with another secret', request: `POST /approve/${link}x`, body: { decision: 'APPROVED' }, code: 'LINK_INVALID' },
  {
    name: 'a callback that is early',
    request: `POST /v1/callbacks/${ticket.ticketId}/${'A'.repeat(43)}`,
    body: { output: 1 },
    code: 'CALLBACK_EARLY',
  },
  {
    name: 'an approval that is not there',
    request: `POST /v1/approvals/${approval?.id}9/decision`,
    body: { decision: 'APPROVED' },
    code: 'NOT_FOUND',
  },
  {
    name: 'a schedule’s name that is taken',
    request: 'POST /v1/schedules',
    body: { name: 'yearly', workflow: 'subject', cron: '@daily' },
    code: 'ALREADY_EXISTS',
  },
  {
    name: 'a schedule of a workflow that is not there',
    request: 'POST /v1/schedules',
    body: { name: 'new', workflow: 'absent', cron: '@daily' },
    code: 'NOT_FOUND',
  },
  {
    name: 'a schedule that is never served',
    request: 'PUT /v1/schedules/yearly',
    body: { cron: '0 0 30 2 *' },
    code: 'SCHEDULE_INVALID',
    path: '/cron',
  },
  {
    name: 'another event under an id that is used',
    request: 'POST /v1/events',
    body: { type: 'unwanted', key: 'k', payload: 1, eventId: 'taken' },
    code: 'IDEMPOTENCY_KEY_REUSED',
  },
  { name: 'a token nobody was given', request: 'POST /v1/worker/settle', body: { ...settlement, token: '1.999' }, code: 'TICKET_NOT_HELD' },
  {
    name: 'a token from before a restore',
    request: 'POST /v1/worker/settle',
    body: { ...settlement, token: ticket.token.replace('1.', '0.') },
    code: 'TICKET_NOT_HELD',
  },
  {
    name: 'another worker’s token',
    request: 'POST /v1/worker/settle',
    body: { ...settlement, ...held, workerId: stranger },
    code: 'TICKET_NOT_HELD',
  },
  { name: 'a worker nobody knows', request: 'POST /v1/worker/heartbeat', body: { workerId: stranger, tickets: [held] }, code: 'NOT_FOUND' },
];

describe('what is there already refuses, and stores nothing:', () => {
  test.each(refusals)('$name at $request', async ({ request, body, headers, code, path }) => {
    const [method = '', url = ''] = request.split(' ');
    const response = await ask({
      method,
      url,
      headers: {
        authorization: `Bearer ${world.keys.admin}`,
        ...(body !== undefined && { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(body !== undefined && { payload: JSON.stringify(body) }),
    });
    const { code: told, paths } = faultIn(response.json());
    expect({ status: response.statusCode, code: told }).toEqual({ status: errorCatalogue[code as ErrorCode].httpStatus, code });
    if (path !== undefined) expect(paths).toContain(path);
    expect(await stored()).toEqual(before);
  });
});

test('none of it was logged as our fault, and the run it was about goes on as if nothing had been', async () => {
  expect(logged).toEqual([]);
  const { orders, runs } = engine.services;
  await runs.settle({ workerId: worker.workerId, ticketId: ticket.ticketId, token: ticket.token, outcome: { ok: true, output: 1 } });
  await orders.decideApproval({ tenantId: defaultTenantId, approvalId: approval?.id as never, approved: false, by: 'test' });
  expect(await ended(engine, runId)).toBe('FAILED');
  expect(await stored()).not.toEqual(before);
});
