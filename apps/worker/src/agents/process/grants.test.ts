import { existsSync, mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { HiveError, type JsonObject } from '@hivekeeper/contract';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { resolveGrants } from './grants.ts';

let top: string;
let root: string;
beforeEach(() => {
  top = realpathSync(mkdtempSync(join(tmpdir(), 'hive-grants-')));
  root = join(top, 'root');
  mkdirSync(join(root, 'project'), { recursive: true });
  mkdirSync(join(top, 'root-not'));
  mkdirSync(join(top, 'outside'));
});
afterEach(() => rmSync(top, { recursive: true, force: true }));

const workspace = (roots = [root]) => ({ roots, protectedDirectories: [], isSealed: (path: string) => path.includes('sealed') });
const grant = (access: 'read' | 'write', input: JsonObject) => resolveGrants([{ field: 'target', access }], input, workspace());
const refusal = (access: 'read' | 'write', target: JsonObject[string]) => {
  try {
    return grant(access, { target });
  } catch (error) {
    return HiveError.is(error) ? `${error.code} ${error.message}` : error;
  }
};

describe('a path grant', () => {
  it('makes the path visible that the input names', () => {
    expect(grant('read', { target: join(root, 'project') }).visiblePaths).toEqual([{ path: join(root, 'project'), access: 'read' }]);
    expect(grant('write', { target: root }).visiblePaths).toEqual([{ path: root, access: 'write' }]);
  });

  it('grants nothing where the input lacks the field', () => {
    expect(grant('read', {}).visiblePaths).toEqual([]);
    expect(grant('read', { target: null }).visiblePaths).toEqual([]);
  });

  it('leads through links to where they end, and tells the agent that name', () => {
    symlinkSync(join(root, 'project'), join(top, 'link'));
    expect(grant('read', { target: join(top, 'link'), depth: 2 })).toEqual({
      visiblePaths: [{ path: join(root, 'project'), access: 'read' }],
      input: { target: join(root, 'project'), depth: 2 },
    });
  });

  it('may name a file', () => {
    writeFileSync(join(root, 'file'), '');
    expect(grant('read', { target: join(root, 'file') }).visiblePaths).toHaveLength(1);
  });

  it('to write makes a directory that is not there yet, below a root', () => {
    const path = join(root, 'new', 'deep');
    expect(grant('write', { target: path }).visiblePaths).toEqual([{ path, access: 'write', isNew: true }]);
    expect(existsSync(path)).toBe(true);
    expect(grant('write', { target: path }).visiblePaths).toEqual([{ path, access: 'write' }]);
  });

  it.each([
    ['is relative', 'project', 'not an absolute path'],
    ['is no text', 7, 'not an absolute path'],
    ['is a list', ['/srv'], 'not an absolute path'],
    ['holds U+0000', '/srv\0/x', 'not an absolute path'],
    ['is the top of the tree', '/', 'outside the workspace roots'],
    ['is another’s', '/etc/passwd', 'outside the workspace roots'],
  ])('is refused where it %s', (_, target, reason) => {
    expect(refusal('read', target)).toMatch(/^PATH_NOT_ALLOWED The input's target/);
    expect(refusal('write', target)).toContain(reason);
  });

  it('is refused in words that name the roots and how to add one', () => {
    expect(refusal('read', '/etc/passwd')).toContain(`outside the workspace roots (${root}; --root adds one)`);
  });

  it('is refused where it climbs out of its root, or only begins like one', () => {
    expect(refusal('read', `${root}/../outside`)).toContain('outside the workspace roots');
    expect(refusal('read', join(top, 'root-not'))).toContain('outside the workspace roots');
  });

  it('is refused where a link leads out, also in the middle of a directory to be made', () => {
    symlinkSync(join(top, 'outside'), join(root, 'link'));
    expect(refusal('read', join(root, 'link'))).toContain('outside the workspace roots');
    expect(refusal('write', join(root, 'link', 'new'))).toContain('outside the workspace roots');
    expect(existsSync(join(top, 'outside', 'new'))).toBe(false);
  });

  it('to read is refused where nothing is there', () => {
    expect(refusal('read', join(root, 'absent'))).toContain('there is no such file or directory');
    expect(existsSync(join(root, 'absent'))).toBe(false);
  });

  it('is refused at a link that leads nowhere', () => {
    symlinkSync(join(root, 'absent'), join(root, 'dangling'));
    expect(refusal('write', join(root, 'dangling'))).toContain('PATH_NOT_ALLOWED');
  });

  it('is refused on, in and by a link into what is protected, and in what is not there yet', () => {
    const data = join(root, 'data');
    mkdirSync(join(data, 'reports'), { recursive: true });
    writeFileSync(join(data, 'admin.key'), 'secret');
    symlinkSync(data, join(root, 'link'));
    const guarded = { ...workspace([root, data, join(data, 'reports')]), protectedDirectories: [data] };
    const ask = (access: 'read' | 'write', target: string) => () => resolveGrants([{ field: 'target', access }], { target }, guarded);
    for (const target of [data, join(data, 'admin.key'), join(root, 'link', 'admin.key'), join(data, 'reports', '..')])
      expect(ask('read', target)).toThrow('kept from agents');
    expect(ask('write', join(data, 'new'))).toThrow('kept from agents');
    expect(existsSync(join(data, 'new'))).toBe(false);
    expect(ask('write', join(root, 'link', 'reports', 'today'))().visiblePaths).toEqual([
      { path: join(data, 'reports', 'today'), access: 'write', isNew: true },
    ]);
  });

  it('is refused over the system’s own directories, whatever the roots', () => {
    expect(() => resolveGrants([{ field: 'target', access: 'write' }], { target: '/usr/share' }, workspace(['/usr']))).toThrow(
      'it belongs to the system',
    );
  });

  it('is refused where other agents could be reached through it', () => {
    mkdirSync(join(root, 'sealed'));
    expect(refusal('read', join(root, 'sealed'))).toBe(
      "PATH_NOT_ALLOWED The input's target cannot be granted: the sockets of other agents lie there.",
    );
  });
});
