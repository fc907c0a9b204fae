/** A value that JSON can carry. */
export type JsonValue = null | boolean | number | string | readonly JsonValue[] | JsonObject;
/** A JSON object. */
export interface JsonObject {
  readonly [key: string]: JsonValue;
}

/** Deepest nesting accepted at the edge. V8 overflows its stack in `JSON.stringify` at about 5,000 levels. */
export const maxJsonDepth = 64;

/** Why a value cannot be stored, and the JSON path at which the reason stands. */
export interface JsonDefect {
  readonly path: string;
  readonly reason: string;
}

const forbiddenKeys = new Set(['__proto__', 'constructor', 'prototype']);
// PostgreSQL refuses U+0000 in text and silently replaces lone surrogates: both are refused before they get there.
const unstorable = /\u0000|[\uD800-\uDBFF](?![\uDC00-\uDFFF])|(?<![\uD800-\uDBFF])[\uDC00-\uDFFF]/;

/**
 * Finds the first part of a parsed JSON value that the platform refuses to store: nesting beyond
 * {@link maxJsonDepth}, U+0000, lone surrogates, keys that could reach an object's prototype, numbers JSON cannot
 * carry. It goes no deeper than the limit, so a hostile depth cannot overflow the stack; and it names the path only
 * on the way back from a defect, so that 16 MiB of `[0,0,…]` take 0.1 s and no memory (with paths: 10 s and 2 GB).
 */
export const findJsonDefect = (root: unknown): JsonDefect | undefined => defectIn(root, 0);

function defectIn(value: unknown, depth: number): JsonDefect | undefined {
  const reason = defectOf(value, depth);
  if (reason !== undefined) return { path: '', reason };
  if (typeof value !== 'object' || value === null) return undefined;
  if (Array.isArray(value)) {
    for (let index = 0; index < value.length; index += 1) {
      const defect = defectIn(value[index], depth + 1);
      if (defect !== undefined) return under(index, defect);
    }
    return undefined;
  }
  for (const key of Object.keys(value)) {
    if (forbiddenKeys.has(key) || unstorable.test(key)) return under(key, { path: '', reason: 'this key is not allowed' });
    const defect = defectIn((value as Readonly<Record<string, unknown>>)[key], depth + 1);
    if (defect !== undefined) return under(key, defect);
  }
  return undefined;
}

const under = (key: string | number, { path, reason }: JsonDefect): JsonDefect => ({ path: `/${String(key).slice(0, 80)}${path}`, reason });

function defectOf(value: unknown, depth: number): string | undefined {
  if (depth > maxJsonDepth) return `nested deeper than ${maxJsonDepth} levels`;
  switch (typeof value) {
    case 'string':
      return unstorable.test(value) ? 'the text holds U+0000 or half of a surrogate pair' : undefined;
    case 'number':
      return Number.isFinite(value) ? undefined : 'not a number that JSON can carry';
    case 'object':
    case 'boolean':
    case 'undefined':
      return undefined;
    default:
      return `a ${typeof value} is not JSON`;
  }
}
