import type { JsonObject, JsonValue } from '@hivekeeper/contract';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createExpressions } from './expressions.ts';

const { parse, evaluate } = createExpressions();
const scan = { output: { total: 3, ratio: 0.5, list: [1, 2, 3], text: 'abc', none: null } };
const scope: JsonObject = {
  context: {
    list: ['a', 'b'],
    on: true,
    'scan-all': 1,
    findings: [
      { severity: 'high', tags: ['x'] },
      { severity: 'low', tags: [] },
    ],
  },
  nodes: { scan },
  scan,
};

describe('expressions over JSON', () => {
  it.each<[string, JsonValue]>([
    ['nodes.scan.output.total > 0', true],
    ['scan.output.total == 3', true],
    ['scan.output.total == 3.0', true],
    ['scan.output.total != 4 && scan.output.ratio < 1', true],
    ['size(context.list) == 2', true],
    ['scan.output.total + 1', 4],
    ['1 + scan.output.total * 2 - 1', 6],
    ['7 / 2', 3],
    ['scan.output.total / 2', 1.5],
    ['scan.output.total % 2 == 1', true],
    ['10 % scan.output.total', 1],
    ['-scan.output.total', -3],
    ['scan.output.list[0] + scan.output.list[scan.output.total - 1]', 4],
    ['3 in scan.output.list', true],
    ['scan.output.list == [1, 2, 3]', true],
    ['scan.output.none == null', true],
    ['has(scan.output.missing) || context.on', true],
    ['context["scan-all"]', 1],
    ['{"a": 1, "b": [true, "x"]}', { a: 1, b: [true, 'x'] }],
    ['{1: "one"}', { '1': 'one' }],
    ['context.on ? scan.output.total : "none"', 3],
    ['timestamp("2026-01-02T03:04:05Z")', '2026-01-02T03:04:05.000Z'],
    ['scan.output.text.startsWith("ab") && scan.output.text.contains("b")', true],
    ['context.findings.filter(f, f.severity == "high")', [{ severity: 'high', tags: ['x'] }]],
    ['context.findings.exists(f, f.tags.exists(t, t == "x"))', true],
    ['context.findings.exists_one(f, f.severity == "low")', true],
    ['context.findings.all(f, has(f.severity))', true],
    [
      'context.findings.map(f, {"s": f.severity, "n": size(f.tags) + 1})',
      [
        { s: 'high', n: 2 },
        { s: 'low', n: 1 },
      ],
    ],
    ['scan.output.list.map(x, x > 1, x * 2 - (1 - x))', [5, 8]],
    ['scan.output.list.map(x, -x + (x * (2 + x)) / 2).size()', 3],
    ['scan.output.list.map(x, string(x)).join("-")', '1-2-3'],
    ['scan.output.list.filter(x, !(x in [1, 3]) || x == 3)[1]', 3],
    ['scan.output.list.map(x, x > 1 ? "a" : "b")', ['b', 'a', 'a']],
    ['cel.bind(n, scan.output.list, n.map(x, x + size(n)))', [4, 5, 6]],
    [String.raw`["q"].map(x, x + "é\n\"" + r"\d" + 'q"')`, ['qé\n"\\dq"']],
    ['[1].map(x, {"k" + string(x): [x, -x]})', [{ k1: [1, -1] }]],
  ])('%s', (text, expected) => {
    expect(parse(text)).toBeUndefined();
    expect(evaluate(text, scope)).toEqual(expected);
  });

  it('hand on data as it is where nothing had to be converted', () => {
    expect(evaluate('scan.output', scope)).toBe(scan.output);
    expect((evaluate('context.findings.filter(f, true)', scope) as JsonObject[])[0]).toBe(
      (scope['context'] as { findings: JsonObject[] }).findings[0],
    );
  });
});

describe('expressions that give nothing', () => {
  it.each([
    ['context.missing', 'No such key: missing'],
    ['nobody.knows', 'Unknown variable: nobody'],
    ['constructor', 'Unknown variable: constructor'],
    ['context.constructor', 'No such key: constructor'],
    ['context.list[5]', 'No such key: index out of bounds, index 5 >= size 2'],
    ['9007199254740993', 'gives 9007199254740993, which is too large for a JSON number'],
    ['1.0 / 0.0', 'gives Infinity, which JSON cannot carry'],
    ['9223372036854775807 + 1', 'integer overflow: 9223372036854775808'],
    ['int', 'gives a Type, which JSON cannot carry; convert it with string(…)'],
    ['[b"x"]', 'gives a Uint8Array, which JSON cannot carry; convert it with string(…)'],
    ['scan.output.list.map(x, x.y)', 'No such key: y'],
  ])('%s fails when it is evaluated', (text, reason) => {
    expect(() => evaluate(text, scope)).toThrow(expect.objectContaining({ code: 'TEMPLATE_UNRESOLVED', message: `${text}: ${reason}` }));
  });

  it.each([
    ['1 +', 'Unexpected token: EOF'],
    ['{{ x }}', 'Expected COLON, got RBRACE'],
    ['__proto__', 'Reserved identifier: __proto__'],
    ['1 + "a"', 'no such overload: int + string'],
    ['process.exit(1)', "found no matching overload for 'dyn.exit(int)'"],
    ['scan.output.text.matches("(a+)+$")', 'matches() is not offered; use contains, startsWith or endsWith'],
    ['context.list.exists(x, x.matches("a"))', 'matches() is not offered; use contains, startsWith or endsWith'],
    [`${'('.repeat(60)}1${')'.repeat(60)}`, 'Exceeded maxDepth (40)'],
    [Array.from({ length: 600 }, () => '1').join('+'), 'Exceeded maxAstNodes (500)'],
    [`[${Array.from({ length: 300 }, () => '1').join(',')}]`, 'Exceeded maxListElements (200)'],
  ])('%s is refused before', (text, reason) => {
    expect(parse(text)).toBe(reason);
    expect(() => evaluate(text, scope)).toThrow(expect.objectContaining({ code: 'TEMPLATE_UNRESOLVED' }));
  });

  it('are quoted only in part where they are long', () => {
    const text = `context.missing == "${'x'.repeat(1_000)}"`;
    expect(() => evaluate(text, scope)).toThrow(expect.objectContaining({ message: `${text.slice(0, 200)}…: No such key: missing` }));
  });
});

