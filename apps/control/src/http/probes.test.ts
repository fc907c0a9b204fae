import { HiveError } from '@hivekeeper/contract';
import { FakeClock, guardLeaks, seededRandom } from '@hivekeeper/testkit';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { type Door, openDoor } from './testing/door.ts';

guardLeaks();

let door: Door;
let clock: FakeClock;
beforeEach(async () => {
  clock = new FakeClock();
  door = await openDoor({ clock, random: seededRandom(1) });
});
afterEach(() => door[Symbol.asyncDispose]());

const probe = (place: string) => door.call(`GET ${place}`, { key: null });

it('says that all is well, to anybody', async () => {
  expect(await probe('/health')).toMatchObject({ status: 200, body: { status: 'ok', timestamp: '2023-11-14T22:13:20.000Z' } });
  expect(await probe('/health/db')).toMatchObject({ status: 200, body: { status: 'connected' } });
  expect(await probe('/ready')).toMatchObject({ status: 200, body: { status: 'ready', ready: true } });
  expect(await probe('/live')).toMatchObject({ status: 200, body: { status: 'alive' } });
  expect(await probe('/api/health')).toMatchObject({
    status: 200,
    body: { status: 'ok', service: 'orchestration', database: true, nats: false },
  });
});

it('goes red where the database takes no write, while the process itself is alive', async () => {
  door.world.probe = () => Promise.reject(new HiveError('DATABASE_UNAVAILABLE', 'connect ECONNREFUSED 10.1.2.3:5432'));
  expect(await probe('/health/db')).toMatchObject({ status: 503, body: { status: 'disconnected' } });
  expect(await probe('/ready')).toMatchObject({
    status: 503,
    body: { status: 'unavailable', ready: false, part: 'database', error: { code: 'DATABASE_UNAVAILABLE' } },
    headers: { 'retry-after': '1' },
  });
  expect(await probe('/api/health')).toMatchObject({ status: 503, body: { status: 'degraded', database: false } });
  expect((await probe('/live')).status).toBe(200);
  expect((await probe('/health')).status).toBe(200);
  door.world.probe = () => Promise.resolve();
  expect((await probe('/ready')).status).toBe(200);
});

it('does not call a database healthy that never answers', async () => {
  door.world.probe = () => new Promise(() => undefined);
  const answer = probe('/health/db');
  while (clock.pendingTimers === 0) await nextTurn();
  await clock.advance(5_000);
  expect(await answer).toMatchObject({ status: 503, body: { status: 'disconnected' } });
});

it('is not ready where work waits and nothing moves, and says which part holds it up, while it is alive', async () => {
  door.world.readiness = { ready: false, part: 'lane', detail: 'nothing was stored, for 14 s', remedy: 'Restart it.' };
  const answer = await probe('/ready');
  expect([answer.status, answer.headers['retry-after']]).toEqual([503, '1']);
  expect(answer.body).toMatchObject({
    status: 'unavailable',
    ready: false,
    part: 'lane',
    detail: 'nothing was stored, for 14 s',
    remedy: 'Restart it.',
    error: { code: 'STALLED', message: 'nothing was stored, for 14 s' },
  });
  for (const place of ['/live', '/health', '/health/db']) expect((await probe(place)).status).toBe(200);
  expect((await door.call('GET /v1/health')).body).toMatchObject({
    ready: false,
    part: 'lane',
    stuckRuns: [],
    acceptedRuns: 0,
    imbalance: 0,
  });
  expect((await door.call('GET /v1/status')).body.health).toMatchObject({ ready: false, part: 'lane', canaries: [] });
});

it('is not ready while it drains', async () => {
  door.world.isDraining = true;
  expect(await probe('/ready')).toMatchObject({
    status: 503,
    body: { status: 'draining', ready: false, error: { code: 'SHUTTING_DOWN' } },
  });
});

it('says plainly that there is no NATS', async () => {
  expect(await probe('/health/nats')).toMatchObject({ status: 503, body: { status: 'not_configured' } });
});

it('asks the database once for all who ask at the same time', async () => {
  await Promise.all(Array.from({ length: 50 }, () => probe('/health/db')));
  expect(door.probeCount()).toBe(1);
  await probe('/health/db');
  expect(door.probeCount()).toBe(2);
});
