import { createHash } from 'node:crypto';
import { callbackSignalName, callbackStepOf, type LeasedTicket } from '@hivekeeper/contract';
import { FakeClock, guardLeaks, seededRandom } from '@hivekeeper/testkit';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { type Door, openDoor } from '../testing/door.ts';
import { deploy, poll, register, start, workerId, workflow } from '../testing/scenes.ts';

guardLeaks();

let door: Door;
let clock: FakeClock;
let ticket: LeasedTicket;
let runId: string;
beforeEach(async () => {
  clock = new FakeClock();
  door = await openDoor({ clock, random: seededRandom(1) });
  await register(door);
  await deploy(door, workflow({ nodes: [{ id: 'scan', agent: 'scanner' }] }));
  runId = await start(door);
  ticket = (await poll(door)).tickets[0] as LeasedTicket;
});
afterEach(() => door[Symbol.asyncDispose]());

const secret = 'A'.repeat(43);
const keyOf = (text: string) => createHash('sha256').update(text).digest('hex');
/** What a worker does when its agent answers 202. */
const wait = ({ ticketId, token, attempt }: LeasedTicket, mine = secret) =>
  door.call('POST /v1/worker/suspend', {
    key: door.keys.worker,
    body: {
      ...{ workerId, ticketId, token },
      suspension: { kind: 'signal', step: callbackStepOf(attempt), name: callbackSignalName, key: keyOf(mine), expiresAfterMs: 60_000 },
    },
  });
const callBack = (body: object, { of = ticket.ticketId as string, with: mine = secret } = {}) =>
  door.call(`POST /v1/callbacks/${of}/${mine}`, { key: null, body });
const look = (mine = secret) => door.call(`GET /v1/callbacks/${ticket.ticketId}/${mine}`, { key: null });
const said = { output: { total: 3 } };
const codeIn = ({ status, body }: { readonly status: number; readonly body: { error?: { code: string } } }) => [status, body.error?.code];

it('is taken once without a key, and wakes the attempt with what was said', async () => {
  await wait(ticket);
  expect(await look()).toMatchObject({ status: 200, body: { state: 'wanted' } });
  expect(await callBack(said)).toMatchObject({ status: 200, body: { state: 'taken' } });
  const { tickets } = await poll(door);
  expect(tickets).toMatchObject([{ attempt: 2, memo: [{ step: 'callback 1', outcome: { ok: true, output: said } }] }]);
  for (const answer of [await callBack(said), await callBack({ output: 'other' }), await look()])
    expect(answer).toMatchObject({ status: 200, body: { state: 'known' } });
  expect(JSON.stringify(door.tables.runs.get(runId as never)?.commits)).toContain(`"by":"callback:${ticket.ticketId}"`);
});

it('is told to come again where it is early', async () => {
  const early = await callBack(said);
  expect(codeIn(early)).toEqual([425, 'CALLBACK_EARLY']);
  expect(early.headers['retry-after']).toBe('1');
  await wait(ticket);
  expect((await callBack(said)).status).toBe(200);
});

it('is stale once the run was cancelled, or the wait was over', async () => {
  await wait(ticket);
  await clock.advance(60_000);
  await door.call(`POST /v1/runs/${runId}/cancel`);
  for (const answer of [await callBack(said), await look()]) expect(codeIn(answer)).toEqual([410, 'CALLBACK_STALE']);
});

it('of an attempt before this one is stale, though its slot waits again', async () => {
  await wait(ticket);
  await callBack({ error: { message: 'no' } });
  const [woken] = (await poll(door)).tickets as [LeasedTicket];
  const other = 'B'.repeat(43);
  await wait(woken, other);
  expect(codeIn(await callBack(said, { with: 'C'.repeat(43) }))).toEqual([410, 'CALLBACK_STALE']);
  expect((await callBack(said, { of: woken.ticketId, with: other })).status).toBe(200);
});

it('is refused with another secret, of another ticket, and of a run that is not there', async () => {
  await wait(ticket);
  expect(codeIn(await callBack(said, { with: 'B'.repeat(43) }))).toEqual([404, 'CALLBACK_INVALID']);
  expect(codeIn(await callBack(said, { of: ticket.ticketId.replace(/\.\d+$/, '.7') }))).toEqual([404, 'CALLBACK_INVALID']);
  expect(codeIn(await callBack(said, { of: `tkt_${'0'.repeat(26)}.0` }))).toEqual([404, 'CALLBACK_INVALID']);
  expect(await look()).toMatchObject({ body: { state: 'wanted' } });
});

it('that is no answer changes nothing: the run still waits', async () => {
  await wait(ticket);
  const error = { message: 'x' };
  const malformed = [{}, { output: 1, error }, { error: {} }, { error: { message: '' } }, { output: 1, more: 1 }, { costMicroUsd: 1 }];
  for (const body of malformed) expect(codeIn(await callBack(body)), JSON.stringify(body)).toEqual([400, 'INVALID_REQUEST']);
  expect(await look()).toMatchObject({ body: { state: 'wanted' } });
});

it('keeps no secret', async () => {
  await wait(ticket);
  await callBack(said);
  expect(JSON.stringify([door.tables.audit, door.logged, ...[...door.tables.runs.values()].map(({ commits }) => commits)])).not.toContain(
    secret,
  );
});
