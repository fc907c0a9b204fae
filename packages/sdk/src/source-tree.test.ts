import { chmodSync, chownSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { HiveError } from '@hivekeeper/contract';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { isGenerated, isTest, listSourceTree, readSource } from './source-tree.ts';

let root: string;
beforeEach(() => void (root = mkdtempSync(join(tmpdir(), 'source-tree-'))));
afterEach(() => rmSync(root, { recursive: true }));

function put(path: string, text: string | Buffer = path): void {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  writeFileSync(join(root, path), text);
}
const isRoot = process.getuid?.() === 0;
const ordinary = 65_534;
/** Permissions do not bind root: for the length of `work` it is somebody else. */
async function asOrdinaryUser(work: () => Promise<void>): Promise<void> {
  if (isRoot) process.seteuid?.(ordinary);
  try {
    await work();
  } finally {
    if (isRoot) process.seteuid?.(0);
  }
}
const pathsOf = async (target: string) => (await listSourceTree(target)).paths;

describe('listSourceTree', () => {
  it('lists what was written, dot files included, and nothing that was installed or built', async () => {
    for (const path of ['a.ts', '.env', 'src/b.py', 'node_modules/x/index.js', 'src/dist/b.js', '.git/config']) put(path);
    expect(await pathsOf(root)).toEqual(['.env', 'a.ts', 'src/b.py']);
  });

  it('leaves fixtures out below the target but not where they are the target', async () => {
    put('tests/fixtures/planted/bad.js');
    put('ok.js');
    expect(await pathsOf(root)).toEqual(['ok.js']);
    expect(await pathsOf(join(root, 'tests/fixtures/planted'))).toEqual(['bad.js']);
  });

  it('obeys every .gitignore, the deeper one first', async () => {
    put('.gitignore', '*.log\n/out/\n');
    put('kept/.gitignore', '!deploy.log\n*.tmp\n');
    for (const path of ['a.log', 'out/x.ts', 'kept/deploy.log', 'kept/a.tmp', 'b.tmp']) put(path);
    expect(await pathsOf(root)).toEqual(['.gitignore', 'b.tmp', 'kept/.gitignore', 'kept/deploy.log']);
  });

  it('takes a single file for a tree of one', async () => {
    put('a.ts');
    expect(await listSourceTree(join(root, 'a.ts'))).toMatchObject({ paths: ['a.ts'] });
  });

  it('refuses a target that is not there', async () => {
    await expect(listSourceTree(join(root, 'missing'))).rejects.toSatisfy((error) => HiveError.is(error) && error.code === 'NOT_FOUND');
  });

  it.each([
    ['000', 0o000],
    ['600', 0o600],
    ['100', 0o100],
  ])('refuses a directory of mode %s, which would look like one with nothing in it', async (_name, mode) => {
    put('locked/bad.js');
    const locked = join(root, 'locked');
    for (const directory of [root, locked]) chmodSync(directory, 0o755);
    if (isRoot) chownSync(locked, ordinary, ordinary);
    await asOrdinaryUser(async () => {
      expect(await pathsOf(locked)).toEqual(['bad.js']);
      chmodSync(locked, mode);
      await expect(listSourceTree(locked)).rejects.toSatisfy((error) => HiveError.is(error) && error.code === 'NOT_FOUND');
      chmodSync(locked, 0o755);
    });
  });
});

describe('what could not be looked at', () => {
  it('is a folder or a file that may not be read, told with its reason; what is left out anyway is not', async () => {
    for (const path of ['a.js', 'shut/bad.js', 'ignored/bad.js', 'node_modules/x/i.js', 'mine.js', '.gitignore']) put(path);
    put('.gitignore', 'ignored/\n');
    chmodSync(root, 0o755);
    const refused = ['shut', 'ignored', 'node_modules', 'mine.js'];
    for (const path of refused) chmodSync(join(root, path), 0o000);
    await asOrdinaryUser(async () => {
      const reason = 'it may not be read';
      expect((await listSourceTree(root)).skipped).toEqual([
        { path: 'mine.js', reason },
        { path: 'shut/', reason },
      ]);
      // May be listed, not entered.
      if (isRoot) process.seteuid?.(0);
      chmodSync(join(root, 'shut'), 0o644);
      if (isRoot) process.seteuid?.(ordinary);
      expect((await listSourceTree(root)).skipped.map(({ path }) => path)).toEqual(['mine.js', 'shut/']);
    });
    for (const path of refused) chmodSync(join(root, path), 0o755);
    expect((await listSourceTree(root)).skipped).toEqual([]);
  });

  it('is a name that is not UTF-8, and no name that holds a line break', async () => {
    put('a\nb/c\nd.js');
    writeFileSync(Buffer.concat([Buffer.from(`${root}/`), Buffer.from([0xff, 0x2e, 0x6a, 0x73])]), '');
    const tree = await listSourceTree(root);
    expect(tree.paths).toContain('a\nb/c\nd.js');
    expect(readSource(tree, 'a\nb/c\nd.js')).toBe('a\nb/c\nd.js');
    expect(tree.skipped).toEqual([{ path: '\ufffd.js', reason: 'its name is not UTF-8' }]);
  });
});

describe('readSource', () => {
  it('reads text but no binary, no large file and no vanished one', async () => {
    put('a.ts', 'text');
    put('b.bin', Buffer.from([1, 0, 2]));
    const tree = await listSourceTree(root);
    expect(readSource(tree, 'a.ts')).toBe('text');
    expect(readSource(tree, 'a.ts', 3)).toBeUndefined();
    expect(readSource(tree, 'b.bin')).toBeUndefined();
    expect(readSource(tree, 'gone')).toBeUndefined();
  });

  it('does not follow links out of the target', async () => {
    put('outside/secret.txt');
    put('inside/a.txt');
    symlinkSync(join(root, 'outside'), join(root, 'inside/folder'));
    symlinkSync(join(root, 'outside/secret.txt'), join(root, 'inside/file.txt'));
    const tree = await listSourceTree(join(root, 'inside'));
    expect(tree.paths.filter((path) => path.includes('secret'))).toEqual([]);
    expect(tree.paths.filter((path) => readSource(tree, path) !== undefined)).toEqual(['a.txt']);
    expect(readSource(tree, 'file.txt')).toBeUndefined();
  });
});

it.each(['package-lock.json', 'web/app.min.js', 'a/yarn.lock', 'x.js.map'])('counts %s as generated', (path) =>
  expect(isGenerated(path)).toBe(true),
);
it.each(['lock.ts', 'src/admin.js', 'package.json'])('counts %s as written', (path) => expect(isGenerated(path)).toBe(false));
it.each(['a.test.ts', 'tests/a.ts', 'src/__tests__/a.js', 'test_orders.py', 'orders_test.go'])('counts %s as a test', (path) =>
  expect(isTest(path)).toBe(true),
);
it.each(['src/latest.ts', 'testkit/a.ts', 'contest.py'])('does not count %s as a test', (path) => expect(isTest(path)).toBe(false));
