import type { KeyRole, Suspension } from '@hivekeeper/contract';
import { FakeClock, guardLeaks, seededRandom } from '@hivekeeper/testkit';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Door, openDoor } from '../testing/door.ts';
import { declaredSecret } from '../testing/memory-services.ts';
import { deploy, poll, register, start, workerId, workflow } from '../testing/scenes.ts';

guardLeaks();

let door: Door;
let clock: FakeClock;
beforeEach(async () => {
  clock = new FakeClock();
  door = await openDoor({ clock, random: seededRandom(1) });
  await register(door);
});
afterEach(() => door[Symbol.asyncDispose]());

const gated = (approval: object = {}, context: object = { target: '/repo' }) =>
  deploy(
    door,
    workflow({
      nodes: [
        { id: 'scan', agent: 'scanner', input: { target: '{{ context.target }}' }, approval: { expiresAfterMs: 60_000, ...approval } },
      ],
    }),
  ).then(() => start(door, context));
const pending = async () => (await door.call('GET /v1/approvals?status=PENDING')).body;
const ask = async (approval: object = {}): Promise<string> => {
  await gated(approval);
  return (await pending())[0].id;
};

/** The two doors at which decisions are taken, and how each says what became of one. */
const doors = {
  v1: async (id: string, decision: string, { key, by = '' }: { key?: string; by?: string } = {}) => {
    const body = { decision, ...(by !== '' && { notes: by }) };
    const answer = await door.call(`POST /v1/approvals/${id}/decision`, { body, ...(key !== undefined && { key }) });
    return [answer.status, answer.body.error?.code ?? answer.body.status];
  },
  facade: async (id: string, decision: string, { key, by = 'ann' }: { key?: string; by?: string } = {}) => {
    const body = { decision, respondedBy: by };
    const answer = await door.call(`POST /api/approvals/${id}/decision`, { body, ...(key !== undefined && { key }) });
    return [answer.status, answer.body.code ?? answer.body.status];
  },
};

describe.each([
  ['v1', 409],
  ['facade', 400],
] as const)('a decision at %s', (name, conflict) => {
  const decide = doors[name];
  const decided = [conflict, 'APPROVAL_ALREADY_DECIDED'];

  it.each<[string, (id: string) => Promise<unknown>, unknown]>([
    ['in time', (id) => decide(id, 'APPROVED'), [200, 'APPROVED']],
    ['before it was asked for', (id) => decide(id.replace(/0$/, '1'), 'APPROVED'), [404, 'NOT_FOUND']],
    ['twice the same', (id) => decide(id, 'APPROVED').then(() => decide(id, 'APPROVED')), [200, 'APPROVED']],
    ['first so, then otherwise', (id) => decide(id, 'APPROVED').then(() => decide(id, 'REJECTED')), decided],
    ['after its end, which nobody noticed yet', (id) => clock.advance(60_000).then(() => decide(id, 'APPROVED')), decided],
    [
      'after it expired',
      async (id) => {
        await clock.advance(60_000);
        await door.services.runs.wake(`run_${id.slice(4, 30)}` as never);
        return decide(id, 'APPROVED');
      },
      decided,
    ],
    [
      'after its run was cancelled',
      (id) => door.call(`POST /v1/runs/run_${id.slice(4, 30)}/cancel`).then(() => decide(id, 'APPROVED')),
      decided,
    ],
  ])('%s has a clear answer', async (_, act, answer) => {
    const id = await ask();
    expect(await act(id)).toEqual(answer);
  });

  it('by many at once counts once', async () => {
    const id = await ask();
    const other = await door.services.keys.issue({
      tenantId: door.tables.runs.values().next().value?.tenantId as never,
      name: 'second',
      role: 'admin',
    });
    const answers = await Promise.all([
      ...Array.from({ length: 5 }, () => decide(id, 'APPROVED')),
      ...Array.from({ length: 5 }, () => decide(id, 'REJECTED', { key: other, by: 'bob' })),
    ]);
    expect(answers.filter(([status]) => status === 200)).toEqual(Array(5).fill([200, 'APPROVED']));
    expect(answers.filter(([status]) => status === conflict)).toEqual(Array(5).fill(decided));
    expect((await poll(door)).tickets).toHaveLength(1);
  });

  it('of one approval leaves the others of its run as they are', async () => {
    await deploy(door, workflow({ nodes: ['a', 'b'].map((id) => ({ id, agent: 'scanner', approval: true })) }));
    await start(door);
    const [first, second] = await pending();
    await decide(first.id, 'REJECTED');
    expect(await pending()).toEqual([second]);
    expect(await decide(second.id, 'APPROVED')).toEqual([200, 'APPROVED']);
  });

  it('by whoever started the run is refused where the node says so, whatever name is given', async () => {
    const id = await ask({ excludeRequester: true });
    expect(await decide(id, 'APPROVED', { by: 'somebody else' })).toEqual([403, 'APPROVER_NOT_ALLOWED']);
    const tenantId = door.tables.runs.values().next().value?.tenantId as never;
    const other = await door.services.keys.issue({ tenantId, name: 'second', role: 'admin' });
    expect(await decide(id, 'APPROVED', { key: other })).toEqual([200, 'APPROVED']);
  });
});

