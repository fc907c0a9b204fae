import type { LeasedTicket } from '@hivekeeper/contract';
import { FakeClock, guardLeaks, seededRandom } from '@hivekeeper/testkit';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { nobody, sampleBodiesOf } from '../testing/bad-input.cases.ts';
import { type Door, openDoor } from '../testing/door.ts';
import { deploy, poll, register, settle, start, workerId } from '../testing/scenes.ts';

guardLeaks();

let door: Door;
let ticket: LeasedTicket;
let runId: string;
beforeEach(async () => {
  door = await openDoor({ clock: new FakeClock(), random: seededRandom(1) });
  await deploy(door);
  await register(door);
  runId = await start(door);
  [ticket] = (await poll(door)).tickets as [LeasedTicket];
});
afterEach(() => door[Symbol.asyncDispose]());

const tell = (call: string, body: object, token = ticket.token) =>
  door.call(`POST /v1/worker/${call}`, { key: door.keys.worker, body: { workerId, ticketId: ticket.ticketId, token, ...body } });
const pay = { tool: 'bank.pay', args: { to: 'ann' } };
const effectOf = async (id: string) => (await door.call(`GET /v1/effects/${id}`)).body;

describe('effects over HTTP', () => {
  it('are begun, finished, listed, and counted where their run is shown', async () => {
    expect((await door.call(`GET /v1/runs/${runId}`)).body.effects).toBeUndefined();
    const begun = await tell('effects/begin', pay);
    expect(begun).toMatchObject({ status: 200, body: { state: 'dispatched', effectId: expect.stringMatching(/^eff_/) } });
    const { effectId } = begun.body;
    expect((await door.call(`GET /v1/runs/${runId}`)).body.effects).toEqual({ dispatched: 1 });
    expect((await tell('effects/finish', { effectId, outcome: { ok: true, output: 'receipt' } })).status).toBe(204);
    expect((await tell('effects/begin', { ...pay, step: 'bank.pay' })).body).toEqual({
      state: 'confirmed',
      effectId,
      outcome: { ok: true, output: 'receipt' },
    });
    const { body: effects } = await door.call(`GET /v1/effects?run=${runId}`);
    expect(effects).toMatchObject([
      { id: effectId, runId, nodeId: 'scan', slot: 0, tool: 'bank.pay', state: 'confirmed', dispatchCount: 1 },
    ]);
    expect((await door.call('GET /v1/effects?state=unknown')).body).toEqual([]);
    expect((await door.call(`GET /v1/effects?after=${effectId}`)).body).toEqual([]);
    expect((await door.call(`GET /v1/runs/${runId}`)).body.effects).toEqual({ confirmed: 1 });
  });

  it('whose attempt ended without a word are unknown, and are resolved by a person, once', async () => {
    const { effectId } = (await tell('effects/begin', pay)).body;
    const resolve = (body: object) => door.call(`POST /v1/effects/${effectId}/resolve`, { body });
    expect((await resolve({ happened: false })).body.error).toMatchObject({ code: 'EFFECT_AT_WORK' });
    await settle(door, ticket, { ok: false, error: { code: 'AGENT_KILLED', message: 'killed' } });
    expect(await effectOf(effectId)).toMatchObject({ state: 'unknown', reason: expect.stringContaining('without saying') });
    const resolved = await resolve({ happened: true, output: { receipt: 7 }, notes: 'on the statement' });
    expect(resolved).toMatchObject({
      status: 200,
      body: { state: 'confirmed', outcome: { ok: true, output: { receipt: 7 } }, resolvedBy: 'key:first', notes: 'on the statement' },
    });
    expect((await resolve({ happened: true, output: { receipt: 7 } })).status).toBe(200);
    expect((await resolve({ happened: false })).body.error).toMatchObject({ code: 'EFFECT_ALREADY_KNOWN' });
  });

  it('and all else that a worker tells of a ticket are refused to any other token than the current one', async () => {
    const { effectId } = (await tell('effects/begin', pay)).body;
    // Made from the routes, so that none can be forgotten.
    for (const token of ['1.999', `2${ticket.token.slice(1)}`]) {
      const samples = sampleBodiesOf({ ...nobody, workerId, effectId, ticket: { ticketId: ticket.ticketId, token } });
      const calls = Object.entries(samples).filter(([route, body]) => route.startsWith('POST /v1/worker/') && 'token' in body);
      expect(calls.length).toBeGreaterThanOrEqual(8);
      for (const [route, body] of calls)
        expect((await door.call(route, { key: door.keys.worker, body })).body.error?.code, `${route} ${token}`).toBe('TICKET_NOT_HELD');
    }
    expect(await effectOf(effectId)).toMatchObject({ state: 'dispatched' });
  });

  it('of another tenant are as absent as those that never were', async () => {
    const { effectId } = (await tell('effects/begin', pay)).body;
    const key = door.keys.foreign;
    const never = 'eff_01JD0000000000000000000009';
    for (const id of [effectId, never]) {
      const read = await door.call(`GET /v1/effects/${id}`, { key });
      const resolved = await door.call(`POST /v1/effects/${id}/resolve`, { key, body: { happened: true } });
      for (const answer of [read, resolved])
        expect([answer.status, answer.body.error]).toEqual([404, expect.objectContaining({ message: `there is no effect ${id}` })]);
    }
    expect((await door.call('GET /v1/effects', { key })).body).toEqual([]);
  });

  it('are shown without secrets, and replayed with them', async () => {
    const secret = { to: 'ann', password: 'open sesame' };
    const { effectId } = (await tell('effects/begin', { tool: 'login', args: secret })).body;
    await tell('effects/finish', { effectId, outcome: { ok: true, output: { accessToken: 'abc' } } });
    const shown = { args: { to: 'ann', password: '[redacted]' }, outcome: { ok: true, output: { accessToken: '[redacted]' } } };
    expect([await effectOf(effectId), (await door.call('GET /v1/effects')).body[0]]).toMatchObject([shown, shown]);
    expect((await tell('effects/begin', { tool: 'login', args: secret })).body.outcome.output).toEqual({ accessToken: 'abc' });
  });

  it('with arguments that JSON readers round are refused, with the place', async () => {
    const answer = await tell('effects/begin', { tool: 't', args: { account: 2 ** 53 } });
    expect([answer.status, answer.body.error.issues]).toEqual([400, [expect.objectContaining({ path: '/args/account' })]]);
  });
});

