import { describe, expect, it } from 'vitest';
import { type Ownership, agentIdentity, chooseIdentity, culpritAmong } from './identity.ts';

const machine: Readonly<Record<string, Ownership>> = {
  '/': { uid: 0, gid: 0, mode: 0o755, isDirectory: true },
  '/srv': { uid: 0, gid: 0, mode: 0o755, isDirectory: true },
  '/srv/agent': { uid: 0, gid: 0, mode: 0o755, isDirectory: true },
  '/srv/private': { uid: 0, gid: 0, mode: 0o700, isDirectory: true },
  '/srv/open': { uid: 0, gid: 0, mode: 0o777, isDirectory: true },
  '/root': { uid: 0, gid: 0, mode: 0o700, isDirectory: true },
  '/root/agent': { uid: 0, gid: 0, mode: 0o755, isDirectory: true },
  '/home': { uid: 0, gid: 0, mode: 0o755, isDirectory: true },
  '/home/ann': { uid: 1_000, gid: 1_000, mode: 0o700, isDirectory: true },
  '/home/ann/work': { uid: 1_000, gid: 1_000, mode: 0o755, isDirectory: true },
  '/srv/excluded': { uid: 5, gid: 65_532, mode: 0o707, isDirectory: true },
};
const lookUp = (path: string): Ownership => machine[path] ?? expect.fail(`nobody should look at ${path}`);
const chosen = (...paths: readonly `${'read' | 'write'} ${string}`[]) =>
  chooseIdentity(
    paths.map((text) => ({ access: text.startsWith('read') ? 'read' : 'write', path: text.split(' ')[1] ?? '' })),
    lookUp,
  )?.uid;

describe('who a command of root’s runs as', () => {
  it.each([
    ['nobody in particular, where everybody may read what it sees', ['read /srv/agent'], agentIdentity.uid],
    ['nobody in particular, where everybody may write', ['read /srv/agent', 'write /srv/open'], agentIdentity.uid],
    ['the owner of a home whose path nobody else can walk', ['read /srv/agent', 'read /home/ann/work'], 1_000],
    ['the owner of what it writes to', ['write /home/ann/work'], 1_000],
    ['root, where only root may read', ['read /srv/private'], 0],
    ['root, where only root may walk there', ['read /root/agent'], 0],
    ['root, where it writes to what only root may', ['write /srv/agent'], 0],
    ['not nobody, where the group bits exclude it though others may', ['read /srv/excluded'], 5],
  ] as const)('is %s', (_, paths, uid) => {
    expect(chosen(...paths)).toBe(uid);
  });

  it('is not decided by a directory made for it, which it will own', () => {
    const visible = [
      { path: '/home/ann/work', access: 'read' },
      { path: '/srv/agent', access: 'write', isNew: true },
    ] as const;
    expect(chooseIdentity(visible, lookUp)?.uid).toBe(1_000);
  });

  it('is undecidable where two owners keep what it needs to themselves', () => {
    expect(chosen('read /root/agent', 'read /home/ann/work')).toBeUndefined();
    const paths = ['/srv/agent', '/root/agent', '/home/ann/work'].map((path) => ({ path, access: 'read' as const }));
    expect(culpritAmong(paths, lookUp)?.path).toBe('/home/ann/work');
    expect(culpritAmong(paths.slice(0, 2), lookUp)?.path).toBe('/root/agent');
  });
});
