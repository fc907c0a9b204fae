import ts from 'typescript';
import { type Script, bare, calledName, dottedName, propertyOf } from './script.ts';

/*
 * Where the value of an expression comes from, as far as one file tells. `isFixed` is what every injection rule asks: a text
 * that the program's author wrote cannot be injected. It errs towards "not fixed"; `isFromRequest` towards "no".
 */

const maxSteps = 8;
const shapesText = new Set([
  'join',
  'map',
  'filter',
  'trim',
  'toUpperCase',
  'toLowerCase',
  'repeat',
  'slice',
  'concat',
  'flat',
  'toString',
]);
const givesNumber = new Set(['Number', 'parseInt', 'parseFloat', 'BigInt']);
const ownPlaces = /^(__dirname|__filename|process\.(execPath|pid|platform|arch|version)|import\.meta\.(dirname|filename|url))$/;

/** True where the expression can only be what stands in the source, or a number. */
export function isFixed(expression: ts.Expression, script: Script, steps = 0): boolean {
  if (steps > maxSteps) return false;
  const inner = bare(expression);
  if (ts.isLiteralExpression(inner) || isKeyword(inner) || ownPlaces.test(dottedName(inner))) return true;
  const parts = partsOf(inner);
  if (parts !== undefined) return parts.every((part) => part !== undefined && isFixed(part, script, steps + 1));
  if (ts.isIdentifier(inner)) return isFixedName(inner, script, steps);
  if (ts.isPropertyAccessExpression(inner)) return isFixedProperty(inner, script, steps);
  return ts.isCallExpression(inner) && isFixedCall(inner, script, steps);
}

/** What must be fixed for the whole to be; nothing where the expression is not made of parts. */
function partsOf(inner: ts.Expression): readonly (ts.Expression | undefined)[] | undefined {
  if (ts.isTemplateExpression(inner)) return inner.templateSpans.map((span) => span.expression);
  if (ts.isConditionalExpression(inner)) return [inner.whenTrue, inner.whenFalse];
  if (isSum(inner)) return operandsOf(inner);
  if (ts.isBinaryExpression(inner)) return isArithmetic(inner) ? [] : [inner.left, inner.right];
  if (ts.isArrayLiteralExpression(inner)) return inner.elements.map((each) => (ts.isSpreadElement(each) ? each.expression : each));
  if (ts.isObjectLiteralExpression(inner))
    return inner.properties.map((each) => (ts.isPropertyAssignment(each) ? each.initializer : undefined));
  return ts.isElementAccessExpression(inner) ? [inner.expression] : undefined;
}

const isKeyword = (node: ts.Node): boolean =>
  [ts.SyntaxKind.TrueKeyword, ts.SyntaxKind.FalseKeyword, ts.SyntaxKind.NullKeyword].includes(node.kind) ||
  (ts.isIdentifier(node) && node.text === 'undefined');

const isArithmetic = ({ operatorToken }: ts.BinaryExpression): boolean =>
  [ts.SyntaxKind.MinusToken, ts.SyntaxKind.AsteriskToken, ts.SyntaxKind.SlashToken, ts.SyntaxKind.PercentToken].includes(
    operatorToken.kind,
  );

/** An imported name in capitals is a constant by convention. */
function isFixedName(name: ts.Identifier, script: Script, steps: number): boolean {
  const value = script.values.get(name.text);
  if (value !== undefined) return isFixed(value, script, steps + 1);
  return script.imports.has(name.text) && /^[A-Z][A-Z0-9_]+$/.test(name.text);
}

function isFixedProperty(access: ts.PropertyAccessExpression, script: Script, steps: number): boolean {
  if (access.name.text === 'length' || access.name.text === 'size') return true;
  const owner = bare(access.expression);
  const object = ts.isIdentifier(owner) ? script.values.get(owner.text) : owner;
  const value = propertyOf(object === undefined ? undefined : bare(object), access.name.text);
  return value !== undefined && isFixed(value, script, steps + 1);
}

