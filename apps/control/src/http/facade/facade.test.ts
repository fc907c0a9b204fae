import { FakeClock, guardLeaks, seededRandom } from '@hivekeeper/testkit';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Door, openDoor } from '../testing/door.ts';
import { poll, register, settle, workOnce } from '../testing/scenes.ts';

guardLeaks();

let door: Door;
let clock: FakeClock;
beforeEach(async () => {
  clock = new FakeClock();
  door = await openDoor({ clock, random: seededRandom(1) });
});
afterEach(() => door[Symbol.asyncDispose]());

const scanner = { projectId: 1, name: 'scanner', type: 'SCRIPT', description: 'finds things', entryPath: '/agents/scanner', version: '1.0.0', riskLevel: 'AUTO', capabilities: [{ name: 'scan', inputSchema: { type: 'object' }, outputSchema: { type: 'object' } }] };
const createAgent = async (changes: object = {}): Promise<string> => (await door.call('POST /api/agents', { body: { ...scanner, ...changes } })).body.id;
const review = (agentId: string, changes: object = {}) => ({
  projectId: 1, name: 'review', trigger: { type: 'manual' },
  nodes: [
    { agentId, action: 'scan', inputsJson: { target: '{{ context.target }}' }, _symbolicId: 'scan' },
    { agentId, action: 'scan', inputsJson: { total: '{{ nodes.scan.output.total }}' }, dependsOn: ['scan'], _symbolicId: 'notify' },
  ],
  ...changes,
});
const createWorkflow = async (changes: object = {}): Promise<string> => (await door.call('POST /api/workflows', { body: review(await createAgent(), changes) })).body.id;
const trigger = async (id: string, body: object = { contextJson: { target: '/repo' } }): Promise<string> => (await door.call(`POST /api/workflows/${id}/trigger`, { body })).body.workflowRunId;

