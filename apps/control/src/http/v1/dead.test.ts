import { FakeClock, guardLeaks, seededRandom } from '@hivekeeper/testkit';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Door, openDoor } from '../testing/door.ts';
import { declaredSecret } from '../testing/memory-services.ts';
import { deploy, poll, register, settle, start, workflow, workOnce } from '../testing/scenes.ts';

guardLeaks();

let door: Door;
beforeEach(async () => {
  door = await openDoor({ clock: new FakeClock(), random: seededRandom(1) });
  await register(door);
  await deploy(
    door,
    workflow({
      nodes: [
        { id: 'scan', agent: 'scanner' },
        { id: 'fix', agent: 'scanner', action: 'patch', needs: ['scan'], input: { target: '{{ context.target }}' } },
        { id: 'tell', agent: 'scanner', needs: ['scan'], timeoutMs: 1_000 },
      ],
    }),
  );
});
afterEach(() => door[Symbol.asyncDispose]());

const failure = { ok: false, error: { code: 'AGENT_FAILED', message: 'exit 1', excerpt: `token=${declaredSecret}` } };
const list = async (query = '') => (await door.call(`GET /v1/dead${query}`)).body;
const act = (ticketId: string, verb: string, body: object = {}) => door.call(`POST /v1/dead/${ticketId}/${verb}`, { body });

/** A run in which scan succeeded, and fix and tell failed for good. */
async function deadRun(context: object = { target: '/repo' }): Promise<string> {
  const id = await start(door, context);
  await workOnce(door);
  await workOnce(door, failure);
  return id;
}

describe('dead tickets', () => {
  it('are listed with their evidence, without its secrets', async () => {
    const runId = await deadRun({ target: { password: 'hunter2-hunter2' } });
    expect(await list()).toHaveLength(2);
    const [dead] = (await list()).filter(({ nodeId }: { nodeId: string }) => nodeId === 'fix');
    expect(dead).toEqual({
      ticketId: expect.stringMatching(/^tkt_/),
      runId,
      workflowName: 'review',
      nodeId: 'fix',
      slot: 0,
      attempt: 1,
      agent: 'scanner',
      action: 'patch',
      input: { target: { password: '[redacted]' } },
      error: { code: 'AGENT_FAILED', message: 'exit 1', excerpt: 'token=[redacted]', nodeId: 'fix' },
      diedAtMs: expect.any(Number),
    });
    expect((await door.call(`GET /v1/dead/${dead.ticketId}`)).body).toEqual(dead);
  });

  it('are found by state, workflow and page, and by nobody of another tenant', async () => {
    const first = await deadRun();
    await deadRun();
    const all = await list();
    expect(all).toHaveLength(4);
    await act(all[3].ticketId, 'discard', { reason: 'known' });
    expect(await list()).toHaveLength(3);
    expect(await list('?state=resolved')).toMatchObject([{ runId: first, resolution: 'DISCARDED' }]);
    expect(await list('?state=all&workflow=review')).toHaveLength(4);
    expect(await list('?workflow=other')).toEqual([]);
    expect(await list(`?state=all&limit=2&before=${all[1].ticketId}`)).toMatchObject([{ ticketId: all[2].ticketId }, { runId: first }]);
    expect((await door.call('GET /v1/dead', { key: door.keys.foreign })).body).toEqual([]);
    for (const request of [`GET /v1/dead/${all[0].ticketId}`, `POST /v1/dead/${all[0].ticketId}/redrive`])
      expect((await door.call(request, { key: door.keys.foreign })).status).toBe(404);
  });

  it('leave those out that a later attempt made up for, and those that do not fail their run', async () => {
    await deploy(
      door,
      workflow({
        name: 'lenient',
        nodes: [
          { id: 'again', agent: 'scanner', retry: { maxAttempts: 2, backoffMs: 0 } },
          { id: 'maybe', agent: 'scanner', onFailure: 'continue' },
        ],
      }),
    );
    await door.call('POST /v1/workflows/lenient/runs');
    await workOnce(door, failure);
    await workOnce(door);
    expect((await door.call('GET /v1/runs?workflow=lenient')).body).toMatchObject([{ status: 'SUCCESS' }]);
    expect(await list()).toEqual([]);
  });

  it('do not keep others from being worked on', async () => {
    await deadRun();
    await start(door);
    expect(await workOnce(door)).toHaveLength(1);
  });
});

