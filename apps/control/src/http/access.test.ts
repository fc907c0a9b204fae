import { defaultTenantId, keyRoleSchema, type KeyRole } from '@hivekeeper/contract';
import { FakeClock, guardLeaks, seededRandom } from '@hivekeeper/testkit';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { permissionsOf } from '../records/keys/index.ts';
import { type Door, openDoor } from './testing/door.ts';

guardLeaks();

let door: Door;
const keys = new Map<KeyRole, string>();

beforeAll(async () => {
  door = await openDoor({ clock: new FakeClock(), random: seededRandom(1) });
  for (const role of keyRoleSchema.options)
    keys.set(role, await door.services.keys.issue({ tenantId: defaultTenantId, name: `a-${role}`, role }));
});
afterAll(() => door[Symbol.asyncDispose]());

/** The status with a body that no route takes: who may not call is told so before it is read. */
const statusOf = async (role: KeyRole, { method, url }: { readonly method: string; readonly url: string }) => {
  const headers = { host: 'localhost', authorization: `Bearer ${keys.get(role)}`, 'content-type': 'application/json' };
  const payload = method === 'GET' ? {} : { payload: '{"' };
  return (await door.app.inject({ method: method as 'GET', url: url.replaceAll(/:[a-zA-Z]+/g, 'nothing'), headers, ...payload }))
    .statusCode;
};

describe('who may do what', () => {
  it('no role may more than is meant', () => {
    expect(permissionsOf.viewer).toEqual(['read']);
    const programs: KeyRole[] = ['worker', 'agent', 'webhook'];
    for (const role of programs)
      for (const never of ['approve', 'administer', 'operate', 'read'] as const) expect(permissionsOf[role]).not.toContain(never);
    const mayAdminister = keyRoleSchema.options.filter((role) => permissionsOf[role].includes('administer'));
    expect(mayAdminister).toEqual(['admin']);
  });

  it('what changes anything needs more than to read', () => {
    const entries = door.app.routeTable.entries.filter(({ access, method }) => access === 'read' && method !== 'GET' && method !== 'HEAD');
    expect(entries.map(({ method, url }) => `${method} ${url}`)).toEqual(['POST /v1/workflows/validate']);
  });

  it('the OpenAPI document says of each call what it needs', async () => {
    const document = (await door.call('GET /v1/openapi.json')).body;
    expect(document.paths['/v1/keys'].post['x-permission']).toBe('administer');
    expect(document.paths['/v1/runs/{id}'].get['x-permission']).toBe('read');
  });

  it.each(keyRoleSchema.options)('a key of the role %s gets 403 from every route that it is not for, and from no other', async (role) => {
    const streams = ['/v1/registry/watch'];
    for (const route of door.app.routeTable.entries) {
      if (route.method === 'HEAD' || route.access === 'open' || streams.includes(route.url)) continue;
      const isPermitted = permissionsOf[role].includes(route.access);
      const status = await statusOf(role, route);
      expect(status === 403, `${route.method} ${route.url} with ${role}: ${status}`).toBe(!isPermitted);
    }
  });
});
