import { chmod, mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { accountFor, canReach, openDirectory } from './account.ts';

const me = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };
const stranger = { uid: 65_534, gid: 65_534 };

describe('who the server runs as', () => {
  it('is never root', async () => {
    expect((await accountFor(undefined)).uid).not.toBe(0);
  });

  it('is the owner of the cluster for root, and anybody else is refused', async () => {
    const owner = { uid: 54_321, gid: 54_321 };
    if (me.uid === 0) expect(await accountFor(owner)).toEqual(owner);
    else
      await expect(accountFor(owner)).rejects.toMatchObject({
        code: 'CONFIGURATION_INVALID',
        message: expect.stringContaining('uid 54321'),
      });
  });
});

describe('whether a path can be reached', () => {
  let base: string;

  beforeEach(async () => {
    base = await mkdtemp(join(tmpdir(), 'account-'));
    await chmod(base, 0o755);
    await mkdir(join(base, 'open', 'inner'), { recursive: true });
  });
  afterEach(() => rm(base, { recursive: true, force: true }));

  it('needs every directory above it to be passable', async () => {
    expect(await canReach(join(base, 'open', 'inner'), stranger)).toBe(true);
    await chmod(join(base, 'open'), 0o700);
    expect(await canReach(join(base, 'open', 'inner'), stranger)).toBe(false);
    expect(await canReach(join(base, 'open', 'inner'), me)).toBe(true);
  });

  it('goes by the bits of the owner alone where the account owns it, and of the group where it is in that', async () => {
    await chmod(join(base, 'open'), 0o011);
    expect(await canReach(join(base, 'open'), me)).toBe(false);
    await chmod(join(base, 'open'), 0o701);
    expect(await canReach(join(base, 'open'), { uid: stranger.uid, gid: me.gid })).toBe(false);
    expect(await canReach(join(base, 'open'), stranger)).toBe(true);
  });

  it('a directory of ours can be passed whatever the umask', async () => {
    const before = process.umask(0o077);
    try {
      await openDirectory(join(base, 'ours'));
    } finally {
      process.umask(before);
    }
    expect(await canReach(join(base, 'ours'), stranger)).toBe(true);
  });
});
