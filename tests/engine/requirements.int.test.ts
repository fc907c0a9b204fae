import { agentNameIn, defaultTenantId } from '@hivekeeper/contract';
import { newLog } from '@hivekeeper/kernel';
import { describe, expect, test } from 'vitest';
import { openDatabase } from '../../apps/control/src/adapters/postgres/index.ts';
import type { Engine } from '../../apps/control/src/engine.ts';
import { builtin, deploy, ended, engineOn, ownDatabase, seatLabelledWorker, seatWorker, start, succeed } from './fixture.ts';

const { database, sql } = await ownDatabase();

const register = ({ services }: Engine, projectId: number, version: string) =>
  services.agents.ensureSpec({ tenantId: defaultTenantId, projectId, spec: builtin('twin', { version }), by: 'test' });
const requirementsOf = async (runId: string) =>
  (await sql<{ requirement: string }[]>`SELECT requirement FROM tickets WHERE run_id = ${runId} ORDER BY id`).map((row) => row.requirement);

describe('a node with labels', () => {
  test('is done by a worker that has them all, and by nobody else', async () => {
    await using engine = await engineOn(database.url);
    await deploy(engine, { name: 'picky', nodes: [{ id: 'a', agent: 'noop', requires: ['gpu', 'eu', 'gpu'] }] });
    const others = [seatWorker(engine, succeed), seatLabelledWorker(engine, succeed, ['gpu']), seatLabelledWorker(engine, succeed, ['eu'])];
    const runId = await start(engine, 'picky');
    expect(await requirementsOf(runId)).toEqual(['builtin eu gpu']);
    const able = seatLabelledWorker(engine, succeed, ['gpu', 'eu', 'big']);
    expect(await ended(engine, runId)).toBe('SUCCESS');
    expect([...others, able].map(({ tickets }) => tickets.length)).toEqual([0, 0, 0, 1]);
  });

  test('waits in the database without hiding what workers can do that have its labels only together', async () => {
    await using engine = await engineOn(database.url);
    await deploy(engine, { name: 'picky-first', nodes: [{ id: 'a', agent: 'noop', requires: ['gpu', 'eu'] }] });
    await deploy(engine, { name: 'plain-second', nodes: [{ id: 'a', agent: 'noop', requires: ['gpu'] }] });
    const [picky, plain] = [await start(engine, 'picky-first'), await start(engine, 'plain-second')];
    await using opened = await openDatabase({ url: database.url, maxConnections: 2, log: newLog({ level: 'silent', component: 'test' }) });
    const mostUrgent = async (...workers: string[]) => (await opened.ticketStore.ready(1, workers, [])).map(({ runId }) => runId);
    expect(await mostUrgent('builtin gpu', 'builtin eu')).toEqual([plain]);
    expect(await mostUrgent('builtin eu gpu')).toEqual([picky]);
    expect(await mostUrgent('builtin eu', 'eu gpu')).toEqual([]);
    seatLabelledWorker(engine, succeed, ['eu', 'gpu']);
    expect([await ended(engine, picky), await ended(engine, plain)]).toEqual(['SUCCESS', 'SUCCESS']);
  });
});

describe('agents of the same name in two projects', () => {
  test('do the nodes that name them, each as its own program', async () => {
    await using engine = await engineOn(database.url);
    await register(engine, 1, '1.0.0');
    await register(engine, 2, '2.0.0');
    const nodes = [1, 2].map((projectId) => ({ id: `in-${projectId}`, agent: agentNameIn(projectId, 'twin') }));
    await deploy(engine, { name: 'twins', nodes });
    const worker = seatWorker(engine, succeed);
    expect(await ended(engine, await start(engine, 'twins'))).toBe('SUCCESS');
    expect(worker.tickets.map(({ nodeId, agent }) => [nodeId, agent.version]).sort()).toEqual([
      ['in-1', '1.0.0'],
      ['in-2', '2.0.0'],
    ]);
    const stored = await engine.services.agents.list(defaultTenantId);
    expect(stored.flatMap(({ name, spec }) => (spec.name === 'twin' ? [name] : []))).toEqual(['twin', '2/twin']);
    await expect(engine.services.agents.remove(defaultTenantId, { name: '2/twin' }, 'test')).rejects.toMatchObject({
      code: 'STILL_IN_USE',
    });
  });

  test('are waited for one by one, and what the node requires besides is kept', async () => {
    await using engine = await engineOn(database.url);
    const { agents } = engine.services;
    for (const projectId of [3, 4]) await register(engine, projectId, '1.0.0');
    await deploy(engine, { name: 'waits', nodes: [{ id: 'a', agent: '3/twin', requires: ['zoo', 'alpha'] }] });
    await deploy(engine, { name: 'other', nodes: [{ id: 'a', agent: '4/twin' }] });
    const workflows = await Promise.all(['waits', 'other'].map((name) => engine.services.workflows.get(defaultTenantId, { name })));
    for (const { definition } of workflows) await deploy(engine, { ...definition, nodes: [{ id: 'a', agent: 'noop' }] });
    for (const projectId of [3, 4]) await agents.remove(defaultTenantId, { name: `${projectId}/twin` }, 'test');
    const runs = workflows.map(({ id, definition }) =>
      engine.services.runs.start({
        tenantId: defaultTenantId,
        workflowId: id,
        workflowVersion: 1,
        definition,
        context: {},
        trigger: 'api',
        by: 'test',
      }),
    );
    const [waits = '', other = ''] = await Promise.all(runs);
    expect([await requirementsOf(waits), await requirementsOf(other)]).toEqual([['agent:3/twin alpha zoo'], ['agent:4/twin']]);
    await register(engine, 3, '1.0.0');
    expect([await requirementsOf(waits), await requirementsOf(other)]).toEqual([['alpha builtin zoo'], ['agent:4/twin']]);
  });
});
