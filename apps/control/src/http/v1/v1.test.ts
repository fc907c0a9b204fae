import { FakeClock, guardLeaks, seededRandom } from '@hivekeeper/testkit';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Door, openDoor } from '../testing/door.ts';
import { deploy, poll, register, settle, start, workerId, workflow, workOnce } from '../testing/scenes.ts';

guardLeaks();

let door: Door;
let clock: FakeClock;
beforeEach(async () => {
  clock = new FakeClock();
  door = await openDoor({ clock, random: seededRandom(1) });
});
afterEach(() => door[Symbol.asyncDispose]());

describe('workflows', () => {
  it('are stored as versions: 201 for a new one, 200 for the one there is', async () => {
    expect(await deploy(door)).toMatchObject({ status: 201, body: { name: 'review', version: 1, status: 'ACTIVE' } });
    expect(await deploy(door)).toMatchObject({ status: 200, body: { version: 1 } });
    expect(await deploy(door, workflow({ description: 'changed' }))).toMatchObject({ status: 201, body: { version: 2 } });
    expect((await door.call('GET /v1/workflows')).body).toMatchObject([{ name: 'review', version: 2 }]);
    expect((await door.call('GET /v1/workflows/review?version=1')).body).toMatchObject({ version: 1, definition: { name: 'review' } });
    const { body } = await door.call('GET /v1/workflows/review');
    expect(await door.call(`GET /v1/workflows/${body.id}`)).toMatchObject({
      status: 200,
      body: { version: 2, definition: { description: 'changed' } },
    });
    expect((await door.call('GET /v1/workflows/review?version=7')).body.error.code).toBe('NOT_FOUND');
  });

  it('are checked without being stored', async () => {
    const { status, body } = await door.call('POST /v1/workflows/validate', {
      body: {
        name: 'review',
        nodes: [
          { id: 'a', agent: 'nobody', needs: ['b'] },
          { id: 'b', agent: 'nobody', needs: ['a'] },
        ],
      },
    });
    expect(status).toBe(200);
    expect(body.issues.length).toBeGreaterThan(0);
    expect(door.tables.workflows.size).toBe(0);
    await deploy(door);
    expect((await door.call('POST /v1/workflows/validate', { body: workflow() })).body).toEqual({ issues: [] });
  });

  it('that cannot run are refused with the nodes, and nothing is stored', async () => {
    await door.call('POST /v1/agents', { body: { entryPath: '/agents/scanner' } });
    const circle = await door.call('POST /v1/workflows', {
      body: {
        name: 'review',
        nodes: [
          { id: 'a', agent: 'scanner', needs: ['b'] },
          { id: 'b', agent: 'scanner', needs: ['a'] },
        ],
      },
    });
    expect(circle).toMatchObject({
      status: 422,
      body: { error: { code: 'WORKFLOW_INVALID', issues: [{ path: expect.stringContaining('/nodes/') }] } },
    });
    const stranger = await door.call('POST /v1/workflows', { body: { name: 'review', nodes: [{ id: 'a', agent: 'nobody' }] } });
    expect(stranger).toMatchObject({ status: 422, body: { error: { code: 'UNKNOWN_AGENT', issues: [{ path: '/nodes/0/agent' }] } } });
    expect(door.tables.workflows.size).toBe(0);
  });
});

