/** API keys on real PostgreSQL, at two control planes. */
import { defaultTenantId as tenantId, type TenantId } from '@hivekeeper/contract';
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import type { Engine } from '../../apps/control/src/engine.ts';
import { engineOn, ownDatabase } from './fixture.ts';

const { database, sql } = await ownDatabase();
const by = 'key:ann';

let one: Engine;
let other: Engine;
beforeAll(async () => {
  [one, other] = [await engineOn(database.url), await engineOn(database.url)];
});
afterAll(async () => {
  await one[Symbol.asyncDispose]();
  await other[Symbol.asyncDispose]();
});
beforeEach(async () => void (await sql`TRUNCATE api_keys`));

const create = (name: string, more: { readonly expiresInMs?: number } = {}) =>
  one.services.keys.create({ tenantId, name, role: 'operator', by, ...more });
const roleOf = async ({ services }: Engine, key: string) => (await services.keys.principalOf(key))?.role;
const states = async () => (await one.services.keys.list(tenantId)).map(({ name, state }) => `${name} ${state}`);
const actions = async () =>
  (await sql<{ action: string; actor: string }[]>`SELECT action, actor FROM audit_log WHERE action LIKE 'key.%' ORDER BY seq`).map(
    ({ action, actor }) => `${actor} ${action}`,
  );

describe('a key', () => {
  test('works at every control plane, is stored as a hash only, and is on record', async () => {
    const before = (await actions()).length;
    const made = await create('ci');
    expect([await roleOf(one, made.key), await roleOf(other, made.key)]).toEqual(['operator', 'operator']);
    const [row] = await sql`SELECT row_to_json(api_keys)::text AS text FROM api_keys`;
    expect(String(row?.['text'])).not.toContain(made.key.slice(5));
    await expect(create('ci')).rejects.toMatchObject({ code: 'ALREADY_EXISTS' });
    expect((await actions()).slice(before)).toEqual([`${by} key.issued`]);
  });

  test('that is revoked works nowhere 5 s later, and its name is free', async () => {
    const made = await create('ci');
    expect(await roleOf(other, made.key)).toBe('operator');
    await one.services.keys.revoke({ tenantId, id: made.id, by });
    await one.services.keys.revoke({ tenantId, id: made.id, by });
    expect(await roleOf(one, made.key)).toBeUndefined();
    await vi.waitUntil(async () => (await roleOf(other, made.key)) === undefined, { timeout: 5_000, interval: 50 });
    await create('ci');
    expect(await states()).toEqual(['ci active', 'ci revoked']);
  });

  test('that is rotated works for a while beside its successor, of the same name and role', async () => {
    const old = await create('ci');
    const next = await one.services.keys.rotate({ tenantId, id: old.id, by, overlapMs: 60_000 });
    expect([await roleOf(one, old.key), await roleOf(one, next.key)]).toEqual(['operator', 'operator']);
    expect(await states()).toEqual(['ci active', 'ci replaced']);
    await expect(one.services.keys.rotate({ tenantId, id: old.id, by, overlapMs: 0 })).rejects.toMatchObject({ code: 'NOT_FOUND' });
    await sql`UPDATE api_keys SET expires_at = now() WHERE id = ${old.id}`;
    await vi.waitUntil(async () => (await roleOf(one, old.key)) === undefined, { timeout: 5_000, interval: 50 });
    expect(await states()).toEqual(['ci active', 'ci expired']);
  });

  test('ends by itself, and gives its name free', async () => {
    const made = await create('ci', { expiresInMs: 1_000 });
    await sql`UPDATE api_keys SET expires_at = now() WHERE id = ${made.id}`;
    expect(await roleOf(one, made.key)).toBeUndefined();
    await create('ci');
    expect(await states()).toEqual(['ci active', 'ci expired']);
  });

  test('of one name is made once, however many make it at once', async () => {
    const made = await Promise.allSettled(
      Array.from({ length: 20 }, (_, index) =>
        (index % 2 === 0 ? one : other).services.keys.create({ tenantId, name: 'ci', role: 'viewer', by }),
      ),
    );
    expect(made.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    const [{ id } = { id: '' }] = await one.services.keys.list(tenantId);
    const rotated = await Promise.allSettled(
      Array.from({ length: 20 }, () => one.services.keys.rotate({ tenantId, id, by, overlapMs: 0 })),
    );
    expect(rotated.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
  });

  test('of another tenant is neither listed, rotated nor revoked, and is absent as one that never was', async () => {
    const made = await create('ci');
    const stranger = 'ten_01JD0000000000000000000000' as TenantId;
    expect(await one.services.keys.list(stranger)).toEqual([]);
    const refusals = [made.id, 'key_none'].flatMap((id) => [
      () => one.services.keys.revoke({ tenantId: stranger, id, by }),
      () => one.services.keys.rotate({ tenantId: stranger, id, by, overlapMs: 0 }),
    ]);
    for (const refused of refusals) await expect(refused()).rejects.toMatchObject({ code: 'NOT_FOUND' });
    expect(await roleOf(one, made.key)).toBe('operator');
  });

  test('is noted as used', async () => {
    const made = await create('ci');
    await one.services.keys.principalOf(made.key);
    await one.services.keys.noteUse();
    const [key] = await one.services.keys.list(tenantId);
    expect(Date.now() - (key?.lastUsedAtMs ?? 0)).toBeLessThan(60_000);
  });
});
