import { FakeClock, guardLeaks, seededRandom } from '@hivekeeper/testkit';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Door, openDoor } from '../testing/door.ts';
import { deploy } from '../testing/scenes.ts';

guardLeaks();

let door: Door;
beforeEach(async () => {
  door = await openDoor({ clock: new FakeClock(Date.parse('2026-03-28T12:00:00Z')), random: seededRandom(1) });
  await deploy(door);
});
afterEach(() => door[Symbol.asyncDispose]());

const nightly = { name: 'nightly', workflow: 'review', cron: '30 2 * * *', timeZone: 'Europe/Berlin' };
const create = (body: object = nightly) => door.call('POST /v1/schedules', { body });

describe('schedules', () => {
  it('are made once: 201 for a new one, 200 for the same, 409 for another of the name', async () => {
    expect(await create()).toMatchObject({
      status: 201,
      body: { name: 'nightly', workflowName: 'review', isDeclared: false, catchUp: 'last', overlap: 'skip', jitterMs: 0, context: {} },
    });
    expect((await create({ ...nightly, catchUp: 'last' })).status).toBe(200);
    expect((await create({ ...nightly, cron: '0 3 * * *' })).body.error.code).toBe('ALREADY_EXISTS');
    expect(door.tables.schedules.size).toBe(1);
  });

  it('say when they are served next, as people of their time zone see it', async () => {
    await create();
    expect((await door.call('GET /v1/schedules/nightly')).body).toMatchObject({
      nextAtMs: Date.parse('2026-03-29T01:00:00Z'),
      firings: [],
    });
    const { body } = await door.call('GET /v1/schedules/nightly/preview?count=2');
    expect(body).toEqual({
      timeZone: 'Europe/Berlin',
      instants: [
        { atMs: Date.parse('2026-03-29T01:00:00Z'), local: '2026-03-29T03:00:00+02:00' },
        { atMs: Date.parse('2026-03-30T00:30:00Z'), local: '2026-03-30T02:30:00+02:00' },
      ],
    });
  });

  it('are changed, paused, resumed and removed', async () => {
    await create();
    const changed = await door.call('PUT /v1/schedules/nightly', {
      body: { cron: '0 7 * * *', timeZone: 'Europe/Berlin', context: { target: '/repo' } },
    });
    expect(changed).toMatchObject({ status: 200, body: { cron: '0 7 * * *', context: { target: '/repo' } } });
    const paused = await door.call('POST /v1/schedules/nightly/pause', { body: { reason: 'holidays' } });
    expect(paused.body.pause).toMatchObject({ by: 'key:first', reason: 'holidays' });
    expect(paused.body.nextAtMs).toBeUndefined();
    // Again is no news: who paused it first stays on record.
    expect((await door.call('POST /v1/schedules/nightly/pause', { body: {} })).body.pause).toEqual(paused.body.pause);
    expect((await door.call('POST /v1/schedules/nightly/resume', { body: {} })).body.pause).toBeUndefined();
    expect((await door.call('DELETE /v1/schedules/nightly')).status).toBe(204);
    expect((await door.call('DELETE /v1/schedules/nightly')).body.error.code).toBe('NOT_FOUND');
  });

  it('are listed, all or those of a workflow', async () => {
    await create();
    expect((await door.call('GET /v1/schedules')).body).toMatchObject([{ name: 'nightly' }]);
    expect((await door.call('GET /v1/schedules?workflow=review')).body).toHaveLength(1);
    expect((await door.call('GET /v1/schedules?workflow=absent')).body.error.code).toBe('NOT_FOUND');
  });

  it.each([
    [{ ...nightly, cron: '0 0 31 4,6 *' }, 422, 'SCHEDULE_INVALID', '/cron'],
    [{ ...nightly, timeZone: 'Europe/Atlantis' }, 422, 'SCHEDULE_INVALID', '/timeZone'],
    [{ ...nightly, cron: '* * * * *', jitterMs: 60_000 }, 422, 'SCHEDULE_INVALID', '/jitterMs'],
    [{ ...nightly, cron: '? * * * *' }, 400, 'INVALID_REQUEST', '/cron'],
    [{ ...nightly, cron: '2026-01-01T00:00:00' }, 400, 'INVALID_REQUEST', '/cron'],
    [{ ...nightly, cron: '* * * * * * *' }, 400, 'INVALID_REQUEST', '/cron'],
    [{ ...nightly, workflow: 'absent' }, 404, 'NOT_FOUND', undefined],
  ] as const)('%j are refused with %d %s, and nothing is stored', async (...[body, status, code, path]) => {
    const answer = await create(body);
    expect([answer.status, answer.body.error.code, answer.body.error.issues?.[0]?.path]).toEqual([status, code, path]);
    expect(door.tables.schedules.size).toBe(0);
  });

  it('of another tenant are not there', async () => {
    await create();
    const key = door.keys.foreign;
    expect((await door.call('GET /v1/schedules', { key })).body).toEqual([]);
    for (const [request, body] of [
      ['GET /v1/schedules/nightly', undefined],
      ['GET /v1/schedules/nightly/preview', undefined],
      ['POST /v1/schedules/nightly/pause', {}],
      ['DELETE /v1/schedules/nightly', undefined],
    ] as const)
      expect((await door.call(request, { key, ...(body !== undefined && { body }) })).body.error.code).toBe('NOT_FOUND');
  });

  it('that a workflow declares wrongly are told with their place, and not deployed', async () => {
    const declare = (schedule: unknown) =>
      deploy(door, { name: 'declaring', nodes: [{ id: 'scan', agent: 'scanner' }], trigger: { schedule } as never });
    expect((await declare({ cron: 'whenever' })).body.error).toMatchObject({
      code: 'INVALID_REQUEST',
      issues: [{ path: '/trigger/schedule/cron' }],
    });
    expect((await declare([{ cron: '@daily', overlap: 'perhaps' }])).body.error.issues[0].path).toBe('/trigger/schedule/0/overlap');
    expect((await declare([{ cron: '@daily' }, { cron: '0 0 30 2 *' }])).body.error).toMatchObject({
      code: 'WORKFLOW_INVALID',
      issues: [{ path: '/trigger/schedule/1/cron' }],
    });
    // A text under the same name is another system's.
    expect((await declare('0 7 * * *')).status).toBe(201);
  });
});
