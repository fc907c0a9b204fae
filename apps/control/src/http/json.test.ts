import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { issuesOf, parseBody } from './json.ts';

const bytes = (text: string) => new TextEncoder().encode(text);

describe('a body', () => {
  it('is read as it was sent', () => {
    expect(parseBody(bytes('{"größe":[1,null,"😀"]}'))).toEqual({ größe: [1, null, '😀'] });
    expect(parseBody(bytes(''))).toBeUndefined();
  });

  it('of 64 levels is read, of 65 refused', () => {
    const nested = (levels: number) => bytes(`${'['.repeat(levels)}1${']'.repeat(levels)}`);
    expect(() => parseBody(nested(64))).not.toThrow();
    expect(() => parseBody(nested(65))).toThrow(expect.objectContaining({ code: 'UNSTORABLE_VALUE' }));
  });
});

describe('the issues of a body', () => {
  const schema = z.strictObject({
    nodes: z.array(
      z.strictObject({ approval: z.union([z.boolean(), z.strictObject({ message: z.string() })]), 'a/b~c': z.number().optional() }),
    ),
  });
  const found = (value: unknown) => issuesOf(schema.safeParse(value).error?.issues ?? []).map(({ path, message }) => `${path}: ${message}`);

  it('name each unknown field', () => {
    expect(found({ nodes: [], one: 1, two: 2 })).toEqual(['/one: there is no such field', '/two: there is no such field']);
  });

  it('escape what a JSON pointer escapes', () => {
    expect(found({ nodes: [{ approval: true, 'a/b~c': 'x' }] })).toEqual([expect.stringMatching(/^\/nodes\/0\/a~1b~0c: /)]);
  });

  it('go into the alternative that fits in kind', () => {
    expect(found({ nodes: [{ approval: { message: 1 } }] })).toEqual([expect.stringMatching(/^\/nodes\/0\/approval\/message: .*string/)]);
  });

  it('stay at the field where no alternative fits', () => {
    expect(found({ nodes: [{ approval: 7 }] })).toEqual([expect.stringMatching(/^\/nodes\/0\/approval: /)]);
  });
});
