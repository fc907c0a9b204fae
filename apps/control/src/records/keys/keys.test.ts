import { defaultTenantId } from '@hivekeeper/contract';
import { FakeClock, seededRandom } from '@hivekeeper/testkit';
import { beforeEach, expect, it } from 'vitest';
import { KeyRing, type KeyStore, type Principal } from './keys.ts';

let clock: FakeClock;
let keys: KeyRing;
let stored: Map<string, Principal>;
let written: unknown[];
let findCount: number;

const nameOf = (keySha256: Uint8Array) => Buffer.from(keySha256).toString('hex');
const store: KeyStore = {
  find: async (keySha256) => ((findCount += 1), stored.get(nameOf(keySha256))),
  put: async (key) => {
    written.push(key);
    const subject = `key:${key.name}`;
    for (const [sha, known] of stored) if (known.subject === subject) stored.delete(sha);
    stored.set(nameOf(key.keySha256), { tenantId: key.tenantId, role: key.role, subject });
  },
};

beforeEach(() => {
  clock = new FakeClock();
  [stored, written, findCount] = [new Map(), [], 0];
  keys = new KeyRing({ store, random: seededRandom(1), nowMs: () => clock.monotonicMs() });
});

const issue = (name: string) => keys.issue({ tenantId: defaultTenantId, name, role: 'worker' });

it('issues keys of 256 bits, no two alike, and stores none of them readably', async () => {
  const issued = [await issue('a'), await issue('b')];
  for (const key of issued) expect(key).toMatch(/^hive_[A-Za-z0-9_-]{43}$/);
  expect(new Set(issued).size).toBe(2);
  for (const key of issued) expect(JSON.stringify(written)).not.toContain(key.slice(5));
});

it('knows whom a key stands for, and nobody for another', async () => {
  const key = await issue('a');
  expect(await keys.principalOf(key)).toEqual({ tenantId: defaultTenantId, role: 'worker', subject: 'key:a' });
  expect(await keys.principalOf(`${key}x`)).toBeUndefined();
  expect(await keys.principalOf('')).toBeUndefined();
});

it('ends the earlier key of a name', async () => {
  const earlier = await issue('a');
  await issue('a');
  expect(await keys.principalOf(earlier)).toBeUndefined();
});

it('asks the database once while a key is fresh, and lets a revoked one live for less than 5 s', async () => {
  const key = await issue('a');
  await keys.principalOf(key);
  findCount = 0;
  stored.clear();
  await clock.advance(2_900);
  expect(await keys.principalOf(key)).toBeDefined();
  expect(findCount).toBe(0);
  await clock.advance(2_000);
  expect(await keys.principalOf(key)).toBeUndefined();
});

it('asks for a wrong key once too', async () => {
  await keys.principalOf('wrong');
  await keys.principalOf('wrong');
  expect(findCount).toBe(1);
});

it('adopts a key that exists, and leaves one that is stored under another name as it is', async () => {
  const adopt = (name: string, role: 'admin' | 'worker' = 'admin') =>
    keys.adopt({ tenantId: defaultTenantId, name, role, text: 'hive_kept' });
  await adopt('here');
  await adopt('here');
  await adopt('elsewhere');
  expect(written).toHaveLength(1);
  expect(await keys.principalOf('hive_kept')).toMatchObject({ role: 'admin', subject: 'key:here' });
  await adopt('here', 'worker');
  expect(written).toHaveLength(2);
});