describe('redriving', () => {
  it('starts one run that goes on from what failed, and takes all dead tickets of the run along', async () => {
    const origin = await deadRun();
    const [{ ticketId }, other] = await list();
    const answers = await Promise.all([act(ticketId, 'redrive'), act(ticketId, 'redrive'), act(other.ticketId, 'redrive')]);
    const redrivenRunId = answers[0]?.body.redrivenRunId;
    for (const { status, body } of answers)
      expect({ status, body }).toMatchObject({ status: 200, body: { resolution: 'REDRIVEN', resolvedBy: 'key:first', redrivenRunId } });
    expect(door.tables.runs.size).toBe(2);
    expect(await list()).toEqual([]);
    expect((await door.call(`GET /v1/runs/${redrivenRunId}`)).body).toMatchObject({
      trigger: 'retry',
      originRunId: origin,
      nodes: [{ id: 'scan', isCarried: true }, { id: 'fix' }, { id: 'tell' }],
    });
    expect((await workOnce(door)).map(({ nodeId }) => nodeId)).toEqual(['fix', 'tell']);
    expect(door.tables.audit.map(({ action }) => action)).toEqual(['ticket.redriven', 'ticket.redriven']);
  });

  it('that ended between start and mark finds its run when it is asked again', async () => {
    await deadRun();
    const [{ ticketId, runId }] = await list();
    const started = await door.services.triggers.rerun({
      tenantId: door.tables.runs.get(runId)?.tenantId as never,
      runId,
      rerun: { kind: 'retry', from: 'failed' },
      by: 'somebody',
      idempotency: { route: 'redrive', key: runId },
    });
    expect((await act(ticketId, 'redrive')).body).toMatchObject({ redrivenRunId: started.runId });
    expect(door.tables.runs.size).toBe(2);
  });

  it('of a run that goes on elsewhere waits for its end', async () => {
    const id = await start(door);
    await workOnce(door);
    const { tickets } = await poll(door);
    await settle(door, tickets[0] as never, failure);
    const [{ ticketId }] = await list();
    expect(await act(ticketId, 'redrive')).toMatchObject({ status: 409, body: { error: { code: 'RUN_NOT_RETRYABLE' } } });
    expect(await list()).toMatchObject([{ runId: id, ticketId }]);
  });

  it('is turned away while the process drains', async () => {
    await deadRun();
    door.world.isDraining = true;
    expect((await act((await list())[0].ticketId, 'redrive')).status).toBe(503);
  });
});

describe('discarding', () => {
  it('keeps who and why, and again is no news', async () => {
    await deadRun();
    const [{ ticketId }] = await list();
    const first = await act(ticketId, 'discard', { reason: 'known' });
    expect(first).toMatchObject({ status: 200, body: { resolution: 'DISCARDED', resolvedBy: 'key:first', reason: 'known' } });
    expect((await act(ticketId, 'discard', { reason: 'other' })).text).toBe(first.text);
    expect(door.tables.audit).toEqual([{ actor: 'key:first', action: 'ticket.discarded', object: ticketId }]);
  });

  it.each([
    ['redrive', 'discard'],
    ['discard', 'redrive'],
  ])('or redriving, whichever came first (%s), stands', async (first, second) => {
    await deadRun();
    const [{ ticketId }] = await list();
    const bodyOf = (verb: string) => (verb === 'discard' ? { reason: 'known' } : {});
    await act(ticketId, first, bodyOf(first));
    expect(await act(ticketId, second, bodyOf(second))).toMatchObject({ status: 409, body: { error: { code: 'DEAD_TICKET_RESOLVED' } } });
  });
});