describe('a trigger', () => {
  beforeEach(() => deploy(door));

  it('starts a run of the latest version, also without a body', async () => {
    const { status, body } = await door.call('POST /v1/workflows/review/runs');
    expect({ status, body }).toEqual({ status: 202, body: { id: expect.stringMatching(/^run_/), status: 'PENDING', workflowVersion: 1 } });
  });

  it('with a key starts one run, and answers again byte for byte, whatever happened since', async () => {
    const headers = { 'idempotency-key': 'k'.repeat(255) };
    const first = await door.call('POST /v1/workflows/review/runs', { headers, body: { context: { a: 1, b: 2 } } });
    await deploy(door, workflow({ description: 'changed' }));
    await door.call(`POST /v1/runs/${first.body.id}/cancel`);
    const again = await door.call('POST /v1/workflows/review/runs', { headers, body: { context: { b: 2, a: 1 } } });
    expect(first.headers['idempotent-replayed']).toBeUndefined();
    expect(again).toMatchObject({ status: 202, text: first.text, headers: { 'idempotent-replayed': 'true' } });
    expect(door.tables.runs.size).toBe(1);
  });

  it('with a key that many send at once starts one run', async () => {
    const answers = await Promise.all(
      Array.from({ length: 20 }, () =>
        door.call('POST /v1/workflows/review/runs', { headers: { 'idempotency-key': 'k' }, body: { context: {} } }),
      ),
    );
    expect(new Set(answers.map(({ text }) => text)).size).toBe(1);
    expect(door.tables.runs.size).toBe(1);
  });

  it('with a used key and another body is refused', async () => {
    const headers = { 'idempotency-key': 'k' };
    await door.call('POST /v1/workflows/review/runs', { headers, body: { context: { a: 1 } } });
    expect(await door.call('POST /v1/workflows/review/runs', { headers, body: { context: { a: 2 } } })).toMatchObject({
      status: 422,
      body: { error: { code: 'IDEMPOTENCY_KEY_REUSED' } },
    });
  });

  it.each(['', 'k'.repeat(256)])('with a key of a wrong length is refused', async (key) => {
    expect(await door.call('POST /v1/workflows/review/runs', { headers: { 'idempotency-key': key }, body: {} })).toMatchObject({
      status: 400,
      body: { error: { issues: [{ path: '/idempotency-key' }] } },
    });
  });

  it('is turned away while the process drains, as are retries, polls and new workers', async () => {
    await register(door);
    const id = await start(door);
    door.world.isDraining = true;
    const turnedAway = await Promise.all([
      door.call('POST /v1/workflows/review/runs', { body: {} }),
      door.call(`POST /v1/runs/${id}/retry`),
      door.call('POST /v1/worker/poll', { body: { workerId: 'wrk_01JD0000000000000000000000', credits: 1, held: [], waitMs: 0 } }),
      register(door),
    ]);
    expect(turnedAway.map(({ status, headers, body }) => ({ status, retryAfter: headers['retry-after'], code: body.error.code }))).toEqual(
      turnedAway.map(() => ({ status: 503, retryAfter: '1', code: 'SHUTTING_DOWN' })),
    );
    expect((await door.call('GET /v1/runs')).status).toBe(200);
  });
});

