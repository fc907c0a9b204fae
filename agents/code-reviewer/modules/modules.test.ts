import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { listSourceTree } from '@hivekeeper/sdk/source-tree';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readCode } from '../code-file.ts';
import { findDeadExports } from './dead-exports.ts';
import { findMissingTests } from './missing-tests.ts';
import { buildModuleGraph } from './module-graph.ts';

let root: string;
beforeEach(() => void (root = mkdtempSync(join(tmpdir(), 'modules-'))));
afterEach(() => rmSync(root, { recursive: true }));

async function graphOf(files: Record<string, string>) {
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
  }
  const tree = await listSourceTree(root);
  const code = readCode(tree);
  return { graph: buildModuleGraph(tree, code), code };
}

describe('findDeadExports', () => {
  const packageFile = { 'package.json': '{"name":"app","main":"src/start.ts"}' };
  const dead = async (files: Record<string, string>) => {
    const { graph, code } = await graphOf({ ...packageFile, ...files });
    return findDeadExports(graph, code).map(
      ({ file, line, severity, description }) => `${file}:${line} ${severity} ${description.split(' ')[0]}`,
    );
  };

  it('finds functions, classes and values that nothing takes', async () => {
    expect(
      await dead({
        'src/a.ts': 'export const one = 1;\n\nexport function two() {}\nexport class Three {}\nconst four = 4;\nexport { four };',
      }),
    ).toEqual(['src/a.ts:1 warning one', 'src/a.ts:3 warning two', 'src/a.ts:4 warning Three', 'src/a.ts:6 warning four']);
  });

  it('says of what only its own file uses that it need not be exported', async () => {
    expect(
      await dead({ 'src/a.ts': 'export const one = 1;\nexport const two = one;', 'src/b.ts': "import { two } from './a.ts';\ntwo;" }),
    ).toEqual(['src/a.ts:1 info one']);
  });

  it.each([
    ['an import', "import { one } from './a.ts';"],
    ['an import under another name', "import { one as first } from './a';"],
    ['an import of the file it is compiled to', "import { one } from './a.js';"],
    ['an import of everything', "import * as a from './a.ts';"],
    ['a dynamic import', "await import('./a.ts');"],
    ['a require', "require('./a');"],
    ['an import type', "type A = typeof import('./a.ts');"],
    ['an alias', "import { one } from '@/a';"],
    ['the name of its own package', "import { one } from 'app/a';"],
    ['a path for a process', "spawn('node', ['./a.ts']);"],
  ])('lets %s count as use', async (_, user) => expect(await dead({ 'src/a.ts': 'export const one = 1;', 'src/b.ts': user })).toEqual([]));

  it('follows what is offered on to where it is taken', async () => {
    const files = {
      'src/a.ts': 'export const one = 1;\nexport const two = 2;',
      'src/b.ts': "export { one as first, two } from './a.ts';",
      'src/c.ts': "export * from './b.ts';",
    };
    expect(await dead({ ...files, 'src/d.ts': "import { first } from './c.ts';" })).toEqual(['src/a.ts:2 warning two']);
  });

  it.each([
    ['an index', { 'src/index.ts': "export { one } from './a.ts';", 'src/a.ts': 'export const one = 1;' }],
    ['a file that package.json names', { 'src/start.ts': 'export const one = 1;' }],
    ['a file that a page names', { 'src/page.ts': 'export const one = 1;', 'index.html': '<script src="src/page.ts"></script>' }],
    [
      'a file that a component imports',
      { 'src/a.ts': 'export const one = 1;', 'src/B.vue': "<script>import { one } from './a';</script>" },
    ],
    ['configuration', { 'vite.config.ts': 'export const one = 1;' }],
    ['a test', { 'src/a.test.ts': 'export const one = 1;' }],
    ['a type', { 'src/a.ts': 'export interface A {}\nexport type B = A;' }],
  ])('leaves %s alone', async (_, files) => expect(await dead(files)).toEqual([]));

  it('says nothing of a folder without a package.json, which may be a part of something', async () => {
    const { graph, code } = await graphOf({ 'a.ts': 'export const one = 1;' });
    expect(findDeadExports(graph, code)).toEqual([]);
  });
});

describe('findMissingTests', () => {
  const body = `export function work() {\n${'  step();\n'.repeat(9)}}`;
  const missing = async (files: Record<string, string>) => {
    const { graph, code } = await graphOf(files);
    return findMissingTests(graph, code).map(({ file, severity, description }) => `${severity} ${file}: ${description}`);
  };

  it('tells once of a folder, and names the modules that no test reaches', async () => {
    expect(
      await missing({ 'src/a.ts': body, 'src/b.ts': body, 'src/c.ts': body, 'src/a.test.ts': "import { work } from './a.ts';" }),
    ).toEqual(['info src/b.ts: no test reaches 2 of 3 modules in src: b.ts, c.ts']);
  });

  it('is louder about a folder that is reached by no test at all', async () => {
    expect(
      await missing({ 'src/a.ts': body, 'far/b.ts': body, 'far/c.ts': body, 'src/a.test.ts': "import { work } from './a.ts';" }),
    ).toEqual(['warning far/b.ts: no test reaches 2 of 2 modules in far: b.ts, c.ts']);
  });

  it('counts what a test reaches through other modules or starts as a process', async () => {
    const files = { 'src/a.ts': body, 'src/b.ts': `import './a.ts';\n${body}`, 'src/program.ts': `import './b.ts';\n${body}` };
    expect(await missing({ ...files, 'tests/run.test.ts': "spawn('node', ['../src/program.ts']);" })).toEqual([]);
  });

  it('says in one line that there are no tests', async () => {
    expect(await missing({ 'src/a.ts': body, 'src/b.ts': body, 'lib/c.py': 'def c():\n    pass\n'.repeat(5) })).toEqual([
      'warning lib/c.py: none of 3 modules has a test: there are no tests here',
    ]);
  });

  it('matches modules of other languages by name', async () => {
    const python = 'def work():\n    pass\n'.repeat(5);
    expect(
      await missing({ 'app/orders.py': python, 'app/prices.py': python, 'app/taxes.py': python, 'tests/test_orders.py': 'import prices' }),
    ).toEqual(['info app/taxes.py: no test reaches 1 of 3 modules in app: taxes.py']);
  });

  it('asks for no test of entries, declarations, tables and small modules', async () => {
    const table = `export const table = [\n${'  1,\n'.repeat(20)}];`;
    expect(
      await missing({
        'a.test.ts': 'x',
        'a/index.ts': body,
        'a/main.ts': body,
        'a/b.ts': table,
        'a/c.ts': 'export const f = () => 1;',
        'a/d.d.ts': body,
        'a/e.config.ts': body,
      }),
    ).toEqual([]);
  });
});
