import { describe, expect, test } from 'vitest';
import { findJsonDefect, maxJsonDepth } from './json.ts';

const nested = (depth: number): unknown => {
  let value: unknown = 1;
  for (let level = 0; level < depth; level += 1) value = [value];
  return value;
};

describe('findJsonDefect', () => {
  test.each([
    ['plain data', { a: [1, 'two', null, true, { b: 'ünïcödé 🐝' }] }],
    ['the deepest nesting allowed', nested(maxJsonDepth)],
    ['a whole surrogate pair', '\uD83D\uDC1D'],
  ])('finds nothing in %s', (_name, value) => expect(findJsonDefect(value)).toBeUndefined());

  test.each([
    ['U+0000 in a text', { a: ['x', 'b\u0000'] }, '/a/1'],
    ['half of a surrogate pair', { a: '\uD83D' }, '/a'],
    ['the other half', ['\uDC1D'], '/0'],
    ['a key that reaches the prototype', JSON.parse('{"a":{"__proto__":{"isAdmin":true}}}') as unknown, '/a/__proto__'],
    ['U+0000 in a key', { 'a\u0000': 1 }, '/a\u0000'],
    ['a number that JSON cannot carry', { n: Number.POSITIVE_INFINITY }, '/n'],
    ['nesting beyond the limit', nested(maxJsonDepth + 1), '/0'.repeat(maxJsonDepth + 1)],
    ['nesting that would overflow the stack', nested(100_000), '/0'.repeat(maxJsonDepth + 1)],
  ])('names the path of %s', (_name, value, path) => expect(findJsonDefect(value)?.path).toBe(path));
});