describe('who may decide', () => {
  // A role that is added later has to be decided upon here.
  const mayDecide: Readonly<Record<KeyRole, boolean>> = {
    ...{ admin: true, approver: true },
    ...{ viewer: false, operator: false, worker: false, agent: false, webhook: false },
  };

  it.each(Object.entries(mayDecide))('by role %s: %s', async (role, isAllowed) => {
    const id = await ask();
    const tenantId = door.tables.runs.values().next().value?.tenantId as never;
    const key = await door.services.keys.issue({ tenantId, name: `a ${role}`, role: role as KeyRole });
    const statuses = [
      (await door.call(`POST /v1/approvals/${id}/links`, { key })).status,
      (await doors.facade(id, 'APPROVED', { key }))[0],
      (await doors.v1(id, 'APPROVED', { key }))[0],
    ];
    // The second decision of an admin is another one than the first: it is by another name.
    expect(statuses).toEqual(isAllowed ? [201, 200, 409] : [403, 403, 403]);
    expect((await door.call(`GET /v1/approvals/${id}`)).body.status).toBe(isAllowed ? 'APPROVED' : 'PENDING');
  });

  it.each(['worker:wrk_1', 'agent:fixer'])('is never %s, by whatever way it comes', async (subject) => {
    const id = await ask();
    const tenantId = door.tables.runs.values().next().value?.tenantId as never;
    const decision = { tenantId, approvalId: id as never, approved: true, by: subject };
    await expect(door.services.orders.decideApproval(decision)).rejects.toMatchObject({ code: 'APPROVER_NOT_ALLOWED' });
    await expect(door.services.orders.decideApproval({ ...decision, by: 'ann', subject })).rejects.toMatchObject({
      code: 'APPROVER_NOT_ALLOWED',
    });
  });
});

