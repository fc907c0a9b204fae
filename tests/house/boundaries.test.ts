import { execFile } from 'node:child_process';
import { mkdtemp, mkdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ESLint } from 'eslint';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

const root = fileURLToPath(new URL('../..', import.meta.url));
const cruiser = join(root, 'node_modules/dependency-cruiser/bin/dependency-cruiser.mjs');

interface Cruise {
  readonly totalCruised: number;
  readonly violations: readonly { readonly rule: { readonly name: string }; readonly from: string }[];
}

// dependency-cruiser ends with the number of violations; what it printed is the answer either way.
const cruise = (cwd: string): Promise<Cruise> =>
  new Promise((resolve, reject) => {
    execFile(
      process.execPath,
      [cruiser, '--config', join(root, '.dependency-cruiser.cjs'), '--output-type', 'json', 'apps', 'packages'],
      { cwd, maxBuffer: 64 * 1024 * 1024 },
      (_error, stdout, stderr) => {
        if (stdout === '') reject(new RangeError(stderr));
        else resolve((JSON.parse(stdout) as { readonly summary: Cruise }).summary);
      },
    );
  });

describe('the walls between the parts', () => {
  let house: string;
  beforeEach(async () => {
    house = await mkdtemp(join(tmpdir(), 'hive-house-'));
    await write('tsconfig.json', '{ "compilerOptions": { "module": "nodenext", "allowImportingTsExtensions": true, "noEmit": true } }');
    for (const floor of ['apps', 'packages']) await mkdir(join(house, floor));
  });
  afterEach(() => rm(house, { recursive: true, force: true }));

  async function write(path: string, text: string): Promise<void> {
    await mkdir(dirname(join(house, path)), { recursive: true });
    await writeFile(join(house, path), text);
  }
  const rulesBroken = async () => [...new Set((await cruise(house)).violations.map(({ rule }) => rule.name))];

  it('are looked for in the modules there are', async () => {
    expect((await cruise(root)).totalCruised).toBeGreaterThan(50);
  });

  it('let an orderly house pass', async () => {
    await write('apps/control/src/main.ts', "import { run } from './flow/runs/index.ts';\nrun();\n");
    await write('apps/control/src/flow/runs/index.ts', 'export const run = () => undefined;\n');
    expect(await rulesBroken()).toEqual([]);
  });

  it.each([
    [
      'a part entered by the window',
      'knock-at-the-door',
      { 'apps/control/src/main.ts': "import './flow/runs/core.ts';\n", 'apps/control/src/flow/runs/core.ts': 'export const a = 1;\n' },
    ],
    [
      'an app that imports another',
      'apps-are-leaves',
      { 'apps/cli/src/main.ts': "import '../../control/src/main.ts';\n", 'apps/control/src/main.ts': 'export const a = 1;\n' },
    ],
    [
      'records that know the flow',
      'records-stand-alone',
      {
        'apps/control/src/records/audit/index.ts': "import '../../flow/runs/index.ts';\n",
        'apps/control/src/flow/runs/index.ts': 'export const a = 1;\n',
      },
    ],
    ['a client that needs Node', 'client-runs-in-a-browser', { 'packages/client/src/main.ts': "import 'node:fs';\n" }],
    [
      'a circle, also of types',
      'no-circles',
      {
        'packages/kernel/src/main.ts': "import type { B } from './b.ts';\nexport type A = B;\n",
        'packages/kernel/src/b.ts': "import type { A } from './main.ts';\nexport type B = A | 1;\n",
      },
    ],
    [
      'production code that uses fakes',
      'testkit-is-for-tests',
      {
        'apps/worker/src/main.ts': "import '../../../packages/testkit/src/main.ts';\n",
        'packages/testkit/src/main.ts': 'export const a = 1;\n',
      },
    ],
  ])('stop %s', async (_what, rule, files) => {
    for (const [path, text] of Object.entries(files)) await write(path, text);
    expect(await rulesBroken()).toContain(rule);
  });
});

describe('the law of the line', () => {
  // ESLint reads its configuration with require and import of its own; it is asked for texts, not for files.
  const eslint = new ESLint({ cwd: root });
  const faultsOf = async (text: string, filePath = 'apps/control/src/flow/runs/example.ts') => {
    const [result] = await eslint.lintText(text, { filePath: join(root, filePath) });
    return result?.messages.map(({ ruleId, message }) => `${ruleId}: ${message}`) ?? [];
  };

  it('lets an orderly line pass', async () => {
    expect(await faultsOf('export interface Options {\n  readonly timeoutMs: number;\n}\n')).toEqual([]);
  });

  it.each([
    [
      'a quantity without its unit',
      'export interface Options {\n  readonly timeout: number;\n}\n',
      'no-restricted-syntax: Name the unit: timeoutMs, ttlSeconds.',
    ],
    [
      'an error without a code',
      "export const fail = () => {\n  throw new Error('no');\n};\n",
      'no-restricted-syntax: Throw a coded error (HiveError).',
    ],
    [
      'a clock that is no parameter',
      'export const nowMs = () => Date.now();\n',
      "no-restricted-properties: 'Date.now' is restricted from being used. Use Clock.",
    ],
    [
      'a timer that is no parameter',
      'export const wait = () => setTimeout(() => undefined, 1);\n',
      "no-restricted-globals: Unexpected use of 'setTimeout'.",
    ],
    [
      'an environment read in passing',
      'export const home = () => process.env.HOME;\n',
      "no-restricted-properties: 'process.env' is restricted from being used. Read config.ts.",
    ],
    ['a default export', 'export default 1;\n', 'no-restricted-syntax: Named exports only.'],
    [
      'any',
      'export const open = (value: any) => value;\n',
      '@typescript-eslint/no-explicit-any: Unexpected any. Specify a different type.',
    ],
  ])('stops %s', async (_what, text, fault) => {
    expect(await faultsOf(text)).toEqual([fault]);
  });

  it('stops a test that does not run', async () => {
    expect(
      await faultsOf("import { it } from 'vitest';\nit.skip('later', () => undefined);\n", 'apps/control/src/flow/runs/example.test.ts'),
    ).toEqual(['no-restricted-syntax: Every test runs.']);
  });
});