describe('/api/agents', () => {
  it('registers an agent and gives its row, capabilities included', async () => {
    const { status, body } = await door.call('POST /api/agents', { body: scanner });
    expect(status).toBe(201);
    expect(body).toEqual({
      id: expect.stringMatching(/^agt_/), projectId: 1, name: 'scanner', type: 'SCRIPT', description: 'finds things', entryPath: '/agents/scanner', version: '1.0.0', riskLevel: 'AUTO',
      registeredAt: '2023-11-14T22:13:20.000Z', updatedAt: '2023-11-14T22:13:20.000Z',
      capabilities: [{ id: `${body.id}.scan`, agentId: body.id, name: 'scan', description: null, inputSchema: { type: 'object' }, outputSchema: { type: 'object' } }],
    });
    expect((await door.call(`GET /api/agents/${body.id}`)).body).toEqual(body);
  });

  it('refuses what is missing or wrong in the words its clients know, naming the fields', async () => {
    const refused = async (body: object) => (await door.call('POST /api/agents', { body })).body;
    expect(await refused({ name: 'x' })).toMatchObject({ error: 'Missing required fields', required: ['projectId', 'name', 'type', 'entryPath', 'version', 'riskLevel'], code: 'INVALID_REQUEST' });
    expect(await refused({ ...scanner, name: '' })).toMatchObject({ error: 'Missing required fields' });
    expect(await refused({ ...scanner, type: 'ROBOT' })).toMatchObject({ error: 'Invalid type', validTypes: ['LLM', 'RULE', 'API', 'SCRIPT'], issues: [{ path: '/type' }] });
    expect(await refused({ ...scanner, riskLevel: 'HIGH' })).toMatchObject({ error: 'Invalid riskLevel', validRiskLevels: ['AUTO', 'APPROVAL_REQUIRED'] });
    expect(await refused({ ...scanner, projectId: '1' })).toMatchObject({ code: 'INVALID_REQUEST', issues: [{ path: '/projectId' }] });
    expect(door.tables.agents.size).toBe(0);
  });

  it('refuses a second agent of the name, in the same project and in another', async () => {
    await createAgent();
    expect(await door.call('POST /api/agents', { body: scanner })).toMatchObject({ status: 409, body: { error: 'Agent with this name already exists for this project', code: 'ALREADY_EXISTS' } });
    expect(await door.call('POST /api/agents', { body: { ...scanner, projectId: 2 } })).toMatchObject({ status: 409, body: { error: 'Agent with this name already exists in project 1' } });
  });

  it('lists the agents of a project by name', async () => {
    await createAgent({ name: 'writer' });
    await createAgent();
    await createAgent({ name: 'other', projectId: 2 });
    expect((await door.call('GET /api/agents?projectId=1')).body.map(({ name }: { name: string }) => name)).toEqual(['scanner', 'writer']);
    for (const query of ['', '?projectId=x']) expect(await door.call(`GET /api/agents${query}`)).toMatchObject({ status: 400, body: { error: 'Missing or invalid projectId query parameter' } });
  });

  it('changes what can be changed, and refuses the rest by name', async () => {
    const id = await createAgent();
    await clock.advance(1_000);
    expect((await door.call(`PUT /api/agents/${id}`, { body: { description: 'new', version: '1.1.0', riskLevel: 'APPROVAL_REQUIRED', entryPath: '/agents/other' } })).body).toMatchObject({
      name: 'scanner', description: 'new', version: '1.1.0', riskLevel: 'APPROVAL_REQUIRED', entryPath: '/agents/other', type: 'SCRIPT', updatedAt: '2023-11-14T22:13:21.000Z', registeredAt: '2023-11-14T22:13:20.000Z',
    });
    expect(await door.call(`PUT /api/agents/${id}`, { body: { name: 'other', type: 'LLM' } })).toMatchObject({ status: 400, body: { issues: [{ path: '/name' }, { path: '/type' }] } });
    expect(await door.call('PUT /api/agents/absent', { body: {} })).toMatchObject({ status: 404, body: { error: 'Agent not found', code: 'NOT_FOUND' } });
  });

  it('removes an agent, but not one that a workflow uses', async () => {
    const id = await createAgent();
    await door.call('POST /api/workflows', { body: review(id) });
    expect(await door.call(`DELETE /api/agents/${id}`)).toMatchObject({ status: 409, body: { code: 'STILL_IN_USE' } });
    const free = await createAgent({ name: 'free' });
    expect(await door.call(`DELETE /api/agents/${free}`)).toMatchObject({ status: 204, text: '' });
    for (const request of [`GET /api/agents/${free}`, `DELETE /api/agents/${free}`]) expect(await door.call(request)).toMatchObject({ status: 404, body: { error: 'Agent not found' } });
  });
});

