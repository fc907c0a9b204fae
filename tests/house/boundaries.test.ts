import { execFile } from 'node:child_process';
import { mkdtemp, mkdir, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ESLint } from 'eslint';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

const root = fileURLToPath(new URL('../..', import.meta.url));
const cruiser = join(root, 'node_modules/dependency-cruiser/bin/dependency-cruiser.mjs');

interface Cruise {
  readonly totalCruised: number;
  readonly violations: readonly { readonly rule: { readonly name: string }; readonly from: string; readonly to: string }[];
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

const specifierOf = (importer: string, imported: string) =>
  imported.startsWith('node:') ? imported : relative(dirname(importer), imported).replace(/^(?!\.)/, './');

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

  /** One import each that its rule, and the rules beside it, have to see. */
  const wrongWays: readonly (readonly [rule: string, importer: string, imported: string])[] = [
    ['knock-at-the-door', 'apps/control/src/main.ts', 'apps/control/src/flow/runs/core.ts'],
    ['knock-at-the-neighbours-door', 'apps/control/src/flow/runs/index.ts', 'apps/control/src/flow/tickets/desk.ts'],
    ['siblings-do-not-talk', 'apps/control/src/records/keys/index.ts', 'apps/control/src/records/registry/index.ts'],
    ['apps-are-leaves', 'apps/cli/src/main.ts', 'apps/control/src/main.ts'],
    ['contract-is-only-words', 'packages/contract/src/main.ts', 'packages/kernel/src/main.ts'],
    ['kernel-knows-no-domain', 'packages/kernel/src/main.ts', 'packages/contract/src/main.ts'],
    ['egress-knows-no-domain', 'packages/egress/src/main.ts', 'packages/contract/src/main.ts'],
    ['bus-carries-words', 'packages/bus/src/main.ts', 'packages/sdk/src/main.ts'],
    ['client-runs-in-a-browser', 'packages/client/src/main.ts', 'node:fs'],
    ['faces-use-the-client', 'apps/cli/src/main.ts', 'packages/bus/src/main.ts'],
    ['records-stand-alone', 'apps/control/src/records/audit/index.ts', 'apps/control/src/flow/runs/index.ts'],
    ['governance-only-judges', 'apps/control/src/governance/policy/index.ts', 'apps/control/src/records/keys/index.ts'],
    ['governance-does-no-io', 'apps/control/src/governance/policy/index.ts', 'node:fs'],
    ['flow-does-not-look-up', 'apps/control/src/flow/runs/index.ts', 'apps/control/src/http/main.ts'],
    ['operations-only-reads', 'apps/control/src/operations/health/index.ts', 'apps/control/src/flow/runs/index.ts'],
    ['adapters-are-wired-in-main', 'apps/control/src/http/main.ts', 'apps/control/src/adapters/postgres/index.ts'],
    ['adapters-see-ports-only', 'apps/control/src/adapters/postgres/index.ts', 'apps/control/src/http/main.ts'],
    ['tickets-do-not-know-runs', 'apps/control/src/flow/tickets/index.ts', 'apps/control/src/flow/runs/index.ts'],
    ['run-core-is-pure', 'apps/control/src/flow/runs/core/index.ts', 'packages/kernel/src/main.ts'],
    ['worker-goes-downhill', 'apps/worker/src/sandbox/index.ts', 'apps/worker/src/intake/index.ts'],
    ['sandbox-knows-nobody', 'apps/worker/src/sandbox/index.ts', 'packages/contract/src/main.ts'],
    ['an-agents-task-is-pure', 'apps/agent-runtime/src/task/index.ts', 'apps/agent-runtime/src/journal/index.ts'],
    ['testkit-is-for-tests', 'apps/worker/src/main.ts', 'packages/testkit/src/main.ts'],
  ];

  it('stop each of them, by the rule that is meant for it', async () => {
    const imports = Map.groupBy(wrongWays, ([, importer]) => importer);
    for (const path of new Set(wrongWays.flatMap(([, ...paths]) => paths).filter((name) => !name.startsWith('node:')))) {
      const lines = (imports.get(path) ?? []).map(([, , imported]) => `import '${specifierOf(path, imported)}';\n`);
      await write(path, `${lines.join('')}export const a = 1;\n`);
    }
    const broken = new Set((await cruise(house)).violations.map(({ rule, from, to }) => `${rule.name}: ${from} → ${to}`));
    const expected = wrongWays.map(([rule, from, to]) => `${rule}: ${from} → ${to.replace(/^node:/, '')}`);
    expect(expected.filter((violation) => !broken.has(violation))).toEqual([]);
  });

  it('stop a circle, also one of types', async () => {
    await write('packages/kernel/src/main.ts', "import type { B } from './b.ts';\nexport type A = B;\n");
    await write('packages/kernel/src/b.ts', "import type { A } from './main.ts';\nexport type B = A | 1;\n");
    expect(await rulesBroken()).toContain('no-circles');
  });

  it('stop a file that nobody needs', async () => {
    await write('packages/kernel/src/alone.ts', 'export const a = 1;\n');
    expect(await rulesBroken()).toContain('no-orphans');
  });

  it('are all of them tried here', () => {
    const { forbidden } = createRequire(import.meta.url)(join(root, '.dependency-cruiser.cjs')) as {
      readonly forbidden: readonly { readonly name: string }[];
    };
    expect([...wrongWays.map(([rule]) => rule), 'no-circles', 'no-orphans'].sort()).toEqual(forbidden.map(({ name }) => name).sort());
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
    ['an export of everything', "export * from './a.ts';\n", 'no-restricted-syntax: List what you export.'],
    [
      'chance that is no parameter',
      'export const draw = () => Math.random();\n',
      "no-restricted-properties: 'Math.random' is restricted from being used. Use Random.",
    ],
    [
      'a fourth parameter',
      'export const f = (a: 1, b: 1, c: 1, d: 1) => [a, b, c, d];\n',
      'max-params: Arrow function has too many parameters (4). Maximum allowed is 3.',
    ],
    [
      'a function with thirteen ways through it',
      `export const f = (a: string) => ${Array.from({ length: 12 }, (_, index) => `a === '${index}' || `).join('')}a;\n`,
      'complexity: Arrow function has a complexity of 13. Maximum allowed is 12.',
    ],
    [
      'a function of more than 60 lines',
      `export const f = () => [\n${'  1,\n'.repeat(60)}];\n`,
      'max-lines-per-function: Arrow function has too many lines (62). Maximum allowed is 60.',
    ],
    [
      'a file of more than 400 lines',
      Array.from({ length: 401 }, (_, index) => `export const a${index} = 1;\n`).join(''),
      'max-lines: File has too many lines (401). Maximum allowed is 400.',
    ],
    ['a word on the console', "export const f = () => console.log('a');\n", 'no-console: Unexpected console statement.'],
    ['code made of text', 'export const f = (a: string) => eval(a);\n', 'no-eval: `eval` can be harmful.'],
    ['an equality that converts', 'export const f = (a: unknown) => a == 1;\n', "eqeqeq: Expected '===' and instead saw '=='."],
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
