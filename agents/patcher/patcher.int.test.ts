import { execFileSync, spawnSync } from 'node:child_process';
import { chmod, mkdir, mkdtemp, readFile, readdir, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { agentManifestSchema, riskLevelOf } from '@hivekeeper/contract';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import manifest from './agent.json' with { type: 'json' };
import { isDryRun, patchInputSchema } from './input.ts';
import { type PatchResult, patch } from './patch.ts';

let directory: string;
let target: string;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'patcher-'));
  target = join(directory, 'repository');
  await mkdir(join(target, 'src'), { recursive: true });
  await writeFile(join(target, 'src/a.ts'), 'export const a = 1;\nexport const b = 2;\n');
  await writeFile(join(directory, 'outside.txt'), 'kept\n');
});

afterEach(() => rm(directory, { recursive: true }));

const refactor = (over: object = {}): object => ({
  target,
  operation: 'simple-refactor',
  file: 'src/a.ts',
  changes: { oldValue: 'a = 1', newValue: 'a = 3' },
  ...over,
});
const patched = (given: object): Promise<PatchResult> => {
  const input = patchInputSchema.parse(given);
  return patch({ ...input, dryRun: isDryRun(undefined, input.dryRun) });
};
const create = (file: string): object => ({ target, operation: 'config-update', file, changes: { content: 'new\n' }, dryRun: false });

describe('changing a file', () => {
  it('shows the change and leaves the file alone in a dry run, which is the default', async () => {
    const result = await patched(refactor());
    expect(result).toMatchObject({ applied: false, summary: { filesModified: 1, filesCreated: 0, filesDeleted: 0, totalLinesChanged: 2 } });
    expect(await readFile(join(target, 'src/a.ts'), 'utf8')).toContain('a = 1');
  });

  it('writes the file whole, keeps its mode and leaves nothing else behind', async () => {
    await chmod(join(target, 'src/a.ts'), 0o755);
    expect(await patched(refactor({ dryRun: false }))).toMatchObject({ applied: true });
    expect(await readFile(join(target, 'src/a.ts'), 'utf8')).toBe('export const a = 3;\nexport const b = 2;\n');
    expect((await stat(join(target, 'src/a.ts'))).mode & 0o777).toBe(0o755);
    expect(await readdir(join(target, 'src'))).toEqual(['a.ts']);
  });

  it('gives a rollback that git can apply, for a change, a new file and a deleted one', async () => {
    const before = await readFile(join(target, 'src/a.ts'), 'utf8');
    const edits = [refactor({ dryRun: false }), create('src/deep/new.txt'), { ...create('src/a.ts'), changes: { content: null } }];
    const rollbacks: string[] = [];
    for (const edit of edits) rollbacks.push((await patched(edit)).rollbackScript ?? '');
    expect(await readdir(join(target, 'src'))).toEqual(['deep']);
    for (const rollback of rollbacks.reverse()) execFileSync('git', ['apply', '-'], { cwd: target, input: rollback });
    expect(await readFile(join(target, 'src/a.ts'), 'utf8')).toBe(before);
    await expect(readFile(join(target, 'src/deep/new.txt'))).rejects.toThrow(/ENOENT/);
  });

  it('changes nothing where the text is as wanted already', async () => {
    expect(await patched(refactor({ changes: { oldValue: 'a = 1', newValue: 'a = 1' }, dryRun: false }))).toMatchObject({
      applied: false,
      changes: [],
    });
  });

  it('writes through a link that stays inside the target', async () => {
    await symlink('src/a.ts', join(target, 'link.ts'));
    await patched(refactor({ file: 'link.ts', dryRun: false }));
    expect(await readFile(join(target, 'src/a.ts'), 'utf8')).toContain('a = 3');
  });

  it('does not touch a file that is not text', async () => {
    await writeFile(join(target, 'binary'), Buffer.from([0xff, 0xfe, 0x61]));
    await expect(patched(refactor({ file: 'binary', changes: { oldValue: 'a', newValue: 'b' } }))).rejects.toThrow(/not UTF-8/);
  });

  it('works in a target that is itself reached by a link', async () => {
    await symlink(target, join(directory, 'alias'));
    expect(await patched(refactor({ target: join(directory, 'alias'), dryRun: false }))).toMatchObject({ applied: true });
  });
});