describe('a run', () => {
  beforeEach(() => deploy(door));

  it('is worked on through the worker’s calls, and shows what it came to', async () => {
    await register(door);
    const id = await start(door);
    const tickets = await workOnce(door);
    expect(tickets).toMatchObject([
      {
        runId: id,
        nodeId: 'scan',
        input: { target: '/repo' },
        agent: { name: 'scanner' },
        token: expect.stringMatching(/^1\.\d+$/),
        leaseMs: 30_000,
      },
    ]);
    expect((await door.call(`GET /v1/runs/${id}`)).body).toMatchObject({
      status: 'SUCCESS',
      workflowName: 'review',
      context: { target: '/repo' },
      nodes: [
        {
          id: 'scan',
          status: 'SUCCESS',
          output: { total: 3 },
          attempts: [{ status: 'SUCCESS', workerId: 'wrk_01JD0000000000000000000000' }],
        },
      ],
    });
  });

  it('shows who works on it while it is worked on', async () => {
    await register(door);
    const id = await start(door);
    await poll(door);
    expect((await door.call(`GET /v1/runs/${id}`)).body.nodes).toMatchObject([
      { attempts: [{ status: 'RUNNING', workerId: 'wrk_01JD0000000000000000000000' }] },
    ]);
  });

  it('is listed newest first, by page, workflow and status', async () => {
    const ids = [await start(door), await start(door), await start(door)];
    await door.call(`POST /v1/runs/${ids[1]}/cancel`, { body: { reason: 'enough' } });
    const listed = async (query: string) => (await door.call(`GET /v1/runs${query}`)).body.map(({ id }: { id: string }) => ids.indexOf(id));
    expect(await listed('')).toEqual([2, 1, 0]);
    expect(await listed('?limit=2')).toEqual([2, 1]);
    expect(await listed(`?limit=2&before=${ids[1]}`)).toEqual([0]);
    expect(await listed('?status=CANCELLED')).toEqual([1]);
    expect(await listed('?workflow=other')).toEqual([]);
  });

  it('is cancelled once, and says so again', async () => {
    const id = await start(door);
    expect(await door.call(`POST /v1/runs/${id}/cancel`)).toMatchObject({ status: 200, body: { id, status: 'CANCELLED' } });
    expect(await door.call(`POST /v1/runs/${id}/cancel`)).toMatchObject({ status: 200, body: { status: 'CANCELLED' } });
  });

  it('that ended well cannot be cancelled or retried', async () => {
    await register(door);
    const id = await start(door);
    await workOnce(door);
    expect(await door.call(`POST /v1/runs/${id}/cancel`)).toMatchObject({ status: 409, body: { error: { code: 'RUN_FINISHED' } } });
    expect(await door.call(`POST /v1/runs/${id}/retry`)).toMatchObject({ status: 409, body: { error: { code: 'RUN_NOT_RETRYABLE' } } });
  });

  it('that failed says why, and is retried with the same context', async () => {
    await register(door);
    const id = await start(door);
    await workOnce(door, { ok: false, error: { code: 'AGENT_FAILED', message: 'no such target' } });
    expect((await door.call(`GET /v1/runs/${id}`)).body).toMatchObject({
      status: 'FAILED',
      error: { code: 'AGENT_FAILED', nodeId: 'scan' },
    });
    const { status, body } = await door.call(`POST /v1/runs/${id}/retry`, { body: {} });
    expect({ status, body }).toEqual({
      status: 202,
      body: { id: expect.stringMatching(/^run_/), status: 'PENDING', workflowVersion: 1, originRunId: id },
    });
    expect((await door.call(`GET /v1/runs/${body.id}`)).body).toMatchObject({
      trigger: 'retry',
      originRunId: id,
      context: { target: '/repo' },
    });
  });

  it('says which label it lacks', async () => {
    await deploy(door, workflow({ nodes: [{ id: 'scan', agent: 'scanner', requires: ['gpu'] }] }));
    const id = await start(door);
    await register(door);
    expect(await poll(door, { waitMs: 0 })).toMatchObject({ tickets: [] });
    expect((await door.call(`GET /v1/why/${id}`)).body).toMatchObject({
      explanation: expect.stringContaining('no connected worker has the label gpu'),
      nextCommand: 'hive worker --url <url> --token <token> --label gpu',
    });
    for (const label of ['node', 'builtin', 'agent:scanner', 'two words', ''])
      expect(await deploy(door, workflow({ nodes: [{ id: 'scan', agent: 'scanner', requires: ['gpu', label] }] }))).toMatchObject({
        status: 400,
        body: { error: { code: 'INVALID_REQUEST', issues: [{ path: '/nodes/0/requires/1' }] } },
      });
    const capabilities = ['node', 'agent:scanner'];
    expect(
      await door.call('POST /v1/worker/register', { key: door.keys.worker, body: { workerId, name: 'w', capabilities, maxParallel: 1 } }),
    ).toMatchObject({ status: 400, body: { error: { issues: [{ path: '/capabilities/1' }] } } });
  });

  it('says why it waits, by its own id and by its ticket’s', async () => {
    const id = await start(door);
    const why = (await door.call(`GET /v1/why/${id}`)).body;
    expect(why).toMatchObject({
      runId: id,
      status: 'RUNNING',
      blocker: { kind: 'ticket', nodeId: 'scan' },
      explanation: expect.stringContaining('no worker is connected'),
    });
    expect((await door.call(`GET /v1/why/${why.blocker.ticketId}`)).body).toEqual(why);
    await register(door);
    await poll(door);
    expect((await door.call(`GET /v1/why/${id}`)).body.explanation).toContain('being worked on by wrk_');
  });
});

