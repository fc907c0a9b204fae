import { FakeClock, guardLeaks, seededRandom } from '@hivekeeper/testkit';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Door, openDoor } from '../testing/door.ts';
import { createAgent, review, trigger } from '../testing/facade-scenes.ts';
import { register, workOnce } from '../testing/scenes.ts';

guardLeaks();

let door: Door;
beforeEach(async () => {
  door = await openDoor({ clock: new FakeClock(), random: seededRandom(1) });
});
afterEach(() => door[Symbol.asyncDispose]());

describe('/api/approvals', () => {
  const gated = async (changes: object = { approvalRequired: true }, agent: object = {}) => {
    const agentId = await createAgent(door, agent);
    const { body } = await door.call('POST /api/workflows', {
      body: review(agentId, {
        nodes: [{ agentId, action: 'scan', inputsJson: { target: '{{ context.target }}' }, _symbolicId: 'scan', ...changes }],
      }),
    });
    return trigger(door, body.id);
  };
  const pending = async () => (await door.call('GET /api/approvals?status=PENDING')).body;

  it('list what waits, with run, workflow, node and agent, and the input as it will be handed over', async () => {
    const runId = await gated();
    expect(await pending()).toMatchObject([
      {
        id: expect.stringMatching(/^apr_/),
        workflowRunId: runId,
        nodeId: 'scan',
        status: 'PENDING',
        respondedBy: null,
        workflowRun: { id: runId, status: 'WAITING_APPROVAL', workflow: { name: 'review' } },
        node: { id: 'scan', inputsJson: { target: '/repo' }, agent: { name: 'scanner' } },
      },
    ]);
    expect((await door.call(`GET /api/approvals?workflowRunId=${runId}`)).body).toHaveLength(1);
    expect((await door.call('GET /api/approvals?workflowRunId=absent')).body).toEqual([]);
    expect(await door.call('GET /api/approvals?status=MAYBE')).toMatchObject({ status: 400, body: { issues: [{ path: '/status' }] } });
  });

  it('gate a node whose agent asks for it, though the workflow does not', async () => {
    await gated({}, { riskLevel: 'APPROVAL_REQUIRED' });
    expect(await pending()).toHaveLength(1);
  });

  it('gate a node by what the capability says that it names, else by what the agent says', async () => {
    const capabilities = [{ name: 'scan', riskLevel: 'AUTO' }, { name: 'mend' }];
    const agentId = await createAgent(door, { riskLevel: 'APPROVAL_REQUIRED', capabilities });
    expect((await door.call(`GET /api/agents/${agentId}`)).body.capabilities).toMatchObject([
      { name: 'scan', riskLevel: 'AUTO' },
      { name: 'mend', riskLevel: 'APPROVAL_REQUIRED' },
    ]);
    const nodes = ['scan', 'mend'].map((action) => ({ agentId, action, inputsJson: {}, _symbolicId: action }));
    const { body } = await door.call('POST /api/workflows', { body: review(agentId, { nodes }) });
    await trigger(door, body.id);
    expect((await pending()).map(({ nodeId }: { nodeId: string }) => nodeId).sort()).toEqual(['mend']);
  });

  it('let the run go on when given, and remember who said so by which key', async () => {
    await register(door);
    await gated();
    const [{ id }] = await pending();
    expect(
      await door.call(`POST /api/approvals/${id}/decision`, {
        body: { decision: 'APPROVED', respondedBy: 'alice via phone', notes: 'go' },
      }),
    ).toMatchObject({
      status: 200,
      body: { status: 'APPROVED', respondedBy: 'alice via phone', notes: 'go', respondedAt: '2023-11-14T22:13:20.000Z' },
    });
    expect((await door.call(`GET /v1/approvals/${id}`)).body.respondedBy).toBe('alice via phone via key:first');
    expect(await workOnce(door)).toHaveLength(1);
    expect(await door.call(`POST /api/approvals/${id}/decision`, { body: { decision: 'REJECTED', respondedBy: 'bob' } })).toMatchObject({
      status: 400,
      body: { error: 'Approval already processed', status: 'APPROVED', code: 'APPROVAL_ALREADY_DECIDED' },
    });
  });

  it('end the run when refused', async () => {
    const runId = await gated();
    const [{ id }] = await pending();
    await door.call(`POST /api/approvals/${id}/decision`, { body: { decision: 'REJECTED', respondedBy: 'alice' } });
    expect((await door.call(`GET /v1/runs/${runId}`)).body).toMatchObject({ status: 'FAILED', error: { code: 'APPROVAL_REJECTED' } });
  });

  it('refuse a decision that is none, and one nobody stands for', async () => {
    const decide = async (body: object) => door.call('POST /api/approvals/absent/decision', { body });
    expect(await decide({ decision: 'YES', respondedBy: 'alice' })).toMatchObject({
      status: 400,
      body: { error: 'Decision must be APPROVED or REJECTED' },
    });
    expect(await decide({ decision: 'APPROVED' })).toMatchObject({ status: 400, body: { error: 'respondedBy is required' } });
    expect(await decide({ decision: 'APPROVED', respondedBy: 'alice' })).toMatchObject({
      status: 404,
      body: { error: 'Approval not found' },
    });
  });
});
