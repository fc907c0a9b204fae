import { FakeClock, guardLeaks, seededRandom } from '@hivekeeper/testkit';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Door, openDoor } from '../testing/door.ts';
import { createAgent, createWorkflow, review } from '../testing/facade-scenes.ts';

guardLeaks();

let door: Door;
let clock: FakeClock;
beforeEach(async () => {
  clock = new FakeClock();
  door = await openDoor({ clock, random: seededRandom(1) });
});
afterEach(() => door[Symbol.asyncDispose]());

describe('/api/workflows', () => {
  it('creates a workflow whose nodes are named by their symbolic ids', async () => {
    const agentId = await createAgent(door);
    const { status, body } = await door.call('POST /api/workflows', { body: review(agentId, { description: 'looks' }) });
    expect(status).toBe(201);
    expect(body).toMatchObject({
      id: expect.stringMatching(/^wfl_/),
      projectId: 1,
      name: 'review',
      description: 'looks',
      status: 'ACTIVE',
      trigger: { type: 'manual' },
      nodes: [
        {
          id: 'scan',
          agentId,
          action: 'scan',
          dependsOn: [],
          approvalRequired: false,
          inputsJson: { target: '{{ context.target }}' },
          agent: { name: 'scanner' },
        },
        { id: 'notify', dependsOn: ['scan'] },
      ],
    });
    expect((await door.call(`GET /api/workflows/${body.id}`)).body).toEqual(body);
    expect((await door.call('GET /api/workflows?projectId=1')).body).toEqual([body]);
  });

  it('resolves dependencies by position where nodes have no symbolic id', async () => {
    const agentId = await createAgent(door);
    const nodes = [
      { agentId, action: 'scan', inputsJson: {} },
      { agentId, action: 'scan', inputsJson: {}, dependsOn: ['node-0'] },
    ];
    expect((await door.call('POST /api/workflows', { body: review(agentId, { nodes }) })).body.nodes).toMatchObject([
      { id: 'node-0' },
      { id: 'node-1', dependsOn: ['node-0'] },
    ]);
  });

  it('refuses circles, unresolved dependencies, strange agents and twins, names the nodes and stores nothing', async () => {
    const agentId = await createAgent(door);
    const node = { agentId, action: 'scan', inputsJson: {} };
    const refused = async (...nodes: object[]) => {
      const { status, body } = await door.call('POST /api/workflows', { body: review(agentId, { nodes }) });
      return { status, code: body.code, paths: body.issues.map(({ path }: { path: string }) => path), error: body.error };
    };
    expect(await refused({ ...node, _symbolicId: 'a', dependsOn: ['b'] }, { ...node, _symbolicId: 'b', dependsOn: ['a'] })).toMatchObject({
      status: 422,
      code: 'WORKFLOW_INVALID',
      paths: [expect.stringMatching(/^\/nodes\/\d\/dependsOn/)],
    });
    expect(await refused({ ...node, _symbolicId: 'a', dependsOn: ['ghost'] })).toEqual({
      status: 422,
      code: 'WORKFLOW_INVALID',
      paths: ['/nodes/0/dependsOn/0'],
      error: 'node "a" depends on "ghost", which is no node of this workflow',
    });
    expect(await refused(node, { ...node, agentId: 'agt_nobody' })).toEqual({
      status: 422,
      code: 'UNKNOWN_AGENT',
      paths: ['/nodes/1/agentId'],
      error: 'node "node-1" names agent agt_nobody, which is not registered',
    });
    expect(await refused({ ...node, _symbolicId: 'a b' }, { ...node, _symbolicId: 'a_b' })).toMatchObject({
      paths: ['/nodes/1/_symbolicId'],
      error: 'node "a_b" has the same id as node "a b"',
    });
    expect(door.tables.workflows.size).toBe(0);
  });

  it('refuses what is missing, and a name that is taken', async () => {
    const agentId = await createAgent(door);
    expect(await door.call('POST /api/workflows', { body: { projectId: 1 } })).toMatchObject({
      status: 400,
      body: { error: 'Missing required fields', required: ['projectId', 'name', 'trigger', 'nodes'] },
    });
    expect(await door.call('POST /api/workflows', { body: review(agentId, { nodes: [{ agentId, action: 'scan' }] }) })).toMatchObject({
      status: 400,
      body: { issues: [{ path: '/nodes/0/inputsJson' }] },
    });
    await door.call('POST /api/workflows', { body: review(agentId) });
    expect(await door.call('POST /api/workflows', { body: review(agentId) })).toMatchObject({
      status: 409,
      body: { error: 'Workflow with this name already exists for this project' },
    });
  });

  it('keeps a trigger of another system as it is, and checks the schedules of ours', async () => {
    const agentId = await createAgent(door);
    const create = (name: string, trigger: unknown) => door.call('POST /api/workflows', { body: review(agentId, { name, trigger }) });
    for (const [name, trigger] of [
      ['text', 'webhook'],
      ['cron', { type: 'cron', schedule: '0 7 * * *' }],
      ['ours', { schedule: { cron: '@daily' } }],
    ] as const)
      expect((await create(name, trigger)).body).toMatchObject({ name, trigger });
    expect(await create('wrong', { schedule: { cron: 'whenever' } })).toMatchObject({
      status: 400,
      body: { issues: [{ path: '/trigger/schedule/cron' }] },
    });
    expect((await create('never', { schedule: [{ cron: '0 0 30 2 *' }] })).body).toMatchObject({ code: 'WORKFLOW_INVALID' });
  });

  it('lists newest first, by project and status', async () => {
    const agentId = await createAgent(door);
    for (const name of ['first', 'second']) {
      await door.call('POST /api/workflows', { body: review(agentId, { name }) });
      await clock.advance(1_000);
    }
    const names = async (query: string) => (await door.call(`GET /api/workflows?${query}`)).body.map(({ name }: { name: string }) => name);
    expect(await names('projectId=1')).toEqual(['second', 'first']);
    expect(await names('projectId=2')).toEqual([]);
    expect(await names('projectId=1&status=DRAFT')).toEqual([]);
    expect(await door.call('GET /api/workflows?projectId=1&status=GONE')).toMatchObject({
      status: 400,
      body: { issues: [{ path: '/status' }] },
    });
    expect(await door.call('GET /api/workflows')).toMatchObject({
      status: 400,
      body: { error: 'Missing or invalid projectId query parameter' },
    });
  });

  it('changes description and status only', async () => {
    const id = await createWorkflow(door);
    expect((await door.call(`PUT /api/workflows/${id}`, { body: { description: 'new', status: 'DRAFT' } })).body).toMatchObject({
      description: 'new',
      status: 'DRAFT',
      nodes: [{ id: 'scan' }, { id: 'notify' }],
    });
    expect(await door.call(`PUT /api/workflows/${id}`, { body: { nodes: [] } })).toMatchObject({
      status: 400,
      body: { issues: [{ path: '/nodes' }] },
    });
    expect(await door.call(`PUT /api/workflows/${id}`, { body: { status: 'GONE' } })).toMatchObject({ status: 400 });
    expect(await door.call(`POST /api/workflows/${id}/trigger`, { body: {} })).toMatchObject({
      status: 400,
      body: { error: 'Cannot trigger non-active workflow', currentStatus: 'DRAFT', code: 'WORKFLOW_NOT_ACTIVE' },
    });
  });

  it('takes a workflow out of use', async () => {
    const id = await createWorkflow(door);
    expect((await door.call(`DELETE /api/workflows/${id}`)).status).toBe(204);
    for (const request of [
      `GET /api/workflows/${id}`,
      `DELETE /api/workflows/${id}`,
      `GET /api/workflows/${id}/runs`,
      `POST /api/workflows/${id}/trigger`,
    ]) {
      expect(await door.call(request)).toMatchObject({ status: 404, body: { error: 'Workflow not found' } });
    }
  });
});
