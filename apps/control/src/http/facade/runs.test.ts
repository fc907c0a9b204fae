import { FakeClock, guardLeaks, seededRandom } from '@hivekeeper/testkit';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Door, openDoor } from '../testing/door.ts';
import { createAgent, createWorkflow, review, trigger } from '../testing/facade-scenes.ts';
import { poll, register, settle, workerId, workOnce } from '../testing/scenes.ts';

guardLeaks();

let door: Door;
let clock: FakeClock;
beforeEach(async () => {
  clock = new FakeClock();
  door = await openDoor({ clock, random: seededRandom(1) });
});
afterEach(() => door[Symbol.asyncDispose]());

describe('runs under /api', () => {
  it('are triggered with contextJson or context, and data flows from node to node', async () => {
    await register(door);
    const id = await createWorkflow(door);
    for (const name of ['contextJson', 'context']) {
      expect(await door.call(`POST /api/workflows/${id}/trigger`, { body: { [name]: { target: '/repo' } } })).toMatchObject({
        status: 202,
        body: { workflowRunId: expect.stringMatching(/^run_/), status: 'PENDING', message: 'Workflow execution started' },
      });
      expect(await workOnce(door)).toMatchObject([{ nodeId: 'scan', input: { target: '/repo' } }]);
      expect(await workOnce(door)).toMatchObject([{ nodeId: 'notify', input: { total: 3 } }]);
    }
    expect(await door.call(`POST /api/workflows/${id}/trigger`, { body: { contextJson: {}, context: {} } })).toMatchObject({
      status: 400,
      body: { issues: [{ path: '/context' }] },
    });
  });

  it('are triggered once per Idempotency-Key, also by many at once', async () => {
    const id = await createWorkflow(door);
    const answers = await Promise.all(
      Array.from({ length: 10 }, () =>
        door.call(`POST /api/workflows/${id}/trigger`, { headers: { 'idempotency-key': 'k' }, body: { context: { a: 1 } } }),
      ),
    );
    expect(new Set(answers.map(({ text }) => text)).size).toBe(1);
    expect(answers.filter(({ headers }) => headers['idempotent-replayed'] === 'true')).toHaveLength(9);
    expect(await door.call(`POST /api/workflows/${id}/trigger`, { headers: { 'idempotency-key': 'k' }, body: {} })).toMatchObject({
      status: 422,
      body: { code: 'IDEMPOTENCY_KEY_REUSED' },
    });
  });

  it('show themselves whole, with running agent runs', async () => {
    await register(door);
    const agentId = await createAgent(door);
    const {
      body: { id: workflowId },
    } = await door.call('POST /api/workflows', { body: review(agentId, { nodes: review(agentId).nodes.reverse() }) });
    const runId = await trigger(door, workflowId);
    const {
      tickets: [ticket],
    } = await poll(door);
    await clock.advance(2_000);
    const running = (await door.call(`GET /api/workflows/runs/${runId}/agent-runs`)).body;
    expect(running).toMatchObject([
      {
        workflowRunId: runId,
        nodeId: 'scan',
        status: 'RUNNING',
        startedAt: '2023-11-14T22:13:20.000Z',
        finishedAt: null,
        inputJson: { target: '/repo' },
        agent: { name: 'scanner' },
      },
    ]);
    if (ticket === undefined) throw new TypeError('no ticket');
    await settle(door, ticket);
    await workOnce(door);
    const { status, body } = await door.call(`GET /api/workflows/${workflowId}/runs/${runId}`);
    expect(status).toBe(200);
    expect(body).toMatchObject({
      id: runId,
      workflowId,
      trigger: 'manual',
      status: 'SUCCESS',
      contextJson: { target: '/repo' },
      startedAt: '2023-11-14T22:13:20.000Z',
      finishedAt: '2023-11-14T22:13:22.000Z',
      error: null,
      workflow: { name: 'review', nodes: [{ agent: { name: 'scanner' } }, {}] },
      approvals: [],
      agentRuns: [
        { nodeId: 'scan', status: 'SUCCESS', durationMs: 2_000, outputJson: { total: 3 }, agent: { name: 'scanner' } },
        { nodeId: 'notify', status: 'SUCCESS' },
      ],
    });
    expect((await door.call(`GET /api/workflows/${workflowId}/runs/${runId}/agent-runs`)).body).toEqual(body.agentRuns);
    expect((await door.call(`GET /api/workflows/${workflowId}/runs`)).body).toMatchObject([{ id: runId, status: 'SUCCESS' }]);
  });

  it('show an agent that waits as running, and one that went on as one agent run', async () => {
    await register(door);
    const workflowId = await createWorkflow(door);
    const rows = async (runId: string) => (await door.call(`GET /api/workflows/runs/${runId}/agent-runs`)).body;
    const suspended = async () => {
      const runId = await trigger(door, workflowId);
      const { tickets } = await poll(door);
      const { ticketId, token } = tickets[0] as (typeof tickets)[number];
      const suspension = { kind: 'signal', step: 's', name: 'go', expiresAfterMs: 60_000 } as const;
      await door.services.runs.suspend({ workerId, ticketId, token, suspension });
      expect(await rows(runId)).toMatchObject([{ id: ticketId, status: 'RUNNING', finishedAt: null, durationMs: null }]);
      return runId;
    };
    const going = await suspended();
    await door.call(`POST /v1/runs/${going}/signals`, { body: { name: 'go' } });
    await workOnce(door);
    expect(await rows(going)).toMatchObject([{ nodeId: 'scan', status: 'SUCCESS', outputJson: { total: 3 } }, { nodeId: 'notify' }]);
    await workOnce(door);
    const cancelled = await suspended();
    await door.call(`POST /v1/runs/${cancelled}/cancel`);
    expect(await rows(cancelled)).toMatchObject([{ nodeId: 'scan', status: 'CANCELLED', finishedAt: expect.any(String) }]);
  });

  it('that failed carry the error, skip what follows, and can be retried', async () => {
    await register(door);
    const workflowId = await createWorkflow(door);
    const runId = await trigger(door, workflowId);
    await workOnce(door, { ok: false, error: { code: 'AGENT_FAILED', message: 'no such target', excerpt: 'Traceback:\n  line 7\n' } });
    const { body } = await door.call(`GET /api/workflows/${workflowId}/runs/${runId}`);
    expect(body).toMatchObject({
      status: 'FAILED',
      error: expect.stringContaining('no such target'),
      errorCode: 'AGENT_FAILED',
      agentRuns: [{ nodeId: 'scan', status: 'FAILED', error: 'AGENT_FAILED: no such target\nTraceback:\n  line 7' }],
    });
    const retried = await door.call(`POST /api/workflows/runs/${runId}/retry`);
    expect(retried).toMatchObject({
      status: 202,
      body: { workflowRunId: expect.stringMatching(/^run_/), originalRunId: runId, status: 'PENDING', message: 'Workflow retry started' },
    });
    expect((await door.call(`GET /api/workflows/${workflowId}/runs/${retried.body.workflowRunId}`)).body).toMatchObject({
      trigger: 'retry',
      contextJson: { target: '/repo' },
    });
    expect(await door.call(`POST /api/workflows/runs/${retried.body.workflowRunId}/retry`)).toMatchObject({
      status: 400,
      body: { error: 'Can only retry failed workflow runs', currentStatus: 'RUNNING', code: 'RUN_NOT_RETRYABLE' },
    });
  });

  it('are refused where they are absent or belong elsewhere', async () => {
    const workflowId = await createWorkflow(door);
    const runId = await trigger(door, workflowId);
    for (const request of [
      `GET /api/workflows/${workflowId}/runs/absent`,
      'GET /api/workflows/runs/absent/agent-runs',
      'POST /api/workflows/runs/absent/retry',
    ])
      expect(await door.call(request)).toMatchObject({ status: 404, body: { error: 'Workflow run not found' } });
    for (const tail of ['', '/agent-runs'])
      expect(await door.call(`GET /api/workflows/wfl_other/runs/${runId}${tail}`)).toMatchObject({
        status: 400,
        body: { error: 'Workflow run does not belong to specified workflow' },
      });
  });

  it('are listed newest first, 50 at most', async () => {
    const workflowId = await createWorkflow(door);
    const ids: string[] = [];
    for (let count = 0; count < 52; count += 1) ids.push(await trigger(door, workflowId));
    expect((await door.call(`GET /api/workflows/${workflowId}/runs`)).body.map(({ id }: { id: string }) => id)).toEqual(
      ids.reverse().slice(0, 50),
    );
  });

  it('stay readable when their workflow and agent are gone', async () => {
    const workflowId = await createWorkflow(door);
    const runId = await trigger(door, workflowId);
    await door.call(`POST /v1/runs/${runId}/cancel`);
    await door.call(`DELETE /api/workflows/${workflowId}`);
    const [{ id: agentId }] = (await door.call('GET /api/agents?projectId=1')).body;
    expect((await door.call(`DELETE /api/agents/${agentId}`)).status).toBe(204);
    expect((await door.call(`GET /api/workflows/${workflowId}/runs/${runId}`)).body).toMatchObject({
      workflow: null,
      status: 'CANCELLED',
      contextJson: { target: '/repo' },
      agentRuns: [{ agentId: 'scanner', agent: null, status: 'CANCELLED' }],
    });
  });
});