describe('/api/workflows', () => {
  it('creates a workflow whose nodes are named by their symbolic ids', async () => {
    const agentId = await createAgent();
    const { status, body } = await door.call('POST /api/workflows', { body: review(agentId, { description: 'looks' }) });
    expect(status).toBe(201);
    expect(body).toMatchObject({
      id: expect.stringMatching(/^wfl_/), projectId: 1, name: 'review', description: 'looks', status: 'ACTIVE', trigger: { type: 'manual' },
      nodes: [{ id: 'scan', agentId, action: 'scan', dependsOn: [], approvalRequired: false, inputsJson: { target: '{{ context.target }}' }, agent: { name: 'scanner' } }, { id: 'notify', dependsOn: ['scan'] }],
    });
    expect((await door.call(`GET /api/workflows/${body.id}`)).body).toEqual(body);
    expect((await door.call('GET /api/workflows?projectId=1')).body).toEqual([body]);
  });

  it('resolves dependencies by position where nodes have no symbolic id', async () => {
    const agentId = await createAgent();
    const nodes = [{ agentId, action: 'scan', inputsJson: {} }, { agentId, action: 'scan', inputsJson: {}, dependsOn: ['node-0'] }];
    expect((await door.call('POST /api/workflows', { body: review(agentId, { nodes }) })).body.nodes).toMatchObject([{ id: 'node-0' }, { id: 'node-1', dependsOn: ['node-0'] }]);
  });

  it('refuses circles, unresolved dependencies, strange agents and twins, names the nodes and stores nothing', async () => {
    const agentId = await createAgent();
    const node = { agentId, action: 'scan', inputsJson: {} };
    const refused = async (...nodes: object[]) => {
      const { status, body } = await door.call('POST /api/workflows', { body: review(agentId, { nodes }) });
      return { status, code: body.code, paths: body.issues.map(({ path }: { path: string }) => path), error: body.error };
    };
    expect(await refused({ ...node, _symbolicId: 'a', dependsOn: ['b'] }, { ...node, _symbolicId: 'b', dependsOn: ['a'] })).toMatchObject({ status: 422, code: 'WORKFLOW_INVALID', paths: [expect.stringMatching(/^\/nodes\/\d\/dependsOn/)] });
    expect(await refused({ ...node, _symbolicId: 'a', dependsOn: ['ghost'] })).toEqual({ status: 422, code: 'WORKFLOW_INVALID', paths: ['/nodes/0/dependsOn/0'], error: 'node "a" depends on "ghost", which is no node of this workflow' });
    expect(await refused(node, { ...node, agentId: 'agt_nobody' })).toEqual({ status: 422, code: 'UNKNOWN_AGENT', paths: ['/nodes/1/agentId'], error: 'node "node-1" names agent agt_nobody, which is not registered' });
    expect(await refused({ ...node, _symbolicId: 'a b' }, { ...node, _symbolicId: 'a_b' })).toMatchObject({ paths: ['/nodes/1/_symbolicId'], error: 'node "a_b" has the same id as node "a b"' });
    expect(door.tables.workflows.size).toBe(0);
  });

  it('refuses what is missing, and a name that is taken', async () => {
    const agentId = await createAgent();
    expect(await door.call('POST /api/workflows', { body: { projectId: 1 } })).toMatchObject({ status: 400, body: { error: 'Missing required fields', required: ['projectId', 'name', 'trigger', 'nodes'] } });
    expect(await door.call('POST /api/workflows', { body: review(agentId, { nodes: [{ agentId, action: 'scan' }] }) })).toMatchObject({ status: 400, body: { issues: [{ path: '/nodes/0/inputsJson' }] } });
    await door.call('POST /api/workflows', { body: review(agentId) });
    expect(await door.call('POST /api/workflows', { body: review(agentId) })).toMatchObject({ status: 409, body: { error: 'Workflow with this name already exists for this project' } });
  });

  it('lists newest first, by project and status', async () => {
    const agentId = await createAgent();
    for (const name of ['first', 'second']) {
      await door.call('POST /api/workflows', { body: review(agentId, { name }) });
      await clock.advance(1_000);
    }
    const names = async (query: string) => (await door.call(`GET /api/workflows?${query}`)).body.map(({ name }: { name: string }) => name);
    expect(await names('projectId=1')).toEqual(['second', 'first']);
    expect(await names('projectId=2')).toEqual([]);
    expect(await names('projectId=1&status=DRAFT')).toEqual([]);
    expect(await door.call('GET /api/workflows?projectId=1&status=GONE')).toMatchObject({ status: 400, body: { issues: [{ path: '/status' }] } });
    expect(await door.call('GET /api/workflows')).toMatchObject({ status: 400, body: { error: 'Missing or invalid projectId query parameter' } });
  });

  it('changes description and status only', async () => {
    const id = await createWorkflow();
    expect((await door.call(`PUT /api/workflows/${id}`, { body: { description: 'new', status: 'DRAFT' } })).body).toMatchObject({ description: 'new', status: 'DRAFT', nodes: [{ id: 'scan' }, { id: 'notify' }] });
    expect(await door.call(`PUT /api/workflows/${id}`, { body: { nodes: [] } })).toMatchObject({ status: 400, body: { issues: [{ path: '/nodes' }] } });
    expect(await door.call(`PUT /api/workflows/${id}`, { body: { status: 'GONE' } })).toMatchObject({ status: 400 });
    expect(await door.call(`POST /api/workflows/${id}/trigger`, { body: {} })).toMatchObject({ status: 400, body: { error: 'Cannot trigger non-active workflow', currentStatus: 'DRAFT', code: 'WORKFLOW_NOT_ACTIVE' } });
  });

  it('takes a workflow out of use', async () => {
    const id = await createWorkflow();
    expect((await door.call(`DELETE /api/workflows/${id}`)).status).toBe(204);
    for (const request of [`GET /api/workflows/${id}`, `DELETE /api/workflows/${id}`, `GET /api/workflows/${id}/runs`, `POST /api/workflows/${id}/trigger`]) {
      expect(await door.call(request)).toMatchObject({ status: 404, body: { error: 'Workflow not found' } });
    }
  });
});

