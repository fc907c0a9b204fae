import { defaultTenantId, type KeyView } from '@hivekeeper/contract';
import { FakeClock, seededRandom } from '@hivekeeper/testkit';
import { beforeEach, expect, it } from 'vitest';
import { KeyRing, type KeyStore, type NewKey } from './keys.ts';

let clock: FakeClock;
let keys: KeyRing;
let stored: Map<string, { readonly view: KeyView; ends?: boolean }>;
let written: NewKey[];
let findCount: number;
let used: string[];

const hex = (keySha256: Uint8Array) => Buffer.from(keySha256).toString('hex');
const add = (key: NewKey): KeyView => {
  written.push(key);
  for (const known of stored.values()) if (known.view.name === key.name && key.endsEarlier === true) known.ends = true;
  const view: KeyView = { id: `key_${written.length}`, name: key.name, role: key.role, state: 'active', createdAtMs: 0, createdBy: key.by };
  stored.set(hex(key.keySha256), { view });
  return view;
};
const store: KeyStore = {
  find: async (keySha256) => {
    findCount += 1;
    const key = stored.get(hex(keySha256));
    if (key === undefined || key.ends === true) return undefined;
    return { keyId: key.view.id, tenantId: defaultTenantId, role: key.view.role, subject: `key:${key.view.name}` };
  },
  isKnown: async (keySha256) => stored.has(hex(keySha256)),
  add: async (key) => add(key),
  replace: async ({ id: _, overlapMs: __, ...key }) => add({ ...key, name: 'a', role: 'worker' }),
  revoke: async ({ id }) => {
    const key = [...stored.values()].find(({ view }) => view.id === id)!;
    key.ends = true;
    return key.view;
  },
  list: async () => [],
  used: async (ids) => void used.push(...ids),
};

beforeEach(() => {
  clock = new FakeClock();
  [stored, written, findCount, used] = [new Map(), [], 0, []];
  keys = new KeyRing({ store, random: seededRandom(1), clock });
});

const create = (name: string) => keys.create({ tenantId: defaultTenantId, name, role: 'worker', by: 'ann' });
const adopt = (name: string) => keys.adopt({ tenantId: defaultTenantId, name, role: 'admin', text: 'hive_kept' });

it('makes keys of 256 bits, no two alike, and stores none of them readably', async () => {
  const made = [await create('a'), await create('b')].map(({ key }) => key);
  for (const key of made) expect(key).toMatch(/^hive_[A-Za-z0-9_-]{43}$/);
  expect(new Set(made).size).toBe(2);
  for (const key of made) expect(JSON.stringify(written)).not.toContain(key.slice(5));
});

it('knows whom a key stands for, and nobody for another', async () => {
  const { key } = await create('a');
  expect(await keys.principalOf(key)).toMatchObject({ tenantId: defaultTenantId, role: 'worker', subject: 'key:a' });
  expect(await keys.principalOf(`${key}x`)).toBeUndefined();
  expect(await keys.principalOf('')).toBeUndefined();
});

it('asks the database once while a key is fresh, and lets one that was revoked elsewhere live for less than 5 s', async () => {
  const { key } = await create('a');
  await keys.principalOf(key);
  findCount = 0;
  for (const each of stored.values()) each.ends = true;
  await clock.advance(2_900);
  expect(await keys.principalOf(key)).toBeDefined();
  expect(findCount).toBe(0);
  await clock.advance(2_000);
  expect(await keys.principalOf(key)).toBeUndefined();
});

it('takes one no more at once that is revoked here', async () => {
  const { key, id } = await create('a');
  await keys.principalOf(key);
  await keys.revoke({ tenantId: defaultTenantId, id, by: 'ann' });
  expect(await keys.principalOf(key)).toBeUndefined();
});

it('asks for a wrong key once too, and forgets none that works for any number of them', async () => {
  const { key } = await create('a');
  await keys.principalOf(key);
  findCount = 0;
  for (let number = 0; number < 11_000; number += 1) await keys.principalOf(`wrong ${number}`);
  await keys.principalOf('wrong 10999');
  await keys.principalOf(key);
  expect(findCount).toBe(11_000);
});

it('keeps the key of a file, and one that was revoked stays so', async () => {
  expect([await adopt('here'), await adopt('here'), await adopt('elsewhere')]).toEqual([true, true, true]);
  expect(written).toHaveLength(1);
  expect(await keys.principalOf('hive_kept')).toMatchObject({ role: 'admin', subject: 'key:here' });
  await keys.revoke({ tenantId: defaultTenantId, id: 'key_1', by: 'ann' });
  expect(await adopt('here')).toBe(false);
  const issued = await keys.issue({ tenantId: defaultTenantId, name: 'here', role: 'admin' });
  expect(await keys.principalOf(issued)).toMatchObject({ subject: 'key:here' });
});

it('notes which keys were used, and not for each call', async () => {
  const { key } = await create('a');
  for (let call = 0; call < 10; call += 1) await keys.principalOf(key);
  await clock.advance(30_000);
  await clock.advance(30_000);
  expect(used).toEqual(['key_1']);
});
