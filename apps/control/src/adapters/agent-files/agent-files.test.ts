import { chmod, mkdir, mkdtemp, readdir, readFile, realpath, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { HiveError } from '@hivekeeper/contract';
import { newLog } from '@hivekeeper/kernel';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { AgentFiles } from '../../records/registry/index.ts';
import { diskAgentFiles } from './agent-files.ts';

let root: string;
let logged: string[];
let files: AgentFiles;

beforeEach(async () => {
  root = await realpath(await mkdtemp(join(tmpdir(), 'agent-files-')));
  logged = [];
  files = filesIn(process.env);
});
afterEach(() => rm(root, { recursive: true, force: true }));

const filesIn = (environment: Readonly<Record<string, string | undefined>>): AgentFiles =>
  diskAgentFiles({
    shippedDirectory: join(root, 'shipped'),
    environment,
    log: newLog({ level: 'info', component: 'test', destination: { write: (line) => void logged.push(line) } }),
  });

/** Writes files below the test's directory; gives the first one's directory. */
async function write(contents: Readonly<Record<string, string | object>>): Promise<string> {
  for (const [name, content] of Object.entries(contents)) {
    await mkdir(dirname(join(root, name)), { recursive: true });
    await writeFile(join(root, name), typeof content === 'string' ? content : JSON.stringify(content));
  }
  return join(root, dirname(Object.keys(contents)[0] ?? ''));
}

const faultOf = (path: string, given = {}) =>
  files.read(path, given).then(
    () => 'none',
    (error: unknown) => (HiveError.is(error) ? error.code : String(error)),
  );
const installs = () => logged.filter((line) => line.includes('installing')).length;

describe('an agent in a directory', () => {
  it('is what its manifest says, with defaults, and what is given instead', async () => {
    const directory = await write({ 'scan/agent.json': { name: 'scan', version: '1.2.3' }, 'scan/index.ts': '' });
    expect(await files.read(directory, { riskLevel: 'APPROVAL_REQUIRED', description: undefined } as never)).toMatchObject({
      name: 'scan',
      version: '1.2.3',
      entry: 'index.ts',
      runtime: 'node',
      riskLevel: 'APPROVAL_REQUIRED',
      directory,
      trust: 'untrusted',
    });
  });

  it('is trusted below the product’s own agents only, by its real place', async () => {
    const shipped = await write({ 'shipped/a/index.ts': '' });
    const other = await write({ 'shipped-not/a/index.ts': '' });
    const outside = await write({ 'outside/index.ts': '' });
    await symlink(outside, join(root, 'shipped', 'link'));
    expect((await files.read(shipped, {})).trust).toBe('trusted');
    expect((await files.read(other, {})).trust).toBe('untrusted');
    expect((await files.read(join(root, 'shipped', 'link'), {})).trust).toBe('untrusted');
  });

  it.each([
    ['is not JSON', '{'],
    ['is no object', '[1]'],
    ['is null', 'null'],
    ['has no name', { version: '1.0.0' }],
    ['has a version that is none', { name: 'a', version: 'new' }],
    ['says something unknown', { name: 'a', version: '1.0.0', sudo: true }],
    ['claims to be trusted', { name: 'a', version: '1.0.0', trust: 'trusted' }],
    ['names a runtime that does not exist', { name: 'a', version: '1.0.0', runtime: 'perl' }],
  ])('is refused when its manifest %s', async (_what, manifest) => {
    expect(await faultOf(await write({ 'a/agent.json': manifest, 'a/index.ts': '' }))).toBe('AGENT_INVALID');
  });

  it.each(['../secret.ts', 'missing.ts', 'link.ts', '/etc/passwd', 'folder', '.'])('is refused when its entry is %s', async (entry) => {
    const directory = await write({ 'a/agent.json': { name: 'a', version: '1.0.0', entry }, 'a/folder/index.ts': '', 'secret.ts': '' });
    await symlink(join(root, 'secret.ts'), join(directory, 'link.ts'));
    expect(await faultOf(directory)).toBe('AGENT_INVALID');
  });

  it('is refused without manifest and without anything to start', async () => {
    expect(await faultOf(await write({ 'a/README.md': '' }))).toBe('AGENT_INVALID');
  });
});

it('an agent that is elsewhere has nothing here but its manifest, and nothing is installed for it', async () => {
  const http = { url: 'https://agents.example.com/', secretVariable: 'SECRET' };
  const directory = await write({
    'far/agent.json': { name: 'far', version: '1.0.0', kind: 'http', http },
    'far/package.json': { dependencies: { x: '1' } },
  });
  expect(await files.read(directory, {})).toMatchObject({ kind: 'http', http, trust: 'untrusted' });
  expect(installs()).toBe(0);
});

describe('an agent in a single file', () => {
  it('owns nothing beside it, unless a manifest says that the directory is its own', async () => {
    await write({ 'home/solo.py': '', 'home/diary': 'secret', 'mine/agent.json': { name: 'mine', version: '1.0.0' }, 'mine/other.ts': '' });
    expect(await files.read(join(root, 'home', 'solo.py'), {})).toMatchObject({ entry: 'solo.py', isSingleFile: true });
    expect(await files.read(join(root, 'mine', 'other.ts'), {})).not.toHaveProperty('isSingleFile');
    await write({ 'folder/main.py': '' });
    expect(await files.read(join(root, 'folder'), {})).not.toHaveProperty('isSingleFile');
  });

  it.each([
    ['tool.ts', 'tool', 'node'],
    ['tool.py', 'tool', 'python'],
    ['tool', 'tool', 'exec'],
    ['index.mjs', 'single', 'node'],
    ['main.py', 'single', 'python'],
  ])('%s is named %s and runs with %s', async (file, name, runtime) => {
    await write({ [`single/${file}`]: '' });
    expect(await files.read(join(root, 'single', file), {})).toMatchObject({ name, runtime, entry: file, directory: join(root, 'single') });
  });

  it('takes all but the entry from a manifest beside it', async () => {
    await write({ 'a/agent.json': { name: 'pair', version: '2.0.0', entry: 'other.ts' }, 'a/this.ts': '' });
    expect(await files.read(join(root, 'a', 'this.ts'), {})).toMatchObject({ name: 'pair', entry: 'this.ts' });
  });
});

it.each(['relative/path', '/nothing/is/here'])('refuses the path %s', async (path) => {
  expect(await faultOf(path)).toBe('AGENT_INVALID');
});

describe('the dependencies of an agent', () => {
  const dependent = () =>
    write({
      'a/agent.json': { name: 'a', version: '1.0.0' },
      'a/index.ts': '',
      'a/package.json': {
        name: 'a',
        version: '1.0.0',
        dependencies: { greeter: 'file:../greeter' },
        scripts: { preinstall: 'touch ../ran' },
      },
      'greeter/package.json': { name: 'greeter', version: '1.0.0', scripts: { install: 'touch ../ran' } },
      'greeter/index.js': '',
    });

  it('are installed once, without scripts, and without a trace in the author’s files', async () => {
    const directory = await dependent();
    await Promise.all([files.read(directory, {}), files.read(directory, {})]);
    await files.read(directory, {});
    expect(installs()).toBe(1);
    expect(await readdir(join(directory, 'node_modules'))).toContain('greeter');
    expect((await readdir(directory)).sort()).toEqual(['agent.json', 'index.ts', 'node_modules', 'package.json']);
    expect(await readdir(root)).not.toContain('ran');
  }, 60_000);

  it('are installed again when the manifest changes', async () => {
    const directory = await dependent();
    await files.read(directory, {});
    await write({ 'a/package.json': { name: 'a', version: '1.0.1', dependencies: { greeter: 'file:../greeter' } } });
    await files.read(directory, {});
    expect(installs()).toBe(2);
  }, 60_000);

  it('are left as they are where their author has installed them, development tools and all', async () => {
    const directory = await dependent();
    await write({ 'a/node_modules/.package-lock.json': {}, 'a/node_modules/tool/index.js': '' });
    await files.read(join(directory, 'index.ts'), {});
    expect(installs()).toBe(0);
    expect((await readdir(join(directory, 'node_modules'))).sort()).toEqual(['.package-lock.json', 'tool']);
  });

  it('are installed anew where an installation was cut short', async () => {
    const directory = await dependent();
    await write({ 'a/node_modules/half/index.js': '' });
    await files.read(directory, {});
    expect(installs()).toBe(1);
    expect(await readdir(join(directory, 'node_modules'))).toContain('greeter');
  }, 60_000);

  it('follow the lockfile where there is one', async () => {
    const directory = await dependent();
    const link = { '../greeter': { version: '1.0.0' }, 'node_modules/greeter': { resolved: '../greeter', link: true } };
    await write({
      'a/package-lock.json': {
        name: 'a',
        version: '1.0.0',
        lockfileVersion: 3,
        packages: { '': { name: 'a', version: '1.0.0', dependencies: { greeter: 'file:../greeter' } }, ...link },
      },
    });
    await files.read(directory, {});
    await files.read(directory, {});
    expect(installs()).toBe(1);
    expect(await readdir(join(directory, 'node_modules'))).toContain('greeter');
  }, 60_000);

  it('that cannot be installed make it invalid', async () => {
    expect(
      await faultOf(
        await write({ 'a/index.ts': '', 'a/package.json': { dependencies: { gone: 'file:../gone' } }, 'a/package-lock.json': {} }),
      ),
    ).toBe('AGENT_INVALID');
    expect(await faultOf(await write({ 'b/index.ts': '', 'b/package.json': '{' }))).toBe('AGENT_INVALID');
  }, 60_000);

  it('need no npm where there are none', async () => {
    files = filesIn({ PATH: '/nonexistent' });
    expect(await faultOf(await write({ 'a/index.ts': '', 'a/package.json': { name: 'a' } }))).toBe('none');
  });

  it('are installed by an npm that sees none of our secrets', async () => {
    const bin = await write({ 'bin/npm': '#!/bin/sh\n/usr/bin/env > ../seen\n' });
    await chmod(join(bin, 'npm'), 0o755);
    files = filesIn({
      PATH: bin,
      HOME: root,
      DATABASE_URL: 'postgres://secret',
      HIVE_TOKEN: 'secret',
      HTTPS_PROXY: 'http://127.0.0.1:1',
      npm_config_registry: 'http://127.0.0.1:1',
    });
    await files.read(await dependent(), {});
    const seen = await readFile(join(root, 'seen'), 'utf8');
    expect(seen).not.toContain('secret');
    expect(seen).toContain('HTTPS_PROXY=');
    expect(seen).toContain('npm_config_registry=');
  });
});