describe('runs under /api', () => {
  it('are triggered with contextJson or context, and data flows from node to node', async () => {
    await register(door);
    const id = await createWorkflow();
    for (const name of ['contextJson', 'context']) {
      expect(await door.call(`POST /api/workflows/${id}/trigger`, { body: { [name]: { target: '/repo' } } })).toMatchObject({ status: 202, body: { workflowRunId: expect.stringMatching(/^run_/), status: 'PENDING', message: 'Workflow execution started' } });
      expect(await workOnce(door)).toMatchObject([{ nodeId: 'scan', input: { target: '/repo' } }]);
      expect(await workOnce(door)).toMatchObject([{ nodeId: 'notify', input: { total: 3 } }]);
    }
    expect(await door.call(`POST /api/workflows/${id}/trigger`, { body: { contextJson: {}, context: {} } })).toMatchObject({ status: 400, body: { issues: [{ path: '/context' }] } });
  });

  it('are triggered once per Idempotency-Key, also by many at once', async () => {
    const id = await createWorkflow();
    const answers = await Promise.all(Array.from({ length: 10 }, () => door.call(`POST /api/workflows/${id}/trigger`, { headers: { 'idempotency-key': 'k' }, body: { context: { a: 1 } } })));
    expect(new Set(answers.map(({ text }) => text)).size).toBe(1);
    expect(answers.filter(({ headers }) => headers['idempotent-replayed'] === 'true')).toHaveLength(9);
    expect(await door.call(`POST /api/workflows/${id}/trigger`, { headers: { 'idempotency-key': 'k' }, body: {} })).toMatchObject({ status: 422, body: { code: 'IDEMPOTENCY_KEY_REUSED' } });
  });

  it('show themselves whole, with running agent runs', async () => {
    await register(door);
    const agentId = await createAgent();
    const { body: { id: workflowId } } = await door.call('POST /api/workflows', { body: review(agentId, { nodes: review(agentId).nodes.reverse() }) });
    const runId = await trigger(workflowId);
    const { tickets: [ticket] } = await poll(door);
    await clock.advance(2_000);
    const running = (await door.call(`GET /api/workflows/runs/${runId}/agent-runs`)).body;
    expect(running).toMatchObject([{ workflowRunId: runId, nodeId: 'scan', status: 'RUNNING', startedAt: '2023-11-14T22:13:20.000Z', finishedAt: null, inputJson: { target: '/repo' }, agent: { name: 'scanner' } }]);
    if (ticket === undefined) throw new TypeError('no ticket');
    await settle(door, ticket);
    await workOnce(door);
    const { status, body } = await door.call(`GET /api/workflows/${workflowId}/runs/${runId}`);
    expect(status).toBe(200);
    expect(body).toMatchObject({
      id: runId, workflowId, trigger: 'manual', status: 'SUCCESS', contextJson: { target: '/repo' }, startedAt: '2023-11-14T22:13:20.000Z', finishedAt: '2023-11-14T22:13:22.000Z', error: null,
      workflow: { name: 'review', nodes: [{ agent: { name: 'scanner' } }, {}] }, approvals: [],
      agentRuns: [{ nodeId: 'scan', status: 'SUCCESS', durationMs: 2_000, outputJson: { total: 3 }, agent: { name: 'scanner' } }, { nodeId: 'notify', status: 'SUCCESS' }],
    });
    expect((await door.call(`GET /api/workflows/${workflowId}/runs/${runId}/agent-runs`)).body).toEqual(body.agentRuns);
    expect((await door.call(`GET /api/workflows/${workflowId}/runs`)).body).toMatchObject([{ id: runId, status: 'SUCCESS' }]);
  });

  it('that failed carry the error, skip what follows, and can be retried', async () => {
    await register(door);
    const workflowId = await createWorkflow();
    const runId = await trigger(workflowId);
    await workOnce(door, { ok: false, error: { code: 'AGENT_FAILED', message: 'no such target' } });
    const { body } = await door.call(`GET /api/workflows/${workflowId}/runs/${runId}`);
    expect(body).toMatchObject({ status: 'FAILED', error: expect.stringContaining('no such target'), errorCode: 'AGENT_FAILED', agentRuns: [{ nodeId: 'scan', status: 'FAILED', error: 'AGENT_FAILED: no such target' }] });
    const retried = await door.call(`POST /api/workflows/runs/${runId}/retry`);
    expect(retried).toMatchObject({ status: 202, body: { workflowRunId: expect.stringMatching(/^run_/), originalRunId: runId, status: 'PENDING', message: 'Workflow retry started' } });
    expect((await door.call(`GET /api/workflows/${workflowId}/runs/${retried.body.workflowRunId}`)).body).toMatchObject({ trigger: 'retry', contextJson: { target: '/repo' } });
    expect(await door.call(`POST /api/workflows/runs/${retried.body.workflowRunId}/retry`)).toMatchObject({ status: 400, body: { error: 'Can only retry failed workflow runs', currentStatus: 'RUNNING', code: 'RUN_NOT_RETRYABLE' } });
  });

  it('are refused where they are absent or belong elsewhere', async () => {
    const workflowId = await createWorkflow();
    const runId = await trigger(workflowId);
    for (const request of [`GET /api/workflows/${workflowId}/runs/absent`, 'GET /api/workflows/runs/absent/agent-runs', 'POST /api/workflows/runs/absent/retry']) expect(await door.call(request)).toMatchObject({ status: 404, body: { error: 'Workflow run not found' } });
    for (const tail of ['', '/agent-runs']) expect(await door.call(`GET /api/workflows/wfl_other/runs/${runId}${tail}`)).toMatchObject({ status: 400, body: { error: 'Workflow run does not belong to specified workflow' } });
  });

  it('are listed newest first, 50 at most', async () => {
    const workflowId = await createWorkflow();
    const ids: string[] = [];
    for (let count = 0; count < 52; count += 1) ids.push(await trigger(workflowId));
    expect((await door.call(`GET /api/workflows/${workflowId}/runs`)).body.map(({ id }: { id: string }) => id)).toEqual(ids.reverse().slice(0, 50));
  });

  it('stay readable when their workflow and agent are gone', async () => {
    const workflowId = await createWorkflow();
    const runId = await trigger(workflowId);
    await door.call(`POST /v1/runs/${runId}/cancel`);
    await door.call(`DELETE /api/workflows/${workflowId}`);
    const [{ id: agentId }] = (await door.call('GET /api/agents?projectId=1')).body;
    expect((await door.call(`DELETE /api/agents/${agentId}`)).status).toBe(204);
    expect((await door.call(`GET /api/workflows/${workflowId}/runs/${runId}`)).body).toMatchObject({ workflow: null, status: 'CANCELLED', contextJson: { target: '/repo' }, agentRuns: [{ agentId: 'scanner', agent: null, status: 'CANCELLED' }] });
  });
});

