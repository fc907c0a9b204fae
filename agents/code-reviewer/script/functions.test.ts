import { describe, expect, it } from 'vitest';
import { type ScriptFile, codeFileOf } from '../code-file.ts';
import { judgeFunctions, measureFunctions } from './functions.ts';

const scriptOf = (text: string, path = 'src/a.ts') => codeFileOf(path, text) as ScriptFile;
const complexityOf = (body: string) => measureFunctions(scriptOf(`function f(a, b) { ${body} }`))[0]?.complexity;
const rulesIn = (text: string, path?: string) =>
  judgeFunctions(scriptOf(text, path), measureFunctions(scriptOf(text, path))).map(({ rule, severity }) => `${rule} ${severity}`);
const branches = (count: number) => Array.from({ length: count }, (_, index) => `if (a === ${index}) return ${index};`).join('\n');

describe('measureFunctions', () => {
  it.each([
    ['return a', 1],
    ['if (a) return 1; else return 2', 2],
    ['return a ? 1 : b ? 2 : 3', 3],
    ['return a && b || (a ?? b)', 4],
    ['for (const x of a) while (x) { do {} while (b) }', 4],
    ['switch (a) { case 1: case 2: return b; default: return 0 }', 3],
    ['try { a() } catch { b() } finally { b() }', 2],
    ['return a.map((x) => (x ? 1 : 0))', 1],
  ])('counts the paths through %j', (body, complexity) => expect(complexityOf(body)).toBe(complexity));

  it('measures functions inside functions, methods and arrows by their own names', () => {
    const text =
      'const outer = () => {\n  const inner = (x) => x ? 1 : 2;\n  return inner;\n};\nclass A { m(a, b) {} }\ncall(function () {});';
    expect(measureFunctions(scriptOf(text))).toEqual([
      { name: 'outer', line: 1, complexity: 1, lines: 4, parameters: 0 },
      { name: 'inner', line: 2, complexity: 2, lines: 1, parameters: 1 },
      { name: 'm', line: 5, complexity: 1, lines: 1, parameters: 2 },
      { name: 'an unnamed function', line: 6, complexity: 1, lines: 1, parameters: 0 },
    ]);
  });

  it('bears long chains and deep nesting', () => {
    expect(complexityOf(`return ${'a && '.repeat(20_000)}b`)).toBe(20_001);
    expect(codeFileOf('a.ts', 'f('.repeat(20_000))).not.toHaveProperty('script');
  });

  it('leaves out what has no body', () =>
    expect(measureFunctions(scriptOf('declare function f(): void; interface A { m(): void }'))).toEqual([]));
});

describe('judgeFunctions', () => {
  it.each([
    [14, []],
    [15, ['complexity warning']],
    [25, ['complexity error']],
  ])('judges a function with %i branches', (count, rules) => {
    expect(rulesIn(`function f(a) {\n${branches(count)}\n}`)).toEqual(rules);
  });

  it('judges length, but not in tests', () => {
    const text = (lines: number) => `function f() {\n${'  step();\n'.repeat(lines)}}`;
    expect(rulesIn(text(70))).toEqual([]);
    expect(rulesIn(text(90))).toEqual(['function-length warning']);
    expect(rulesIn(text(210))).toEqual(['function-length error']);
    expect(rulesIn(text(210), 'src/a.test.ts')).toEqual([]);
  });

  it('judges the number of parameters', () => {
    expect(rulesIn('const f = (a, b, c, d, e, f) => a;')).toEqual([]);
    expect(rulesIn('const f = (a, b, c, d, e, f, g) => a;')).toEqual(['too-many-parameters warning']);
  });
});