function isFixedCall(call: ts.CallExpression, script: Script, steps: number): boolean {
  const callee = call.expression;
  if (ts.isIdentifier(callee)) return givesNumber.has(callee.text);
  if (!ts.isPropertyAccessExpression(callee)) return false;
  if (dottedName(callee.expression) === 'Object') return call.arguments.every((each) => isFixed(each, script, steps + 1));
  return shapesText.has(callee.name.text) && isFixed(callee.expression, script, steps + 1);
}

const requestPart =
  /^(req|request|ctx|context|event|c\.req)(\.request)?\.(params|query|body|headers|cookies|url|originalUrl|rawBody|queryStringParameters|pathParameters)\b/;
const tamingCall = /^(Number|parseInt|parseFloat|basename|encodeURIComponent)$|escape|sanitiz|purify|quote|literal|ident/i;

/** True where a caller of the server chose the value or a part of it. */
export function isFromRequest(node: ts.Node, script: Script, steps = 0): boolean {
  if (steps > maxSteps || ts.isFunctionLike(node)) return false;
  if (ts.isExpression(node) && isTamed(node)) return false;
  if (ts.isPropertyAccessExpression(node) && requestPart.test(dottedName(node))) return true;
  if (ts.isIdentifier(node)) return isNameFromRequest(node, script, steps);
  return ts.forEachChild(node, (child) => isFromRequest(child, script, steps + 1) || undefined) ?? false;
}

function isNameFromRequest(name: ts.Identifier, script: Script, steps: number): boolean {
  const isProperty = ts.isPropertyAccessExpression(name.parent) && name.parent.name === name;
  const origin = isProperty ? undefined : script.origins.get(name.text);
  return origin !== undefined && isFromRequest(origin, script, steps + 1);
}

/** True for the result of a function that, by its name, makes a value harmless. */
export function isTamed(expression: ts.Expression): boolean {
  const inner = bare(expression);
  return ts.isCallExpression(inner) && (tamingCall.test(calledName(inner)) || /purify|sanitiz/i.test(dottedName(inner.expression)));
}

/** What a name stands for, where the file tells; else the expression itself. */
export function resolved(expression: ts.Expression, { values }: Script): ts.Expression {
  const inner = bare(expression);
  return bare((ts.isIdentifier(inner) ? values.get(inner.text) : undefined) ?? inner);
}

/** A text being put together: its fixed parts, and what is put between them (one fewer). */
export interface Assembly {
  readonly parts: readonly string[];
  readonly holes: readonly ts.Expression[];
}

/** Reads a template or a chain of `+` with at least one text in it as one text with holes. */
export function assemblyOf(expression: ts.Expression): Assembly | undefined {
  const pieces = operandsOf(expression).map((operand) => ({ operand, text: textOf(operand) }));
  if (pieces.every(({ text }) => text === undefined)) return undefined;
  const parts = [''];
  const holes: ts.Expression[] = [];
  for (const { operand, text = { parts: ['', ''], holes: [operand] } } of pieces) {
    const [start = '', ...others] = text.parts;
    parts.push((parts.pop() ?? '') + start, ...others);
    holes.push(...text.holes);
  }
  return { parts, holes };
}

function textOf(operand: ts.Expression): Assembly | undefined {
  if (ts.isStringLiteralLike(operand)) return { parts: [operand.text], holes: [] };
  if (!ts.isTemplateExpression(operand)) return undefined;
  const { head, templateSpans } = operand;
  return { parts: [head.text, ...templateSpans.map(({ literal }) => literal.text)], holes: templateSpans.map((span) => span.expression) };
}

/** What a chain of `+` adds up, from the left; anything else is a chain of one. */
function operandsOf(expression: ts.Expression): ts.Expression[] {
  const operands: ts.Expression[] = [];
  const pending = [expression];
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    const inner = bare(next);
    if (isSum(inner)) pending.push(inner.right, inner.left);
    else operands.push(inner);
  }
  return operands;
}

const isSum = (node: ts.Node): node is ts.BinaryExpression =>
  ts.isBinaryExpression(node) && node.operatorToken.kind === ts.SyntaxKind.PlusToken;

/** True for the whole of a text being put together, not a piece of a larger one. */
export const isWholeAssembly = (node: ts.Node): node is ts.Expression =>
  (ts.isTemplateExpression(node) || isSum(node)) && !ts.isTaggedTemplateExpression(node.parent) && !isSum(node.parent);
