import { expect, it } from 'vitest';
import { controlPlane, hive } from '../testing.ts';

const event = {
  id: 'evt_01JD0000000000000000000000',
  type: 'order.paid',
  key: '42',
  payload: { amount: 7 },
  receivedAtMs: Date.parse('2026-01-02T03:04:00Z'),
  publishedBy: 'key:ann',
};

it('publishes an event with its key and payload, and says who waited for it', async () => {
  await using control = await controlPlane({ 'POST /v1/events': { status: 201, body: { ...event, waitingRunCount: 2 } } });
  const options = ['--key', '42', '--payload', '{"amount":7}', '--event-id', 'e-1'];
  const { exitCode, stdout } = await hive(['publish', 'order.paid', ...options, '--url', control.url]);
  expect([exitCode, stdout.split('\n')[0]]).toEqual([0, `${event.id}  2 runs waited for it; a run that begins to wait later gets it too.`]);
  expect(JSON.parse(control.seen[0]?.body ?? '')).toEqual({ type: 'order.paid', key: '42', payload: { amount: 7 }, eventId: 'e-1' });
});

it('takes a payload that is no JSON for a text, and none for null', async () => {
  await using control = await controlPlane({ 'POST /v1/events': { body: { ...event, waitingRunCount: 0 } } });
  await hive(['publish', 'order.paid', '--payload', 'soon', '--url', control.url]);
  const { stdout } = await hive(['publish', 'order.paid', '--url', control.url]);
  expect(control.seen.map(({ body }) => JSON.parse(body).payload)).toEqual(['soon', null]);
  expect(stdout).toContain('no run waited for it');
});

it('lists events, newest first', async () => {
  await using control = await controlPlane({ 'GET /v1/events': { body: [event] } });
  const { stdout } = await hive(['events', '--type', 'order.paid', '--url', control.url]);
  expect(stdout).toMatch(/^evt_\w+ +order.paid +42 +5 s ago +key:ann +\{"amount":7\}$/m);
  expect(control.seen[0]?.url).toBe('/v1/events?type=order.paid&limit=20');
});
