import { FakeClock, guardLeaks, seededRandom } from '@hivekeeper/testkit';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Door, openDoor } from '../testing/door.ts';
import { createAgent, review, scanner, trigger } from '../testing/facade-scenes.ts';
import { poll, register } from '../testing/scenes.ts';

guardLeaks();

let door: Door;
let clock: FakeClock;
beforeEach(async () => {
  clock = new FakeClock();
  door = await openDoor({ clock, random: seededRandom(1) });
});
afterEach(() => door[Symbol.asyncDispose]());

describe('/api/agents', () => {
  it('registers an agent and gives its row, capabilities included', async () => {
    const { status, body } = await door.call('POST /api/agents', { body: scanner });
    expect(status).toBe(201);
    expect(body).toEqual({
      id: expect.stringMatching(/^agt_/),
      projectId: 1,
      name: 'scanner',
      type: 'SCRIPT',
      description: 'finds things',
      entryPath: '/agents/scanner',
      version: '1.0.0',
      riskLevel: 'AUTO',
      registeredAt: '2023-11-14T22:13:20.000Z',
      updatedAt: '2023-11-14T22:13:20.000Z',
      capabilities: [
        {
          id: `${body.id}.scan`,
          agentId: body.id,
          name: 'scan',
          description: null,
          riskLevel: 'AUTO',
          inputSchema: { type: 'object' },
          outputSchema: { type: 'object' },
        },
      ],
    });
    expect((await door.call(`GET /api/agents/${body.id}`)).body).toEqual(body);
  });

  it('gives workers an agent that fails by `success: false`, also when its files have moved', async () => {
    const id = await createAgent(door);
    await door.call(`PUT /api/agents/${id}`, { body: { entryPath: '/agents/other' } });
    const { body } = await door.call('POST /api/workflows', { body: review(id) });
    await trigger(door, body.id);
    await register(door);
    expect((await poll(door)).tickets[0]?.agent).toMatchObject({ directory: '/agents/other', successFalseFails: true });
  });

  it('refuses what is missing or wrong in the words its clients know, naming the fields', async () => {
    const refused = async (body: object) => (await door.call('POST /api/agents', { body })).body;
    expect(await refused({ name: 'x' })).toMatchObject({
      error: 'Missing required fields',
      required: ['projectId', 'name', 'type', 'entryPath', 'version', 'riskLevel'],
      code: 'INVALID_REQUEST',
    });
    expect(await refused({ ...scanner, name: '' })).toMatchObject({ error: 'Missing required fields' });
    expect(await refused({ ...scanner, type: 'ROBOT' })).toMatchObject({
      error: 'Invalid type',
      validTypes: ['LLM', 'RULE', 'API', 'SCRIPT'],
      issues: [{ path: '/type' }],
    });
    expect(await refused({ ...scanner, riskLevel: 'HIGH' })).toMatchObject({
      error: 'Invalid riskLevel',
      validRiskLevels: ['AUTO', 'APPROVAL_REQUIRED'],
    });
    expect(await refused({ ...scanner, projectId: '1' })).toMatchObject({ code: 'INVALID_REQUEST', issues: [{ path: '/projectId' }] });
    expect(door.tables.agents.size).toBe(0);
  });

  it('refuses a second agent of the name in the same project, before it looks at its files', async () => {
    await createAgent(door);
    expect(await door.call('POST /api/agents', { body: { ...scanner, entryPath: '/agents/broken' } })).toMatchObject({
      status: 409,
      body: { error: 'Agent with this name already exists for this project', code: 'ALREADY_EXISTS' },
    });
  });

  it('keeps agents of the same name in two projects apart, in rows, nodes and tickets', async () => {
    const [first, second] = [
      await createAgent(door),
      await createAgent(door, { projectId: 2, version: '2.0.0', entryPath: '/agents/other' }),
    ];
    expect((await door.call('GET /api/agents?projectId=2')).body).toMatchObject([{ id: second, projectId: 2, name: 'scanner' }]);
    for (const [projectId, agentId] of [
      [1, first],
      [2, second],
    ] as const) {
      const { body } = await door.call('POST /api/workflows', { body: review(agentId, { projectId }) });
      expect(body.nodes).toMatchObject([{ agentId, agent: { id: agentId, projectId, name: 'scanner' } }, { agentId }]);
      await trigger(door, body.id);
    }
    await register(door);
    expect((await poll(door)).tickets.map(({ agent }) => [agent.name, agent.version, agent.directory])).toEqual([
      ['scanner', '1.0.0', '/agents/scanner'],
      ['scanner', '2.0.0', '/agents/other'],
    ]);
    await door.call(`PUT /api/agents/${second}`, { body: { version: '2.1.0' } });
    expect((await door.call(`GET /api/agents/${second}`)).body).toMatchObject({ name: 'scanner', version: '2.1.0', projectId: 2 });
    expect(await door.call(`DELETE /api/agents/${second}`)).toMatchObject({ status: 409, body: { code: 'STILL_IN_USE' } });
  });

  it('lists the agents of a project by name', async () => {
    await createAgent(door, { name: 'writer' });
    await createAgent(door);
    await createAgent(door, { name: 'other', projectId: 2 });
    expect((await door.call('GET /api/agents?projectId=1')).body.map(({ name }: { name: string }) => name)).toEqual(['scanner', 'writer']);
    for (const query of ['', '?projectId=x'])
      expect(await door.call(`GET /api/agents${query}`)).toMatchObject({
        status: 400,
        body: { error: 'Missing or invalid projectId query parameter' },
      });
  });

  it('changes what can be changed, and refuses the rest by name', async () => {
    const id = await createAgent(door);
    await clock.advance(1_000);
    expect(
      (
        await door.call(`PUT /api/agents/${id}`, {
          body: { description: 'new', version: '1.1.0', riskLevel: 'APPROVAL_REQUIRED', entryPath: '/agents/other' },
        })
      ).body,
    ).toMatchObject({
      name: 'scanner',
      description: 'new',
      version: '1.1.0',
      riskLevel: 'APPROVAL_REQUIRED',
      entryPath: '/agents/other',
      type: 'SCRIPT',
      updatedAt: '2023-11-14T22:13:21.000Z',
      registeredAt: '2023-11-14T22:13:20.000Z',
    });
    expect(await door.call(`PUT /api/agents/${id}`, { body: { name: 'other', type: 'LLM' } })).toMatchObject({
      status: 400,
      body: { issues: [{ path: '/name' }, { path: '/type' }] },
    });
    expect(await door.call('PUT /api/agents/absent', { body: {} })).toMatchObject({
      status: 404,
      body: { error: 'Agent not found', code: 'NOT_FOUND' },
    });
  });

  it('removes an agent, but not one that a workflow uses', async () => {
    const id = await createAgent(door);
    await door.call('POST /api/workflows', { body: review(id) });
    expect(await door.call(`DELETE /api/agents/${id}`)).toMatchObject({ status: 409, body: { code: 'STILL_IN_USE' } });
    const free = await createAgent(door, { name: 'free' });
    expect(await door.call(`DELETE /api/agents/${free}`)).toMatchObject({ status: 204, text: '' });
    for (const request of [`GET /api/agents/${free}`, `DELETE /api/agents/${free}`])
      expect(await door.call(request)).toMatchObject({ status: 404, body: { error: 'Agent not found' } });
  });
});