describe('an approval', () => {
  it('shows the resolved input without secrets, in every list and answer; the agent gets it whole', async () => {
    const target = { path: '/repo', apiKey: 'k-live-123456', note: `Bearer abc.DEF-123 and ${declaredSecret}` };
    await gated({ message: `with ${declaredSecret}`, excludeRequester: false }, { target });
    const shown = { target: { path: '/repo', apiKey: '[redacted]', note: 'Bearer [redacted] and [redacted]' } };
    const [approval] = await pending();
    expect(approval).toMatchObject({ input: shown, message: 'with [redacted]', excludeRequester: false });
    expect((await door.call(`GET /v1/approvals/${approval.id}`)).body.input).toEqual(shown);
    expect((await door.call('GET /api/approvals')).body).toMatchObject([{ node: { inputsJson: shown } }]);
    const { body } = await door.call(`POST /v1/approvals/${approval.id}/decision`, { body: { decision: 'APPROVED' } });
    expect(body.input).toEqual(shown);
    expect((await poll(door)).tickets).toMatchObject([{ input: { target } }]);
  });

  it('has a hash of the whole input: another secret is another hash', async () => {
    await gated({}, { target: { password: 'first-first' } });
    await start(door, { target: { password: 'other-other' } });
    const [one, two] = await pending();
    expect(one.input).toEqual(two.input);
    expect(one.inputSha256).not.toBe(two.inputSha256);
  });

  it('is decided about the input that was looked at, or not at all', async () => {
    const id = await ask();
    const { inputSha256 } = (await door.call(`GET /v1/approvals/${id}`)).body;
    const decide = (sha: string) => door.call(`POST /v1/approvals/${id}/decision`, { body: { decision: 'APPROVED', inputSha256: sha } });
    expect(await decide('0'.repeat(64))).toMatchObject({ status: 409, body: { error: { code: 'APPROVAL_INPUT_CHANGED' } } });
    expect((await door.call(`GET /v1/approvals/${id}`)).body.status).toBe('PENDING');
    expect((await decide(inputSha256)).status).toBe(200);
  });

  it('of a map node is one for all its slots', async () => {
    const node = { id: 'scan', agent: 'scanner', map: '{{ context.list }}', input: { n: '{{ item }}' }, approval: true };
    await deploy(door, workflow({ nodes: [node] }));
    await start(door, { list: [1, 2, 3] });
    const [approval, ...others] = await pending();
    expect([approval.input, others]).toEqual([[{ n: 1 }, { n: 2 }, { n: 3 }], []]);
    expect((await poll(door, { waitMs: 0 })).tickets).toEqual([]);
    await doors.v1(approval.id, 'APPROVED');
    expect((await poll(door)).tickets.map(({ input }) => input['n']).sort()).toEqual([1, 2, 3]);
  });

  it('of a branch that is skipped is never asked for, and cannot be given', async () => {
    await deploy(door, workflow({ nodes: [{ id: 'scan', agent: 'scanner', when: 'false', approval: true }] }));
    const runId = await start(door);
    expect((await door.call(`GET /v1/runs/${runId}`)).body).toMatchObject({ status: 'SUCCESS', nodes: [{ status: 'SKIPPED' }] });
    expect(await pending()).toEqual([]);
    expect(await doors.v1(`apr_${runId.slice(4)}.0`, 'APPROVED')).toEqual([404, 'NOT_FOUND']);
  });

  it('says that whoever started the run may not decide', async () => {
    await gated({ excludeRequester: true });
    expect(await pending()).toMatchObject([{ excludeRequester: true }]);
  });

  it('that an agent asked for from inside one slot is shown and decided at both doors', async () => {
    await deploy(door, workflow({ nodes: [{ id: 'scan', agent: 'scanner', map: '{{ context.list }}', input: { n: '{{ item }}' } }] }));
    const runId = await start(door, { list: [1, 2] });
    for (const { ticketId, token, input } of (await poll(door)).tickets) {
      const suspension: Suspension = { kind: 'approval', step: 's', message: 'sure?', input, expiresAfterMs: 60_000 };
      await door.services.runs.suspend({ workerId, ticketId, token, suspension });
    }
    const [two, one] = await pending();
    expect([one.input, two.input]).toEqual([{ n: 1 }, { n: 2 }]);
    expect((await door.call(`GET /api/approvals?workflowRunId=${runId}`)).body).toMatchObject([
      { node: { id: 'scan', inputsJson: { n: 2 } }, status: 'PENDING', workflowRun: { status: 'WAITING_APPROVAL' } },
      { node: { id: 'scan', inputsJson: { n: 1 } } },
    ]);
    expect((await door.call(`GET /v1/runs/${runId}`)).body.nodes).toMatchObject([
      {
        waits: [
          { kind: 'approval', slot: 0, approvalId: one.id },
          { kind: 'approval', slot: 1, approvalId: two.id },
        ],
      },
    ]);
    expect(await doors.facade(one.id, 'APPROVED')).toEqual([200, 'APPROVED']);
    expect(await doors.v1(two.id, 'REJECTED')).toEqual([200, 'REJECTED']);
    expect((await poll(door)).tickets).toMatchObject([
      { slot: 0, memo: [{ outcome: { output: { decision: 'APPROVED' } } }] },
      { slot: 1, memo: [{ outcome: { output: { decision: 'REJECTED' } } }] },
    ]);
  });
});
