import { FakeClock, guardLeaks, seededRandom } from '@hivekeeper/testkit';
import { afterAll, describe, expect, it } from 'vitest';
import { badInputCases, faultIn, nobody, sampleBodiesOf } from './testing/bad-input.cases.ts';
import { openDoor } from './testing/door.ts';

guardLeaks();

const door = await openDoor({ clock: new FakeClock(), random: seededRandom(1) });
const routes = door.app.routeTable.entries;
const tables = () =>
  JSON.stringify(
    [
      door.tables.agents,
      door.tables.workflows,
      door.tables.runs,
      door.tables.tickets,
      door.tables.approvals,
      door.tables.links,
      door.tables.effects,
    ].map((table) => [...table]),
  );
afterAll(() => door[Symbol.asyncDispose]());

describe('a bad request to any route', () => {
  const cases = badInputCases(routes, { keys: door.keys, subjects: nobody });

  it.each(cases)('$name', async ({ method, url, headers, payload, status, code, path }) => {
    const before = tables();
    const response = await door.app.inject({
      method: method as 'GET',
      url,
      // Where people are answered by pages, programs still get JSON.
      headers: { accept: 'application/json', ...headers },
      ...(payload !== undefined && { payload }),
    });
    const fault = faultIn(response.json());
    expect({ status: response.statusCode, code: fault.code }).toEqual({ status, code });
    if (path !== undefined)
      expect(
        fault.paths.some((found) => found === path || found.startsWith(`${path}/`)),
        `${path} in ${JSON.stringify(fault.paths)}`,
      ).toBe(true);
    expect(response.headers).toMatchObject({ 'x-content-type-options': 'nosniff', 'cache-control': 'no-store' });
    if (status === 401) expect(response.headers['www-authenticate']).toBe('Bearer realm="hivekeeper"');
    if (status === 405) expect(response.headers.allow).toMatch(/^[A-Z]+(, [A-Z]+)*$/);
    expect(tables()).toBe(before);
    expect(door.logged).toEqual([]);
  });

  it('is tried on every route that reads a body, from a body that the route would take', () => {
    const sampleBodies = sampleBodiesOf(nobody);
    const reading = routes.filter(({ schema }) => schema.body !== undefined);
    expect(reading.map(({ method, url }) => `${method} ${url}`).sort()).toEqual(Object.keys(sampleBodies).sort());
    for (const { method, url, schema } of reading)
      expect(
        (schema.body as { safeParse(value: unknown): { error?: unknown } }).safeParse(sampleBodies[`${method} ${url}`]).error,
        `${method} ${url}`,
      ).toBeUndefined();
  });
});
