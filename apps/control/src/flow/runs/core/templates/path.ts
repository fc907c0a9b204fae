import type { JsonValue } from '@hivekeeper/contract';

/** Where a path begins. `node` is a position in the workflow. */
export type PathRoot =
  { readonly kind: 'context' } | { readonly kind: 'item' } | { readonly kind: 'run' } | { readonly kind: 'node'; readonly node: number };

/** A root and the names or indexes that lead on from it. */
export interface Path {
  readonly root: PathRoot;
  readonly segments: readonly string[];
}

// A node id may hold hyphens; the names after it may not, so that `context.a-b` stays a subtraction.
const rootPattern = /^(nodes\.)?([A-Za-z][A-Za-z0-9_-]*)/;
const segmentPattern = /\.([A-Za-z_]\w*)|\.(\d{1,9})|\[(\d{1,9})\]|\[("(?:[^"\\]|\\.)*")\]/y;

/**
 * Reads `context…`, `item…`, `run.id`, `<id>…` or `nodes.<id>…`, each followed by `.name`, `.0`, `[0]` or `["name"]`.
 * Undefined where the text is anything else: an expression, or a mistake.
 */
export function parsePath(text: string, positionById: ReadonlyMap<string, number>): Path | undefined {
  const match = rootPattern.exec(text);
  if (match === null) return undefined;
  const [start, nodes, word = ''] = match;
  const root = nodes === undefined ? rootOf(word, positionById) : nodeRootOf(word, positionById);
  if (root === undefined) return undefined;
  const segments = parseSegments(text, start.length);
  const isWhole = root.kind !== 'run' || (segments?.length === 1 && segments[0] === 'id');
  return segments !== undefined && isWhole ? { root, segments } : undefined;
}

function rootOf(word: string, positionById: ReadonlyMap<string, number>): PathRoot | undefined {
  return word === 'context' || word === 'item' || word === 'run' ? { kind: word } : nodeRootOf(word, positionById);
}

function nodeRootOf(word: string, positionById: ReadonlyMap<string, number>): PathRoot | undefined {
  const node = positionById.get(word);
  return node === undefined ? undefined : { kind: 'node', node };
}

function parseSegments(text: string, from: number): string[] | undefined {
  const segments: string[] = [];
  segmentPattern.lastIndex = from;
  let end = from;
  for (let match = segmentPattern.exec(text); match !== null; match = segmentPattern.exec(text)) {
    const segment = match[1] ?? match[2] ?? match[3] ?? unquote(match[4] ?? '');
    if (segment === undefined) return undefined;
    segments.push(segment);
    end = segmentPattern.lastIndex;
  }
  return end === text.length ? segments : undefined;
}

function unquote(quoted: string): string | undefined {
  try {
    return JSON.parse(quoted) as string;
  } catch {
    return undefined;
  }
}

/** Follows the segments through own properties only; the count of segments that led somewhere tells where it broke off. */
export function follow(root: JsonValue, segments: readonly string[]): { readonly value: JsonValue } | { readonly brokenAt: number } {
  let value = root;
  for (const [index, segment] of segments.entries()) {
    const next = step(value, segment);
    if (next === undefined) return { brokenAt: index };
    value = next;
  }
  return { value };
}

function step(value: JsonValue, segment: string): JsonValue | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  // An array has elements, and nothing else that data may name (not `length`).
  if (Array.isArray(value)) return /^\d+$/.test(segment) ? (value as readonly JsonValue[])[Number(segment)] : undefined;
  return Object.hasOwn(value, segment) ? (value as { readonly [key: string]: JsonValue })[segment] : undefined;
}