describe('the cost of an expression', () => {
  const numbers = Array.from({ length: 10_000 }, (_, index) => index);
  const large: JsonObject = {
    context: {
      numbers,
      few: numbers.slice(0, 1_000),
      text: 'x'.repeat(1_000_000),
      findings: numbers.map((n) => ({ severity: n % 10 === 0 ? 'high' : 'low', n })),
    },
  };
  const spent = /takes more than 1000000 steps; its lists are too large for what it does with them$/;

  it('admits plain loops over large lists, one after the other', () => {
    const titles = evaluate('context.findings.filter(f, f.severity == "high" && f.n > 5).map(f, {"n": f.n})', large);
    expect(titles).toHaveLength(999);
    expect(evaluate('context.numbers.all(x, x >= 0) && context.numbers.exists(x, x == 9999)', large)).toBe(true);
  });

  it.each([
    ['loops in loops', 'context.numbers.all(x, context.numbers.all(y, x + y >= 0))'],
    ['loops in loops in loops', 'context.few.all(x, context.few.all(y, context.few.all(z, x + y + z >= 0)))'],
    ['membership in a loop', 'context.numbers.filter(x, x in context.numbers)'],
    ['comparison in a loop', 'context.numbers.filter(x, context.findings == [])'],
    ['scanning a long text in a loop', 'context.numbers.exists(x, context.text.contains("zz"))'],
    ['lists that double', `[[1]]${'.map(x, x + x)'.repeat(28)}[0].size()`],
    ['texts that double', `size(["x"]${'.map(x, x + x)'.repeat(28)}[0])`],
    ['nested lists that double, compared', `[[1]]${'.map(x, [x, x])'.repeat(28)} == [[1]]${'.map(x, [x, x])'.repeat(28)}`],
    ['failures that are swallowed in a loop', 'context.numbers.exists(x, context.few.exists(y, y.missing == 1))'],
    ['failures that `||` swallows', 'context.numbers.exists(x, context.few.exists(y, y.missing || y > "a"))'],
  ])('is bounded for %s', (_, text) => {
    expect(parse(text)).toBeUndefined();
    expect(() => evaluate(text, large)).toThrow(
      expect.objectContaining({ code: 'TEMPLATE_UNRESOLVED', message: expect.stringMatching(spent) }),
    );
  });

  it('is bounded for results as well', () => {
    expect(() => evaluate(`[[1]]${'.map(x, [x, x])'.repeat(28)}`, large)).toThrow('gives a value that is too large or nested too deep');
  });

  it('does not depend on what was evaluated before', () => {
    const text = 'context.numbers.filter(x, x > 9000 && x < 9002)';
    for (let time = 0; time < 20; time += 1) expect(evaluate(text, large)).toEqual([9001]);
  });

  it('leaves stack traces of other errors as long as they were', () => {
    const limit = Error.stackTraceLimit;
    expect(() => evaluate('context.few.all(x, x.y)', large)).toThrow();
    expect(Error.stackTraceLimit).toBe(limit);
  });
});

describe('charging for loops', () => {
  const operand = fc.constantFrom('x', 'y', '1', '2', '-3', 'size(context.list)', 'context.list[0]');
  const { number, truth } = fc.letrec<{ number: string; truth: string }>((tie) => ({
    number: fc.oneof(
      { depthSize: 'small' },
      operand,
      fc.tuple(tie('number'), fc.constantFrom('+', '-', '*'), tie('number')).map((parts) => `(${parts.join(' ')})`),
      fc.tuple(tie('truth'), tie('number'), tie('number')).map(([condition, yes, no]) => `(${condition} ? ${yes} : ${no})`),
      tie('number').map((of) => `-(${of})`),
    ),
    truth: fc.oneof(
      { depthSize: 'small' },
      fc.tuple(tie('number'), fc.constantFrom('<', '>=', '==', '!='), tie('number')).map((parts) => `(${parts.join(' ')})`),
      fc.tuple(tie('truth'), fc.constantFrom('&&', '||'), tie('truth')).map((parts) => `(${parts.join(' ')})`),
      tie('truth').map((of) => `!${of}`),
      tie('number').map((of) => `(${of} in [1.0, 2.0, x])`),
    ),
  }));

  it('changes no result: a loop of one gives what its body gives', () => {
    const values = { context: { list: [4, 5] }, x: 2, y: -1.5 };
    fc.assert(
      fc.property(fc.oneof(number, truth), (text) => {
        const result = (expression: string): JsonValue => {
          try {
            return evaluate(expression, values);
          } catch {
            return 'failed';
          }
        };
        const alone = result(`dyn(${text})`);
        expect(result(`[7].map(unused, ${text})`)).toEqual(alone === 'failed' ? 'failed' : [alone]);
      }),
      { numRuns: 500 },
    );
  });
});