describe('/api/approvals', () => {
  const gated = async (changes: object = { approvalRequired: true }, agent: object = {}) => {
    const agentId = await createAgent(agent);
    const { body } = await door.call('POST /api/workflows', { body: review(agentId, { nodes: [{ agentId, action: 'scan', inputsJson: { target: '{{ context.target }}' }, _symbolicId: 'scan', ...changes }] }) });
    return trigger(body.id);
  };
  const pending = async () => (await door.call('GET /api/approvals?status=PENDING')).body;

  it('list what waits, with run, workflow, node and agent, and the input as it will be handed over', async () => {
    const runId = await gated();
    expect(await pending()).toMatchObject([
      { id: expect.stringMatching(/^apr_/), workflowRunId: runId, nodeId: 'scan', status: 'PENDING', respondedBy: null, workflowRun: { id: runId, status: 'WAITING_APPROVAL', workflow: { name: 'review' } }, node: { id: 'scan', inputsJson: { target: '/repo' }, agent: { name: 'scanner' } } },
    ]);
    expect((await door.call(`GET /api/approvals?workflowRunId=${runId}`)).body).toHaveLength(1);
    expect((await door.call('GET /api/approvals?workflowRunId=absent')).body).toEqual([]);
    expect(await door.call('GET /api/approvals?status=MAYBE')).toMatchObject({ status: 400, body: { issues: [{ path: '/status' }] } });
  });

  it('gate a node whose agent asks for it, though the workflow does not', async () => {
    await gated({}, { riskLevel: 'APPROVAL_REQUIRED' });
    expect(await pending()).toHaveLength(1);
  });

  it('let the run go on when given, and remember who said so by which key', async () => {
    await register(door);
    await gated();
    const [{ id }] = await pending();
    expect(await door.call(`POST /api/approvals/${id}/decision`, { body: { decision: 'APPROVED', respondedBy: 'alice via phone', notes: 'go' } })).toMatchObject({ status: 200, body: { status: 'APPROVED', respondedBy: 'alice via phone', notes: 'go', respondedAt: '2023-11-14T22:13:20.000Z' } });
    expect((await door.call(`GET /v1/approvals/${id}`)).body.respondedBy).toBe('alice via phone via key:first');
    expect(await workOnce(door)).toHaveLength(1);
    expect(await door.call(`POST /api/approvals/${id}/decision`, { body: { decision: 'REJECTED', respondedBy: 'bob' } })).toMatchObject({ status: 400, body: { error: 'Approval already processed', status: 'APPROVED', code: 'APPROVAL_ALREADY_DECIDED' } });
  });

  it('end the run when refused', async () => {
    const runId = await gated();
    const [{ id }] = await pending();
    await door.call(`POST /api/approvals/${id}/decision`, { body: { decision: 'REJECTED', respondedBy: 'alice' } });
    expect((await door.call(`GET /v1/runs/${runId}`)).body).toMatchObject({ status: 'FAILED', error: { code: 'APPROVAL_REJECTED' } });
  });

  it('refuse a decision that is none, and one nobody stands for', async () => {
    const decide = async (body: object) => door.call('POST /api/approvals/absent/decision', { body });
    expect(await decide({ decision: 'YES', respondedBy: 'alice' })).toMatchObject({ status: 400, body: { error: 'Decision must be APPROVED or REJECTED' } });
    expect(await decide({ decision: 'APPROVED' })).toMatchObject({ status: 400, body: { error: 'respondedBy is required' } });
    expect(await decide({ decision: 'APPROVED', respondedBy: 'alice' })).toMatchObject({ status: 404, body: { error: 'Approval not found' } });
  });
});
