import { HiveError, type JsonValue } from '@hivekeeper/contract';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { argsSha256Of, maxArgsBytes } from './canonical.ts';

/** The same value with the keys of every object in another order. */
function turned(value: JsonValue): JsonValue {
  if (Array.isArray(value)) return value.map((element) => turned(element as JsonValue));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .reverse()
      .map(([key, inner]) => [key, turned(inner as JsonValue)]),
  );
}

const refusal = (args: JsonValue) => {
  try {
    return argsSha256Of(args);
  } catch (error) {
    return HiveError.is(error) ? [error.code, error.issues[0]?.path] : error;
  }
};

describe('the digest of an effect’s arguments', () => {
  it('is that of their canonical form by RFC 8785', () => {
    // printf '{"a":[1,2.5,"é"],"b":null}' | sha256sum
    expect(argsSha256Of({ b: null, a: [1.0, 2.5, '\u00e9'] })).toBe('c85a32002ab44befebd40fe674e4ac562524fa9d905f307b8f88d90d0b01b62c');
  });

  it('is the same in whatever order keys come', () => {
    const json = fc.jsonValue().filter((value) => !JSON.stringify(value).includes('__proto__'));
    fc.assert(
      fc.property(json, (value) => {
        const args = JSON.parse(JSON.stringify(value)) as JsonValue;
        const [before, after] = [refusal(args), refusal(turned(args))];
        // Where there are two faults, which is named first depends on the order.
        expect(Array.isArray(after) ? after[0] : after).toEqual(Array.isArray(before) ? before[0] : before);
      }),
    );
  });

  it('differs where a value differs', () => {
    const digests = [{ a: 1 }, { a: '1' }, { a: [1] }, { a: null }, {}, [], null, { b: 1 }, { a: 1.5 }, { a: true }].map(argsSha256Of);
    expect(new Set(digests).size).toBe(digests.length);
  });

  it('is refused for whole numbers that readers of JSON round, because two of them would be one effect', () => {
    expect(JSON.parse('9007199254740993')).toBe(JSON.parse('9007199254740992'));
    expect(refusal({ list: [{ id: 9_007_199_254_740_992 }] })).toEqual(['INVALID_REQUEST', '/args/list/0/id']);
    expect(refusal({ id: Number.MAX_SAFE_INTEGER })).toHaveLength(64);
    expect(refusal({ share: 1.5e-7 })).toHaveLength(64);
  });

  it('is refused for arguments that are data', () => {
    expect(refusal('x'.repeat(maxArgsBytes - 2))).toHaveLength(64);
    expect(refusal('x'.repeat(maxArgsBytes - 1))).toEqual(['INVALID_REQUEST', '/args']);
  });
});
