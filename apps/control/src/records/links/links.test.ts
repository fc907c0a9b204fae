import { type ApprovalId, defaultTenantId, type LinkId } from '@hivekeeper/contract';
import { FakeClock, seededRandom } from '@hivekeeper/testkit';
import { beforeEach, describe, expect, it } from 'vitest';
import { type Link, Links, type SealedLink } from './links.ts';

let clock: FakeClock;
let stored: Map<string, SealedLink>;
let links: Links;
let count: number;

const about = (changes: Partial<Omit<Link, 'id'>> = {}): Omit<Link, 'id'> => ({
  tenantId: defaultTenantId,
  approvalId: 'apr_01JD0000000000000000000000.0' as ApprovalId,
  inputSha256: 'a'.repeat(64),
  expiresAtMs: clock.nowMs() + 1_000,
  createdBy: 'key:first',
  ...changes,
});

beforeEach(() => {
  clock = new FakeClock();
  [stored, count] = [new Map(), 0];
  links = new Links({
    store: { put: async (link) => void stored.set(link.id, link), find: async (id) => stored.get(id) },
    clock,
    random: seededRandom(1),
    newId: () => `lnk_01JD000000000000000000000${(count += 1)}` as LinkId,
  });
});

describe('a link', () => {
  it('opens to what it was made for', async () => {
    const text = await links.create(about());
    expect(text).toMatch(/^lnk_01JD0000000000000000000001\.[\w-]{43}$/);
    expect(await links.open(text)).toEqual({ id: 'lnk_01JD0000000000000000000001', ...about() });
  });

  it('has a secret of 256 bits that nobody keeps, and no two have the same', async () => {
    const secrets = [await links.create(about()), await links.create(about())].map((text) => text.split('.')[1] as string);
    expect(new Set(secrets).size).toBe(2);
    for (const secret of secrets) {
      expect(Buffer.from(secret, 'base64url')).toHaveLength(32);
      for (const { seal } of stored.values()) expect(Buffer.from(seal).toString('base64url')).not.toBe(secret);
      expect(JSON.stringify([...stored.values()])).not.toContain(secret);
    }
  });

  it('opens until its time, and not from then on', async () => {
    const text = await links.create(about());
    await clock.advance(999);
    expect(await links.open(text)).toMatchObject({ createdBy: 'key:first' });
    await clock.advance(1);
    await expect(links.open(text)).rejects.toMatchObject({ code: 'LINK_EXPIRED' });
  });

  it('that is forged says nothing about an older one: invalid comes before expired', async () => {
    const text = await links.create(about());
    await clock.advance(1_000);
    await expect(links.open(`${text.slice(0, -2)}xx`)).rejects.toMatchObject({ code: 'LINK_INVALID' });
  });
});

it.each(['', '.', 'lnk_', 'lnk_01JD0000000000000000000009.x', `${'x'.repeat(100)}.y`, 'apr_01JD0000000000000000000000.0', '../lnk.x'])(
  '%j is no link',
  async (text) => {
    await expect(links.open(text)).rejects.toMatchObject({ code: 'LINK_INVALID' });
  },
);
