import { FakeClock, guardLeaks, seededRandom } from '@hivekeeper/testkit';
import { describe, expect, it } from 'vitest';
import type { RateLimits } from './services.ts';
import { type Answer, type Door, openDoor } from './testing/door.ts';

guardLeaks();

const limited = (rates?: RateLimits) =>
  openDoor({ clock: new FakeClock(), random: seededRandom(1), ...(rates !== undefined && { rates }) });
const agents = 'GET /api/agents?projectId=1';

async function calls(count: number, call: () => Promise<Answer>): Promise<Answer[]> {
  const answers: Answer[] = [];
  while (answers.length < count) answers.push(await call());
  return answers;
}
const statuses = (answers: readonly Answer[]) =>
  [...Map.groupBy(answers, ({ status }) => status)].map(([status, { length }]) => `${length}x${status}`);
const told = ({ headers }: Answer) => ['policy', 'limit', 'remaining', 'reset'].map((name) => String(headers[`ratelimit-${name}`]));
const fromElsewhere = (door: Door, url: string) =>
  door.app.inject({
    method: 'GET',
    url,
    remoteAddress: '203.0.113.9',
    headers: { host: 'localhost', authorization: `Bearer ${door.keys.admin}` },
  });

describe('the limit of an address on /api', () => {
  it('lets 100 calls a minute pass and tells each how many are left', async () => {
    await using door = await limited({ apiPerMinute: 100, v1PerMinute: 0 });
    const answers = await calls(106, () => door.call(agents));
    expect(statuses(answers)).toEqual(['100x200', '6x429']);
    expect(told(answers[0]!)).toEqual(['100;w=60', '100', '99', '60']);
    expect(told(answers[99]!).slice(0, 3)).toEqual(['100;w=60', '100', '0']);
    const refused = answers[100]!;
    expect(told(refused).slice(0, 3)).toEqual(['100;w=60', '100', '0']);
    expect(Number(refused.headers['retry-after'])).toBeGreaterThan(0);
    expect(refused.body).toMatchObject({ error: 'Too many requests, please try again later', code: 'RATE_LIMITED' });
  });

  it('counts calls without a key and to routes that are not there, and each address by itself', async () => {
    await using door = await limited({ apiPerMinute: 2, v1PerMinute: 0 });
    expect((await door.call(agents, { key: null })).status).toBe(401);
    expect((await door.call('GET /api/nothing')).status).toBe(404);
    expect((await door.call(agents)).status).toBe(429);
    expect((await fromElsewhere(door, '/api/agents?projectId=1')).statusCode).toBe(200);
  });

  it('touches neither probes nor /v1', async () => {
    await using door = await limited({ apiPerMinute: 1, v1PerMinute: 0 });
    await calls(2, () => door.call(agents));
    for (const path of ['/api/health', '/health', '/live', '/ready', '/v1/agents', '/metrics']) {
      const answer = await door.call(`GET ${path}`);
      expect([path, answer.status, answer.headers['ratelimit-limit']]).toEqual([path, 200, undefined]);
    }
  });
});

describe('the limit of a key on /v1', () => {
  it('is the key’s own, and told with our code', async () => {
    await using door = await limited({ apiPerMinute: 0, v1PerMinute: 3 });
    const answers = await calls(4, () => door.call('GET /v1/agents'));
    expect(statuses(answers)).toEqual(['3x200', '1x429']);
    expect(told(answers[0]!)).toEqual(['3;w=60', '3', '2', '60']);
    expect(answers[3]!.body.error).toMatchObject({ code: 'RATE_LIMITED', remedy: expect.stringContaining('Retry-After') });
    expect((await door.call('GET /v1/agents', { key: door.keys.foreign })).status).toBe(200);
    expect((await door.call('GET /v1/agents', { key: null })).status).toBe(401);
  });

  it('never holds up workers, even with an admin’s key', async () => {
    await using door = await limited({ apiPerMinute: 0, v1PerMinute: 1 });
    const body = { workerId: 'wrk_01JD0000000000000000000000', name: 'w', capabilities: [], maxParallel: 1 };
    expect(statuses(await calls(3, () => door.call('POST /v1/worker/register', { body })))).toEqual(['3x204']);
  });
});

it('nothing is limited, and no limit told, where the limits are 0', async () => {
  await using door = await limited({ apiPerMinute: 0, v1PerMinute: 0 });
  const answers = [...(await calls(120, () => door.call(agents))), ...(await calls(120, () => door.call('GET /v1/agents')))];
  expect(statuses(answers)).toEqual(['240x200']);
  expect(answers[0]!.headers).not.toHaveProperty('ratelimit-policy');
});

it('a body of 10 MB is read on /api, and one of 1 MB on /v1', async () => {
  await using door = await limited();
  const limitOf = (method: string, url: string) =>
    door.app.routeTable.entries.find((route) => route.method === method && route.url === url)?.bodyLimitBytes;
  expect(limitOf('POST', '/api/workflows/:id/trigger')).toBe(10 * 1024 * 1024);
  expect(limitOf('POST', '/v1/workflows/:name/runs')).toBe(1024 * 1024);
  const body = { projectId: 1, name: 'x'.repeat(2 * 1024 * 1024) };
  expect((await door.call('POST /api/workflows', { body })).status).toBe(400);
  expect((await door.call('POST /v1/workflows', { body })).status).toBe(413);
});