describe('approvals', () => {
  beforeEach(() =>
    deploy(
      door,
      workflow({ nodes: [{ id: 'scan', agent: 'scanner', approval: { message: 'sure?' }, input: { target: '{{ context.target }}' } }] }),
    ),
  );

  const ask = async () => {
    const runId = await start(door);
    const [approval] = (await door.call('GET /v1/approvals?status=PENDING')).body;
    return { runId, approval };
  };

  it('are asked with the resolved input, and let the node go when given', async () => {
    await register(door);
    const { runId, approval } = await ask();
    expect(approval).toMatchObject({ runId, nodeId: 'scan', message: 'sure?', input: { target: '/repo' }, status: 'PENDING' });
    expect((await door.call(`GET /v1/why/${approval.id}`)).body).toMatchObject({ runId, nextCommand: `hive approve ${approval.id}` });
    expect(await door.call(`POST /v1/approvals/${approval.id}/decision`, { body: { decision: 'APPROVED', notes: 'go' } })).toMatchObject({
      status: 200,
      body: { status: 'APPROVED', respondedBy: 'key:first', notes: 'go' },
    });
    expect(await workOnce(door)).toHaveLength(1);
    expect((await door.call(`GET /v1/approvals/${approval.id}`)).body.status).toBe('APPROVED');
  });

  it('that are refused end the run, and cannot be decided twice', async () => {
    const { runId, approval } = await ask();
    await door.call(`POST /v1/approvals/${approval.id}/decision`, { body: { decision: 'REJECTED' } });
    expect((await door.call(`GET /v1/runs/${runId}`)).body).toMatchObject({ status: 'FAILED', error: { code: 'APPROVAL_REJECTED' } });
    expect(await door.call(`POST /v1/approvals/${approval.id}/decision`, { body: { decision: 'APPROVED' } })).toMatchObject({
      status: 409,
      body: { error: { code: 'APPROVAL_ALREADY_DECIDED' } },
    });
  });
});

