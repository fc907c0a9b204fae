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
 * carry. Walks without recursion, so a hostile depth cannot overflow the stack.
 */
export function findJsonDefect(root: unknown): JsonDefect | undefined {
  const pending: { value: unknown; path: string; depth: number }[] = [{ value: root, path: '', depth: 0 }];
  for (let item = pending.pop(); item !== undefined; item = pending.pop()) {
    const reason = defectOf(item.value, item.depth);
    if (reason !== undefined) return { path: item.path, reason };
    if (typeof item.value !== 'object' || item.value === null) continue;
    for (const [key, value] of Object.entries(item.value)) {
      const path = `${item.path}/${key.slice(0, 80)}`;
      if (!Array.isArray(item.value) && (forbiddenKeys.has(key) || unstorable.test(key))) return { path, reason: 'this key is not allowed' };
      pending.push({ value, path, depth: item.depth + 1 });
    }
  }
  return undefined;
}

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
