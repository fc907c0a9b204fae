import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type CheckResult, check } from './check.ts';
import { checkInputSchema } from './input.ts';

let target: string;

beforeEach(async () => {
  target = await mkdtemp(join(tmpdir(), 'compliance-'));
});
afterEach(() => rm(target, { recursive: true }));

type Files = Readonly<Record<string, string | object>>;

async function checked(files: Files, over: object = {}): Promise<CheckResult> {
  for (const [path, content] of Object.entries(files)) {
    await mkdir(dirname(join(target, path)), { recursive: true });
    await writeFile(join(target, path), typeof content === 'string' ? content : JSON.stringify(content, null, 2));
  }
  return check(checkInputSchema.parse({ target, ...over }));
}

const found = ({ violations }: CheckResult): unknown[] =>
  violations.map(({ severity, rule, file, line }) => [severity, rule, file, ...(line === undefined ? [] : [line])]);

/** Put together here, so that no scanner takes this test for a leak. */
const privateKey = ['-----BEGIN RSA', 'PRIVATE KEY-----'].join(' ');

describe('licences of a repository', () => {
  const scope = { scope: 'licenses' };
  const gpl = { name: 'gpl', version: '1.0.0', license: 'GPL-3.0-only' };

  it('asks for a licence file', async () => {
    expect(found(await checked({ 'README.md': '' }, scope))).toEqual([['warning', 'license-file-missing', 'LICENSE']]);
  });

  it.each(['LICENSE', 'licence.md', 'COPYING', 'LICENSE-MIT', 'LICENSES/MIT.txt'])('takes %s for one', async (file) => {
    expect(found(await checked({ [file]: 'text' }, scope))).toEqual([]);
  });

  it('asks for none where the work says that it is private', async () => {
    expect(found(await checked({ 'package.json': { license: 'UNLICENSED' } }, scope))).toEqual([]);
  });

  it('reads what is installed, nested and scoped, and knows from the lock file what ships', async () => {
    const result = await checked(
      {
        LICENSE: '',
        '.gitignore': 'node_modules',
        'package.json': { dependencies: { a: '1' } },
        'package-lock.json': {
          packages: { 'node_modules/a': {}, 'node_modules/a/node_modules/gpl': {}, 'node_modules/@s/agpl': { dev: true } },
        },
        'node_modules/a/package.json': { name: 'a', version: '1.0.0', license: 'MIT' },
        'node_modules/a/node_modules/gpl/package.json': gpl,
        'node_modules/@s/agpl/package.json': { name: '@s/agpl', version: '2.0.0', licenses: [{ type: 'AGPL-3.0' }] },
      },
      scope,
    );
    expect(found(result)).toEqual([
      ['critical', 'license-copyleft', 'node_modules/a/node_modules/gpl/package.json'],
      ['info', 'license-copyleft', 'node_modules/@s/agpl/package.json'],
    ]);
    expect(result.summary).toEqual({ total: 2, critical: 1, warning: 0, info: 1, passed: false });
    expect(result.checkedFiles).toBe(5);
  });

  it('works without a lock file, in the layout of pnpm too, and counts a package once', async () => {
    const files: Files = {
      LICENSE: '',
      'package.json': { dependencies: { gpl: '1' }, devDependencies: { tool: '1' } },
      'node_modules/.pnpm/gpl@1.0.0/node_modules/gpl/package.json': gpl,
      'node_modules/.pnpm/other@1.0.0/node_modules/gpl/package.json': gpl,
      'node_modules/.pnpm/tool@1.0.0/node_modules/tool/package.json': { name: 'tool', version: '1.0.0' },
    };
    expect(found(await checked(files, scope))).toEqual([
      ['critical', 'license-copyleft', 'node_modules/.pnpm/gpl@1.0.0/node_modules/gpl/package.json'],
      ['info', 'license-missing', 'node_modules/.pnpm/tool@1.0.0/node_modules/tool/package.json'],
    ]);
  });

  it('reads the lock file where nothing is installed, and names the line', async () => {
    const foreign = { version: '1.0.0', license: 'GPL-2.0' };
    const packages = { '': { name: 'x' }, 'packages/own': {}, 'node_modules/own': { link: true }, 'node_modules/gpl': foreign };
    expect(found(await checked({ LICENSE: '', 'package.json': {}, 'package-lock.json': { packages } }, scope))).toEqual([
      ['critical', 'license-copyleft', 'package-lock.json', 10],
    ]);
  });

  it('does not follow a linked dependency out of the target', async () => {
    await mkdir(join(target, 'node_modules'));
    await symlink('/', join(target, 'node_modules/escape'));
    expect(found(await checked({ LICENSE: '', 'package.json': {} }, scope))).toEqual([]);
  });
});