describe('a worker', () => {
  beforeEach(() => deploy(door));

  it('that is not registered is told to register', async () => {
    expect(
      await door.call('POST /v1/worker/poll', { body: { workerId: 'wrk_01JD0000000000000000000000', credits: 1, held: [], waitMs: 0 } }),
    ).toMatchObject({ status: 404, body: { error: { code: 'NOT_FOUND' } } });
    expect(
      await door.call('POST /v1/worker/heartbeat', { body: { workerId: 'wrk_01JD0000000000000000000000', tickets: [] } }),
    ).toMatchObject({ status: 404 });
  });

  it('that waits gets a ticket as soon as there is one, and nothing when its time is over', async () => {
    await register(door);
    const waiting = poll(door);
    await start(door);
    const { tickets } = await waiting;
    expect(tickets).toHaveLength(1);
    const idle = poll(door, { held: tickets, waitMs: 30_000 });
    await clock.advance(0);
    await clock.advance(30_000);
    expect(await idle).toEqual({ tickets: [], revoked: [] });
  });

  it('renews what it holds, and is told what it no longer holds', async () => {
    await register(door);
    const id = await start(door);
    const {
      tickets: [ticket],
    } = await poll(door);
    const beat = async () =>
      (
        await door.call('POST /v1/worker/heartbeat', {
          key: door.keys.worker,
          body: {
            workerId: 'wrk_01JD0000000000000000000000',
            tickets: [{ ticketId: ticket?.ticketId, token: ticket?.token, progress: { done: 1 } }],
          },
        })
      ).body;
    expect(await beat()).toEqual({ revoked: [] });
    await door.call(`POST /v1/runs/${id}/cancel`);
    expect(await beat()).toEqual({ revoked: [ticket?.ticketId] });
  });

  it('is told to drop a cancelled run’s ticket by its next poll', async () => {
    await register(door);
    const id = await start(door);
    const { tickets } = await poll(door);
    await door.call(`POST /v1/runs/${id}/cancel`);
    expect(await poll(door, { held: tickets })).toEqual({ tickets: [], revoked: [tickets[0]?.ticketId] });
  });

  it('settles once: the same again is the same answer, another token is refused', async () => {
    await register(door);
    await start(door);
    const [ticket] = await workOnce(door);
    if (ticket === undefined) throw new TypeError('no ticket');
    expect((await settle(door, ticket)).status).toBe(204);
    expect(await settle(door, { ...ticket, token: '1.999' })).toMatchObject({ status: 409, body: { error: { code: 'TICKET_NOT_HELD' } } });
    expect(await settle(door, { ...ticket, token: '9.1' })).toMatchObject({ status: 409 });
  });

  it('gives back what it did not begin, and another one takes it', async () => {
    await register(door);
    await start(door);
    const {
      tickets: [ticket],
    } = await poll(door);
    expect(
      (
        await door.call('POST /v1/worker/release', {
          key: door.keys.worker,
          body: { workerId: 'wrk_01JD0000000000000000000000', tickets: [{ ticketId: ticket?.ticketId, token: ticket?.token }] },
        })
      ).status,
    ).toBe(204);
    expect((await door.call('GET /v1/status')).body).toMatchObject({ tickets: { ready: 1, leased: 0 }, workers: [{ state: 'draining' }] });
    await register(door);
    const {
      tickets: [again],
    } = await poll(door);
    expect(again?.ticketId).toBe(ticket?.ticketId);
    expect(again?.token).not.toBe(ticket?.token);
  });
});

describe('the installation', () => {
  it('says how it is', async () => {
    await deploy(door);
    await register(door);
    await start(door);
    expect((await door.call('GET /v1/status')).body).toEqual({
      version: '0.0.0-test',
      epoch: 1,
      authentication: 'api-key',
      startedAtMs: 1_700_000_000_000,
      runs: { RUNNING: 1 },
      tickets: { ready: 1, leased: 0, delayed: 0 },
      health: { ready: true, canaries: [] },
      workers: [
        {
          id: 'wrk_01JD0000000000000000000000',
          name: 'w',
          capabilities: ['node'],
          maxParallel: 4,
          heldCount: 0,
          state: 'connected',
          lastSeenAtMs: 1_700_000_000_000,
        },
      ],
    });
    expect((await door.call('GET /v1/workers')).body).toHaveLength(1);
  });

  it('counts requests, runs, tickets and workers for Prometheus', async () => {
    await deploy(door);
    await register(door);
    const id = await start(door);
    expect((await door.call('GET /metrics')).text).toContain('hive_runs{status="RUNNING"} 1');
    expect((await door.call('GET /metrics')).text).toContain('hive_tickets{state="ready"} 1');
    await door.call(`POST /v1/runs/${id}/cancel`);
    await door.call('GET /v1/workflows/absent');
    const { status, text, headers } = await door.call('GET /metrics');
    expect(status).toBe(200);
    expect(headers['content-type']).toContain('text/plain');
    expect(text).toContain('hive_runs{status="CANCELLED"} 1');
    expect(text).not.toContain('hive_runs{status="RUNNING"}');
    expect(text).toContain('hive_workers{state="connected"} 1');
    expect(text).toContain('http_request_duration_seconds_count{route="/v1/workflows/:name",method="GET",status="404"} 1');
    expect(text).toMatch(/^nodejs_eventloop_lag_seconds /m);
  });
});
