import { type JsonObject, type JsonValue, maxJsonDepth } from '@hivekeeper/contract';
import { type Path, parsePath } from './path.ts';
import { type References, referencesIn } from './references.ts';

/** Longest text between `{{` and `}}`, in characters: as long as `when` and `map` may be. */
export const maxExpressionLength = 2_000;

/** What stands between `{{` and `}}`, or in `when`. */
export type Expression =
  | { readonly kind: 'path'; readonly text: string; readonly path: Path }
  | { readonly kind: 'cel'; readonly text: string; readonly references: References }
  | { readonly kind: 'defect'; readonly text: string; readonly reason: string };

/** A JSON value of the author's in which strings may hold `{{ … }}`. Keys never do. */
export type Template =
  | { readonly kind: 'constant'; readonly value: JsonValue }
  /** The string is one template and nothing else: its value keeps its type. */
  | { readonly kind: 'whole'; readonly expression: Expression }
  | { readonly kind: 'text'; readonly parts: readonly (string | Expression)[] }
  | { readonly kind: 'list'; readonly items: readonly Template[] }
  | { readonly kind: 'object'; readonly entries: readonly (readonly [string, Template])[] };

type Positions = ReadonlyMap<string, number>;

/** Reads an expression: a path where it is one, CEL otherwise. Never throws; what is wrong becomes a defect. */
export function compileExpression(source: string, positionById: Positions): Expression {
  const text = source.trim();
  if (text === '') return { kind: 'defect', text, reason: 'there is nothing between the braces' };
  if (text.length > maxExpressionLength)
    return { kind: 'defect', text: `${text.slice(0, 40)}…`, reason: `longer than ${maxExpressionLength} characters` };
  const path = parsePath(text, positionById);
  if (path !== undefined) return { kind: 'path', text, path };
  const references = referencesIn(text, positionById);
  return references.defect === undefined ? { kind: 'cel', text, references } : { kind: 'defect', text, reason: references.defect };
}

/** Reads the templates inside a JSON value, down to {@link maxJsonDepth}. */
export function compileTemplate(value: JsonValue, positionById: Positions, depth = 0): Template {
  if (typeof value === 'string') return compileString(value, positionById);
  if (typeof value !== 'object' || value === null) return { kind: 'constant', value };
  if (depth > maxJsonDepth)
    return { kind: 'whole', expression: { kind: 'defect', text: '…', reason: `nested deeper than ${maxJsonDepth} levels` } };
  if (Array.isArray(value)) {
    const items = (value as readonly JsonValue[]).map((item) => compileTemplate(item, positionById, depth + 1));
    return items.every((item) => item.kind === 'constant') ? { kind: 'constant', value } : { kind: 'list', items };
  }
  const entries = Object.entries(value as JsonObject).map(([key, item]) => [key, compileTemplate(item, positionById, depth + 1)] as const);
  return entries.every(([, item]) => item.kind === 'constant') ? { kind: 'constant', value } : { kind: 'object', entries };
}

function compileString(value: string, positionById: Positions): Template {
  if (!value.includes('{{')) return { kind: 'constant', value };
  const parts: (string | Expression)[] = [];
  let from = 0;
  for (let open = value.indexOf('{{'); open !== -1; open = value.indexOf('{{', from)) {
    if (open > from) parts.push(value.slice(from, open));
    const close = closingBraces(value, open + 2);
    if (close === undefined) {
      parts.push({ kind: 'defect', text: value.slice(open, open + 40), reason: '"{{" has no matching "}}"' });
      return { kind: 'text', parts };
    }
    parts.push(compileExpression(value.slice(open + 2, close), positionById));
    from = close + 2;
  }
  if (from < value.length) parts.push(value.slice(from));
  const [only] = parts;
  return parts.length === 1 && typeof only === 'object' ? { kind: 'whole', expression: only } : { kind: 'text', parts };
}

/** Where the `}}` stands that ends an expression: neither inside quotes nor closing a brace opened in between. */
function closingBraces(value: string, from: number): number | undefined {
  let depth = 0;
  for (let at = from; at < value.length; at += 1) {
    const character = value[at];
    if (character === '"' || character === "'") {
      at = endOfQuoted(value, at);
    } else if (character === '{') {
      depth += 1;
    } else if (character === '}') {
      if (depth === 0) return value[at + 1] === '}' ? at : undefined;
      depth -= 1;
    }
  }
  return undefined;
}

function endOfQuoted(value: string, open: number): number {
  for (let at = open + 1; at < value.length; at += 1) {
    if (value[at] === '\\') at += 1;
    else if (value[at] === value[open]) return at;
  }
  return value.length;
}

/** An expression of a template and where it stands, as a JSON pointer. */
export interface PlacedExpression {
  readonly pointer: string;
  readonly expression: Expression;
}

/** Every expression inside a template. */
export function expressionsIn(template: Template, pointer: string): PlacedExpression[] {
  switch (template.kind) {
    case 'constant':
      return [];
    case 'whole':
      return [{ pointer, expression: template.expression }];
    case 'text':
      return template.parts.flatMap((part) => (typeof part === 'string' ? [] : [{ pointer, expression: part }]));
    case 'list':
      return template.items.flatMap((item, index) => expressionsIn(item, `${pointer}/${index}`));
    case 'object':
      return template.entries.flatMap(([key, item]) => expressionsIn(item, `${pointer}/${escapePointer(key)}`));
  }
}

const escapePointer = (key: string): string => key.replaceAll('~', '~0').replaceAll('/', '~1');

/** The nodes an expression reaches into. */
export function nodesIn(expression: Expression): readonly number[] {
  if (expression.kind === 'cel') return [...expression.references.qualified, ...expression.references.bare];
  return expression.kind === 'path' && expression.path.root.kind === 'node' ? [expression.path.root.node] : [];
}

/** True where an expression names `item`. */
export function usesItem(expression: Expression): boolean {
  if (expression.kind === 'cel') return expression.references.usesItem;
  return expression.kind === 'path' && expression.path.root.kind === 'item';
}