describe('steps over HTTP', () => {
  it('are recorded once, and read again by a later attempt', async () => {
    expect((await tell('steps', { step: 'draw', outcome: { ok: true, output: 1 } })).body).toEqual({ outcome: { ok: true, output: 1 } });
    expect((await tell('steps', { step: 'draw', outcome: { ok: true, output: 2 } })).body).toEqual({ outcome: { ok: true, output: 1 } });
    expect((await tell('memo', {})).body).toEqual({ steps: [{ step: 'draw', outcome: { ok: true, output: 1 } }] });
  });

  it('are read a page at a time', async () => {
    for (let count = 100; count < 250; count += 1) await tell('steps', { step: `s${count}`, outcome: { ok: true, output: count } });
    const { body: first } = await tell('memo', {});
    expect([first.steps.length, first.next]).toEqual([100, 's199']);
    const { body: second } = await tell('memo', { after: first.next });
    expect([second.steps.length, second.next, second.steps[0].step]).toEqual([50, undefined, 's200']);
  });
});

describe('a ticket given back over HTTP', () => {
  it('to wait for news of an effect is issued anew when a person has resolved it', async () => {
    const { effectId } = (await tell('effects/begin', pay)).body;
    await tell('effects/doubt', { effectId, reason: 'no answer' });
    const suspend = () => tell('suspend', { suspension: { kind: 'effect', step: 'bank.pay', effectId, tool: 'bank.pay' } });
    expect((await suspend()).status).toBe(204);
    expect((await suspend()).status).toBe(204);
    const { body: why } = await door.call(`GET /v1/why/${runId}`);
    expect(why).toMatchObject({ blocker: { kind: 'effect_unknown', effectId }, nextCommand: `hive effects resolve ${effectId}` });
    await door.call(`POST /v1/effects/${effectId}/resolve`, { body: { happened: false } });
    const [again] = (await poll(door)).tickets as [LeasedTicket];
    ticket = again;
    expect((await tell('effects/begin', pay)).body).toEqual({ state: 'dispatched', effectId });
    expect(await effectOf(effectId)).toMatchObject({ state: 'dispatched', dispatchCount: 2 });
  });

  it('to wait for an effect of somebody else is kept', async () => {
    const suspension = { kind: 'effect', step: 's', effectId: 'eff_01JD0000000000000000000009', tool: 't' };
    const answer = await tell('suspend', { suspension });
    expect([answer.status, answer.body.error.issues[0].path]).toEqual([400, '/suspension/effectId']);
  });
});
