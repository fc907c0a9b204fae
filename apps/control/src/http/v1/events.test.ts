import { FakeClock, guardLeaks, seededRandom } from '@hivekeeper/testkit';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Door, openDoor } from '../testing/door.ts';

guardLeaks();

let door: Door;
beforeEach(async () => {
  door = await openDoor({ clock: new FakeClock(), random: seededRandom(1) });
});
afterEach(() => door[Symbol.asyncDispose]());

describe('events', () => {
  const paid = { type: 'order.paid', key: '42', payload: { amount: 7 } };
  const publish = (body: object = paid, headers: Readonly<Record<string, string>> = {}) => door.call('POST /v1/events', { body, headers });

  it('are stored, listed, and read by their id', async () => {
    const { status, body } = await publish();
    expect([status, body.waitingRunCount, body.publishedBy]).toEqual([201, 0, 'key:first']);
    expect((await door.call('GET /v1/events?type=order.paid&key=42')).body).toMatchObject([{ id: body.id, payload: { amount: 7 } }]);
    expect((await door.call('GET /v1/events?key=other')).body).toEqual([]);
    expect((await door.call(`GET /v1/events/${body.id}`)).body).toMatchObject({ type: 'order.paid' });
    expect((await door.call(`GET /v1/events/${body.id}`, { key: door.keys.foreign })).body.error.code).toBe('NOT_FOUND');
  });

  it.each([
    ['eventId', { ...paid, eventId: 'e-1' }, {}],
    ['Idempotency-Key', paid, { 'idempotency-key': 'e-1' }],
  ])('count once per %s', async (_name, body, headers) => {
    const first = await publish(body, headers);
    const again = await publish(body, headers);
    expect([first.status, again.status, again.body.id]).toEqual([201, 200, first.body.id]);
    expect(again.headers['idempotent-replayed']).toBe('true');
    expect((await publish({ ...body, payload: 8 }, headers)).body.error.code).toBe('IDEMPOTENCY_KEY_REUSED');
  });
});