describe('security headers of a repository', () => {
  const scope = { scope: 'security-headers' };
  const server = "import express from 'express';\n\nexpress().listen(80);\n";

  it('are missed once per project, at its first server', async () => {
    const files = {
      'api/package.json': {},
      'api/src/a.ts': server,
      'api/src/b.ts': server,
      'web/package.json': {},
      'web/server.js': server,
    };
    expect(found(await checked(files, scope))).toEqual([
      ['warning', 'security-headers-missing', 'api/src/a.ts', 3],
      ['warning', 'security-headers-missing', 'web/server.js', 3],
    ]);
  });

  it('may be set in another file of the project, but not of another project', async () => {
    const files = {
      'api/package.json': {},
      'api/a.ts': server,
      'api/headers.ts': "import helmet from 'helmet';",
      'web/package.json': {},
      'web/a.ts': server,
    };
    expect(found(await checked(files, scope))).toEqual([['warning', 'security-headers-missing', 'web/a.ts', 3]]);
  });

  it('are not asked of tests, examples and fixtures', async () => {
    expect(
      found(await checked({ 'a.test.ts': server, 'tests/b.ts': server, 'examples/c.js': server, 'src/fixtures/d.ts': server }, scope)),
    ).toEqual([]);
  });
});

describe('files that hold secrets', () => {
  const scope = { scope: 'secrets' };

  it('are found by what they are, without repeating a value', async () => {
    const result = await checked(
      {
        '.env': '# settings\nPORT=80\nexport API_TOKEN=hunter2hunter2\n',
        'deploy/.env.production': 'DATABASE_URL=postgres://user:hunter2@db/x\n',
        'config/app.env': 'PORT=80\n',
        'keys/server.pem': `first\n${privateKey}\n`,
        'tests/server.key': privateKey,
        id_ed25519: privateKey.replace('RSA', 'OPENSSH'),
        'store.p12': 'binary\0',
        'der.key': 'binary\0',
        '.npmrc': 'registry=https://r/\n//r/:_authToken=hunter2\n',
      },
      scope,
    );
    expect(found(result)).toEqual([
      ['critical', 'secret-env-file', '.env', 3],
      ['critical', 'secret-npm-token', '.npmrc', 2],
      ['critical', 'secret-env-file', 'deploy/.env.production', 1],
      ['critical', 'secret-private-key', 'id_ed25519', 1],
      ['critical', 'secret-private-key', 'keys/server.pem', 2],
      ['warning', 'secret-env-file', 'config/app.env'],
      ['warning', 'secret-private-key', 'der.key'],
      ['warning', 'secret-key-store', 'store.p12'],
      ['warning', 'secret-private-key', 'tests/server.key', 1],
    ]);
    expect(JSON.stringify(result)).not.toContain('hunter2');
  });

  it('are not what git ignores, examples, certificates, empty values and references', async () => {
    const files = {
      '.gitignore': '.env\n*.key\n',
      '.env': 'API_TOKEN=hunter2hunter2',
      'a.key': privateKey,
      '.env.example': 'API_TOKEN=hunter2hunter2',
      '.env.local.sample': 'API_TOKEN=hunter2hunter2',
      '.env.test': 'API_TOKEN=\nPASSWORD=changeme\n',
      'cert.pem': '-----BEGIN CERTIFICATE-----',
      '.npmrc': '//r/:_authToken=${NPM_TOKEN}\n# _authToken=old\n',
      'environment.ts': 'API_TOKEN=hunter2hunter2',
    };
    expect(found(await checked(files, scope))).toEqual([]);
  });
});

describe('the check as a whole', () => {
  it('lets warnings fail it in strict mode only', async () => {
    expect((await checked({})).summary).toMatchObject({ warning: 1, passed: true });
    expect((await checked({}, { strictMode: true })).summary).toMatchObject({ warning: 1, passed: false });
  });

  it('names the rules of its scope and no other', async () => {
    expect((await checked({}, { scope: 'security-headers' })).rulesApplied).toEqual(['security-headers-missing']);
    expect((await checked({})).rulesApplied).toHaveLength(10);
  });
});
