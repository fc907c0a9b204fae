import { HiveError, type JsonObject, type JsonValue } from '@hivekeeper/contract';
import { follow, type Path } from './path.ts';
import type { References } from './references.ts';
import type { Expression, Template } from './template.ts';

/** Evaluates a CEL expression. @throws HiveError TEMPLATE_UNRESOLVED */
export type Evaluate = (expression: string, scope: JsonObject) => JsonValue;

/** What templates may read. */
export interface Scope {
  readonly runId: string;
  readonly context: JsonObject;
  /** The element of `map` this slot is for. */
  readonly item?: JsonValue | undefined;
  readonly idOf: (node: number) => string;
  /** `{ output, status, error }` of a node that has finished. */
  readonly nodeAt: (node: number) => JsonObject;
  readonly evaluate: Evaluate;
}

/**
 * Puts values where the templates stand. Works on parsed values: what is put in is never read for templates again, and
 * keys are the author's, so data can never become structure.
 * @throws HiveError TEMPLATE_UNRESOLVED where a value is missing
 */
export function resolveTemplate(template: Template, scope: Scope): JsonValue {
  switch (template.kind) {
    case 'constant':
      return template.value;
    case 'whole':
      return valueOf(template.expression, scope);
    case 'text':
      return template.parts.map((part) => (typeof part === 'string' ? part : renderText(valueOf(part, scope)))).join('');
    case 'list':
      return template.items.map((item) => resolveTemplate(item, scope));
    case 'object':
      return Object.fromEntries(template.entries.map(([key, item]) => [key, resolveTemplate(item, scope)]));
  }
}

const renderText = (value: JsonValue): string => (typeof value === 'string' ? value : JSON.stringify(value));

/** The value of one expression. @throws HiveError TEMPLATE_UNRESOLVED */
export function valueOf(expression: Expression, scope: Scope): JsonValue {
  switch (expression.kind) {
    case 'path':
      return valueAt(expression.path, expression.text, scope);
    case 'cel':
      return scope.evaluate(expression.text, celScopeOf(expression.references, scope));
    case 'defect':
      throw unresolved(expression.text, expression.reason);
  }
}

function valueAt({ root, segments }: Path, text: string, scope: Scope): JsonValue {
  const start = rootValue(root, scope);
  if (start === undefined) throw unresolved(text, '"item" exists only in the input of a node with "map"');
  const found = follow(start, segments);
  if ('value' in found) return found.value;
  const reached = [rootName(root, scope), ...segments.slice(0, found.brokenAt)].join('.');
  throw unresolved(text, `${reached} has no "${segments[found.brokenAt]}"`);
}

function rootValue(root: Path['root'], scope: Scope): JsonValue | undefined {
  switch (root.kind) {
    case 'context':
      return scope.context;
    case 'item':
      return scope.item;
    case 'run':
      return { id: scope.runId };
    case 'node':
      return scope.nodeAt(root.node);
  }
}

const rootName = (root: Path['root'], scope: Scope): string => (root.kind === 'node' ? scope.idOf(root.node) : root.kind);

// Only what the expression names is put in scope, so that its cost does not grow with the workflow.
function celScopeOf(references: References, scope: Scope): JsonObject {
  const nodesById = (nodes: readonly number[]) => Object.fromEntries(nodes.map((node) => [scope.idOf(node), scope.nodeAt(node)]));
  return {
    ...nodesById(references.bare),
    ...(references.qualified.length > 0 && { nodes: nodesById(references.qualified) }),
    ...(references.usesContext && { context: scope.context }),
    ...(references.usesItem && scope.item !== undefined && { item: scope.item }),
    ...(references.usesRun && { run: { id: scope.runId } }),
  };
}

/** The error of an expression without value. */
export const unresolved = (text: string, reason: string): HiveError => new HiveError('TEMPLATE_UNRESOLVED', `${text}: ${reason}`);