describe('leaving the target', () => {
  it.each([
    ['a parent', '../outside.txt'],
    ['a parent in the middle', 'src/../../outside.txt'],
    ['a parent written for Windows', '..\\outside.txt'],
    ['an absolute path', '/etc/hostname'],
    ['a drive', 'C:\\outside.txt'],
    ['a NUL', 'a\0b'],
    ['a line break', 'a\n+++ b/x'],
    ['the target itself', '.'],
    ['what git runs', '.git/hooks/pre-commit'],
    ['what git runs, on a disk that ignores case', 'sub/.GIT/config'],
  ])('is refused for %s', async (_name, file) => {
    await expect(patched(create(file))).rejects.toMatchObject({ code: 'PATH_NOT_ALLOWED' });
    expect(await readFile(join(directory, 'outside.txt'), 'utf8')).toBe('kept\n');
  });

  it.each<[string, [string, string], string]>([
    ['a link to a file outside', ['file-link', '../outside.txt'], 'file-link'],
    ['a link to a directory outside', ['directory-link', '..'], 'directory-link/outside.txt'],
    ['a new file behind a link that leaves', ['directory-link', '..'], 'directory-link/new/deep.txt'],
    ['a link to nothing, which writing would create', ['dangling', '../created.txt'], 'dangling'],
  ])('is refused for %s', async (_name, [link, destination], file) => {
    await symlink(destination, join(target, link));
    await expect(patched(create(file))).rejects.toMatchObject({ code: 'PATH_NOT_ALLOWED' });
    expect(await readdir(directory)).toEqual(['outside.txt', 'repository']);
    expect(await readFile(join(directory, 'outside.txt'), 'utf8')).toBe('kept\n');
  });
});

describe('the patcher as a process', () => {
  const run = (input?: object | string, action?: string) => {
    const environment = {
      ...(input !== undefined && { AGENT_INPUT: typeof input === 'string' ? input : JSON.stringify(input) }),
      ...(action !== undefined && { HIVE_ACTION: action }),
    };
    return spawnSync(process.execPath, ['index.ts'], { cwd: import.meta.dirname, env: environment, input: '', encoding: 'utf8' });
  };

  it('has a manifest that asks a person first, except to preview', () => {
    const parsed = agentManifestSchema.parse(manifest);
    expect(parsed).toMatchObject({ name: 'patcher', network: false });
    expect(['preview', 'apply', 'patch', undefined].map((action) => riskLevelOf(parsed, action))).toEqual([
      'AUTO',
      'APPROVAL_REQUIRED',
      'APPROVAL_REQUIRED',
      'APPROVAL_REQUIRED',
    ]);
  });

  it('takes the same for both actions, but that a preview cannot be asked to write', () => {
    const [preview, apply] = manifest.capabilities;
    expect({ ...apply?.inputSchema.properties, dryRun: { const: true } }).toEqual(preview?.inputSchema.properties);
  });

  it('writes for apply, does not for preview, and refuses to be told both', async () => {
    const text = () => readFile(join(target, 'src/a.ts'), 'utf8');
    expect(JSON.parse(run(refactor(), 'preview').stdout)).toMatchObject({ applied: false, summary: { filesModified: 1 } });
    for (const [dryRun, action] of [
      [false, 'preview'],
      [true, 'apply'],
    ] as const)
      expect(run(refactor({ dryRun }), action)).toMatchObject({ status: 1, stderr: expect.stringContaining(`the action is ${action}`) });
    expect(await text()).toContain('a = 1');
    expect(JSON.parse(run(refactor(), 'apply').stdout)).toMatchObject({ applied: true });
    expect(await text()).toContain('a = 3');
  });

  it('answers with one JSON document, also by the older name of the target', () => {
    const { status, stdout } = run({ ...refactor(), target: undefined, repositoryPath: target });
    expect(status).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ applied: false, changes: [{ file: 'src/a.ts', action: 'modified', linesChanged: 2 }] });
  });

  it.each([
    ['no input', () => undefined, /no input/],
    ['what is not JSON', () => '{', /not a JSON document/],
    ['a field it does not know', () => refactor({ dryrun: false }), /dryrun/],
    ['a target that is not there', () => refactor({ target: join(directory, 'absent') }), /cannot be read/],
    ['a target that is a file', () => refactor({ target: join(directory, 'outside.txt') }), /not a directory/],
    [
      'a dry run without package.json',
      () => ({ target, changes: { oldValue: 'zod', version: '4' } }),
      /package\.json: the file does not exist/,
    ],
  ])('ends with status 1 and a reason for %s', (_name, inputOf, reason) => {
    const { status, stdout, stderr } = run(inputOf());
    expect(status).toBe(1);
    expect(stdout).toBe('');
    expect(JSON.parse(stderr).error).toMatch(reason);
  });
});
