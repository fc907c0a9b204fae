import { agentManifestSchema, defaultTenantId, type TicketId } from '@hivekeeper/contract';
import { FakeClock, guardLeaks, seededRandom } from '@hivekeeper/testkit';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Door, openDoor } from '../testing/door.ts';
import { scanner } from '../testing/facade-scenes.ts';
import { deploy, poll, register, start } from '../testing/scenes.ts';

guardLeaks();

let door: Door;
let clock: FakeClock;
beforeEach(async () => {
  clock = new FakeClock();
  door = await openDoor({ clock, random: seededRandom(1) });
});
afterEach(() => door[Symbol.asyncDispose]());

describe('agents', () => {
  it('are registered (201), brought up to date (200), read and removed', async () => {
    expect(await door.call('POST /v1/agents', { body: { entryPath: '/agents/scanner' } })).toMatchObject({
      status: 201,
      body: { name: 'scanner', trust: 'untrusted' },
    });
    expect(await door.call('POST /v1/agents', { body: { entryPath: '/agents/scanner', version: '2.0.0' } })).toMatchObject({
      status: 200,
      body: { version: '2.0.0' },
    });
    expect((await door.call('GET /v1/agents')).body).toMatchObject([{ name: 'scanner', version: '2.0.0' }]);
    expect((await door.call('GET /v1/agents/scanner')).body).toMatchObject({ spec: { directory: '/agents/scanner' } });
    expect(await door.call('DELETE /v1/agents/scanner')).toMatchObject({ status: 204, text: '' });
    expect((await door.call('GET /v1/agents/scanner')).status).toBe(404);
  });

  it('over MQTT are not registered, and workflows may name them all the same', async () => {
    for (const route of ['GET', 'DELETE'])
      expect(await door.call(`${route} /v1/agents/mqtt%2Fwriter`)).toMatchObject({ status: 404, body: { error: { code: 'NOT_FOUND' } } });
    const deployed = (more: object) => ({ body: { name: 'ask', nodes: [{ id: 'n', agent: 'mqtt/writer', ...more }] } });
    expect(await door.call('POST /v1/workflows', deployed({}))).toMatchObject({ status: 201 });
    const refused = await door.call('POST /v1/workflows', deployed({ action: 'write', requires: ['gpu'] }));
    expect(refused.body.error.issues.map(({ path }: { path: string }) => path)).toEqual(['/nodes/0/action', '/nodes/0/requires']);
  });

  it('of another project than 1 are called by it', async () => {
    await door.call('POST /api/agents', { body: { ...scanner, projectId: 2 } });
    await door.call('POST /api/agents', { body: scanner });
    expect((await door.call('GET /v1/agents')).body.map(({ name }: { name: string }) => name)).toEqual(['2/scanner', 'scanner']);
    expect((await door.call('GET /v1/agents/2%2Fscanner')).body).toMatchObject({ name: '2/scanner', spec: { name: 'scanner' } });
    const nodes = [{ id: 'scan', agent: '2/scanner' }];
    expect(await door.call('POST /v1/workflows', { body: { name: 'review', nodes } })).toMatchObject({ status: 201 });
    expect((await door.call('DELETE /v1/agents/2%2Fscanner')).body.error.code).toBe('STILL_IN_USE');
    expect(await door.call('DELETE /v1/agents/scanner')).toMatchObject({ status: 204 });
    for (const name of ['1/scanner', '0/scanner', '02/scanner', '99999999999/scanner', 'x/scanner', '2/3/scanner'])
      expect([name, await door.call(`GET /v1/agents/${encodeURIComponent(name)}`)]).toMatchObject([
        name,
        { status: 400, body: { error: { issues: [{ path: '/name' }] } } },
      ]);
  });

  it('show where their breakers stand, those that have one; so do the metrics', async () => {
    const { agents, breakers } = door.services;
    await door.call('POST /v1/agents', { body: { entryPath: '/agents/plain' } });
    await agents.ensure({
      tenantId: defaultTenantId,
      entryPath: '/agents/frail',
      given: { breaker: { failures: 1, windowMs: 1_000, coolDownMs: 500 } },
      by: 'test',
    });
    const breakerOf = async (name: string) => (await door.call(`GET /v1/agents/${name}`)).body.breaker;
    expect([await breakerOf('plain'), await breakerOf('frail')]).toEqual([undefined, { state: 'closed', failureCount: 0 }]);
    expect((await door.call('GET /metrics')).text).toContain('hive_breaker_open{agent="frail"} 0');
    const outcome = { ok: false as const, error: { code: 'AGENT_FAILED', message: 'no' } };
    breakers.observe({ tenantId: defaultTenantId, agent: 'frail', ticketId: 'tkt_1' as TicketId, outcome });
    await breakers.idle();
    const nowMs = door.services.clock.nowMs();
    const open = { state: 'open', sinceAtMs: nowMs, failureCount: 0, nextTrialAtMs: nowMs + 500 };
    expect((await door.call('GET /v1/agents')).body).toMatchObject([{ name: 'plain' }, { name: 'frail', breaker: open }]);
    expect((await door.call('GET /metrics')).text).toContain('hive_breaker_open{agent="frail"} 1');
  });

  it.each([
    ['concurrency', { limit: 0 }, '/concurrency/limit'],
    ['rate', { limit: 1, windowMs: 1 }, '/rate/windowMs'],
    ['breaker', { failures: 0 }, '/breaker/failures'],
  ])('cannot have a %s of %o', (field, value, path) => {
    const { error } = agentManifestSchema.safeParse({ name: 'a', version: '1.0.0', [field]: value });
    expect(error?.issues.map((issue) => `/${issue.path.join('/')}`)).toEqual([path]);
  });

  it('that cannot be read or are in use are refused', async () => {
    expect(await door.call('POST /v1/agents', { body: { entryPath: '/agents/broken' } })).toMatchObject({
      status: 422,
      body: { error: { code: 'AGENT_INVALID' } },
    });
    await deploy(door);
    expect(await door.call('DELETE /v1/agents/scanner')).toMatchObject({ status: 409, body: { error: { code: 'STILL_IN_USE' } } });
  });
});

