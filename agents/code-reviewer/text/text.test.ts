import { describe, expect, it } from 'vitest';
import { codeFileOf } from '../code-file.ts';
import { findForgottenErrors, findPiledTodos } from './comments.ts';
import { findDuplication } from './duplication.ts';
import { judgeSize } from './size.ts';

const steps = (count: number, name = 'order') =>
  Array.from({ length: count }, (_, index) => `  ${name}.total = add(${name}.total, price(${index}));`).join('\n');
const rulesIn = (path: string, text: string) =>
  judgeSize(codeFileOf(path, text)).map(({ rule, severity, line }) => `${rule} ${severity} ${line}`);

describe('judgeSize', () => {
  it.each([
    [600, []],
    [601, ['file-length warning 1']],
    [1_501, ['file-length error 1']],
  ])('judges %i lines', (count, rules) => {
    expect(rulesIn('a.go', 'x\n'.repeat(count))).toEqual(rules);
    expect(rulesIn('a.go', 'x\n\n'.repeat(count))).toEqual(rules);
    expect(rulesIn('a_test.go', 'x\n'.repeat(count))).toEqual([]);
  });

  it('bears a few long lines, but no habit of them', () => {
    const long = 'x'.repeat(201);
    expect(rulesIn('a.ts', `a\n${`${long}\n`.repeat(3)}`)).toEqual([]);
    expect(rulesIn('a.ts', `a\n${`${long}\n`.repeat(4)}`)).toEqual(['long-lines info 2']);
  });

  it('finds the deepest block by indentation, whatever its unit', () => {
    const nested = (levels: number, unit: string) =>
      Array.from({ length: levels }, (_, depth) => `${unit.repeat(depth)}if a:`).join('\n') + `\n${unit.repeat(levels)}pass`;
    for (const unit of ['\t', '  ', '    ']) {
      expect(rulesIn('a.py', nested(6, unit))).toEqual([]);
      expect(rulesIn('a.py', nested(7, unit))).toEqual(['deep-nesting warning 7']);
    }
    expect(rulesIn('a.py', `call(\n${' '.repeat(60)}argument,\n)`)).toEqual([]);
  });
});

describe('findDuplication', () => {
  const found = (...files: [string, string][]) =>
    findDuplication(files.map(([path, text]) => codeFileOf(path, text))).map(
      ({ file, line, description }) => `${file}:${line} ${description}`,
    );

  it('finds a block that stands in two files, at its first line, whatever its indentation', () => {
    expect(
      found(['a.ts', `start();\n${steps(13)}`], ['b.ts', `import x from 'x';\nbegin();\n\n${steps(13).replaceAll('  ', '\t')}`]),
    ).toEqual(['b.ts:4 13 lines repeat a.ts:2']);
  });

  it('finds a block that stands twice in one file', () => {
    expect(found(['a.py', `${steps(12)}\nother()\n${steps(12)}`])).toEqual(['a.py:14 12 lines repeat a.py:1']);
  });

  it('tells once of all that one file repeats of another', () => {
    const two = `${steps(12)}\nother()\n${steps(14, 'invoice')}`;
    expect(found(['a.ts', two], ['b.ts', two.replace('other', 'another')])).toEqual([
      'b.ts:14 14 lines repeat a.ts:14, and 1 more such blocks',
    ]);
  });

  it.each([
    ['fewer than twelve lines', 'src/b.ts', steps(11)],
    ['a list of words', 'src/b.ts', Array.from({ length: 30 }, (_, index) => `  word${index},`).join('\n')],
    ['imports and comments', 'src/b.ts', "import { a } from 'a-rather-long-name-of-a-module';\n// and a comment on it\n".repeat(20)],
    ['a test', 'src/b.test.ts', steps(20)],
    ['an example', 'examples/b.ts', steps(20)],
    ['a declaration', 'src/b.d.ts', steps(20)],
  ])('leaves %s alone', (_, path, text) => expect(found(['src/a.ts', text], [path, text])).toEqual([]));

  it('does not take a run that overlaps itself for a copy', () =>
    expect(found(['a.ts', '  order.total = add(order.total, price(1));\n'.repeat(20)])).toEqual([]));
});

describe('findPiledTodos', () => {
  const todos = (count: number, lines: number) =>
    findPiledTodos(codeFileOf('a.ts', '// TODO later\n'.repeat(count) + 'x()\n'.repeat(lines)));

  it.each([
    [2, 0],
    [3, 200],
    [4, 400],
  ])('bears %i notes in about %i lines', (count, lines) => expect(todos(count, lines)).toEqual([]));
  it.each([
    [3, 100],
    [5, 900],
  ])('reports %i notes in about %i lines', (count, lines) =>
    expect(todos(count, lines)).toMatchObject([{ rule: 'todo-density', severity: 'info', line: 1 }]),
  );
  it('counts comments only', () => expect(findPiledTodos(codeFileOf('a.ts', 'const TODO = "TODO";\n'.repeat(9)))).toEqual([]));
});

describe('findForgottenErrors', () => {
  it.each([
    ['a.py', 'try:\n    a()\nexcept Exception:\n    pass\n', [3]],
    ['A.java', 'try { a(); } catch (Exception e) {}', [1]],
    ['a.py', 'try:\n    a()\nexcept Exception:\n    log()\n', []],
    ['A.java', 'try { a(); } catch (Exception e) { log(e); }', []],
  ])('in %s judges %j', (path, text, lines) => expect(findForgottenErrors(codeFileOf(path, text)).map(({ line }) => line)).toEqual(lines));
});