describe('a workflow', () => {
  it('refuses an action that its agent does not list, with its path; an agent that lists none takes any', async () => {
    const capabilities = [{ name: 'scan' }, { name: 'mend' }];
    await door.call('POST /v1/agents', { body: { entryPath: '/agents/listing', capabilities } });
    await door.call('POST /v1/agents', { body: { entryPath: '/agents/scanner' } });
    const deployed = (...nodes: object[]) => door.call('POST /v1/workflows', { body: { name: 'review', nodes } });
    const node = { id: 'a', agent: 'listing', action: 'scan' };
    expect(await deployed({ ...node, action: 'scam' })).toMatchObject({
      status: 422,
      body: {
        error: {
          code: 'AGENT_UNKNOWN_ACTION',
          issues: [{ path: '/nodes/0/action', message: 'agent "listing" has no action "scam"; it has scan, mend' }],
        },
      },
    });
    expect(await deployed(node, { ...node, id: 'b', compensate: { agent: 'listing', action: 'undo' } })).toMatchObject({
      body: { error: { code: 'AGENT_UNKNOWN_ACTION', issues: [{ path: '/nodes/1/compensate/action' }] } },
    });
    expect(await deployed({ ...node, action: 'x' }, { id: 'b', agent: 'nobody' })).toMatchObject({
      body: { error: { code: 'WORKFLOW_INVALID', issues: [{ path: '/nodes/1/agent' }, { path: '/nodes/0/action' }] } },
    });
    expect(door.tables.workflows.size).toBe(0);
    expect((await deployed(node, { id: 'b', agent: 'listing' }, { id: 'c', agent: 'scanner', action: 'whatever' })).status).toBe(201);
  });
});

describe('versions of an agent', () => {
  const add = (body: object) => door.call('POST /v1/agents/scanner/versions', { body: { entryPath: '/other/scanner', ...body } });
  const rollOut = (weights: object) => door.call('PUT /v1/agents/scanner/rollout', { body: { weights } });

  it('are kept beside the current one, and given to new runs by a rollout', async () => {
    await deploy(door);
    expect((await add({ version: '2.0.0' })).body).toMatchObject({
      currentVersion: '1.0.0',
      versions: [
        { version: '2.0.0', shareRatio: 0, directory: '/other/scanner' },
        { version: '1.0.0', shareRatio: 1 },
      ],
    });
    expect((await door.call('GET /v1/agents/scanner')).body.version).toBe('1.0.0');
    expect((await rollOut({ '1.0.0': 0, '2.0.0': 10 })).body.versions).toMatchObject([{ shareRatio: 1 }, { shareRatio: 0 }]);
    await register(door);
    const before = await start(door);
    await clock.advance(1_000);
    const after = await start(door);
    const { tickets } = await poll(door);
    const versionOf = (runId: string) => tickets.find((ticket) => ticket.runId === runId)?.agent.version;
    expect([versionOf(before), versionOf(after)]).toEqual(['1.0.0', '2.0.0']);
  });

  it('that ask a person first do so in the runs that get them', async () => {
    await deploy(door);
    await add({ version: '2.0.0', riskLevel: 'APPROVAL_REQUIRED' });
    await rollOut({ '2.0.0': 1 });
    await clock.advance(1_000);
    const runId = await start(door);
    expect((await door.call(`GET /v1/approvals?runId=${runId}`)).body).toHaveLength(1);
  });

  it('that nobody knows are refused, each by its place', async () => {
    await deploy(door);
    expect((await rollOut({ '1.0.0': 1, '9.9.9': 1 })).body.error).toMatchObject({
      code: 'INVALID_REQUEST',
      issues: [{ path: '/weights/9.9.9' }],
    });
    expect((await rollOut({ '1.0.0': 0 })).body.error.code).toBe('INVALID_REQUEST');
    expect((await add({ version: '1.0.0' })).body.error.code).toBe('ALREADY_EXISTS');
  });
});
