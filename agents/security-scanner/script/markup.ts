import ts from 'typescript';
import type { Check, Verdict } from './check.ts';
import { assemblyOf, isFixed, isFromRequest, isTamed, resolved } from './origin.ts';
import { type Script, calledName, dottedName, propertyOf } from './script.ts';

const told = (sink: string): Verdict => ({
  type: 'xss',
  severity: 'high',
  description: `${sink} shows text as markup that is not fixed in the source; use textContent, or sanitise it`,
});

/** Text that becomes markup in a page. */
export const checkMarkup: Check = (node, script) => {
  if (ts.isBinaryExpression(node)) return judgeAssignment(node, script);
  if (ts.isCallExpression(node)) return judgeCall(node, script);
  return ts.isJsxAttribute(node) ? judgeAttribute(node, script) : undefined;
};

function judgeAssignment({ left, operatorToken, right }: ts.BinaryExpression, script: Script): Verdict | undefined {
  const isAssignment = operatorToken.kind === ts.SyntaxKind.EqualsToken || operatorToken.kind === ts.SyntaxKind.PlusEqualsToken;
  if (!isAssignment || !ts.isPropertyAccessExpression(left) || !/^(inner|outer)HTML$/.test(left.name.text)) return undefined;
  return judgeText(left.name.text, right, script);
}

function judgeCall(call: ts.CallExpression, script: Script): Verdict | undefined {
  const name = calledName(call);
  const owner = ts.isPropertyAccessExpression(call.expression) ? dottedName(call.expression.expression) : '';
  if (name === 'insertAdjacentHTML') return judgeText(name, call.arguments[1], script);
  if (/^write(ln)?$/.test(name) && /(^|\.)document$/.test(owner)) return judgeText(`document.${name}`, call.arguments[0], script);
  const isAnswer = /^(send|end|write)$/.test(name) && /^(res|response|reply)\b/.test(owner);
  return isAnswer ? judgeAnswer(call.arguments[0], script) : undefined;
}

const judgeText = (sink: string, text: ts.Expression | undefined, script: Script): Verdict | undefined =>
  text === undefined || isHarmless(text, script) ? undefined : told(sink);

function judgeAnswer(body: ts.Expression | undefined, script: Script): Verdict | undefined {
  const assembly = body === undefined ? undefined : assemblyOf(body);
  if (assembly === undefined || !/<\w+/.test(assembly.parts.join(''))) return undefined;
  if (!assembly.holes.some((hole) => isFromRequest(hole, script))) return undefined;
  return { type: 'xss', severity: 'high', description: 'a part of the request is sent back inside markup; escape it' };
}

function judgeAttribute({ name, initializer }: ts.JsxAttribute, script: Script): Verdict | undefined {
  if (name.getText() !== 'dangerouslySetInnerHTML' || initializer === undefined || !ts.isJsxExpression(initializer)) return undefined;
  return judgeText('dangerouslySetInnerHTML', propertyOf(initializer.expression, '__html') ?? initializer.expression, script);
}

function isHarmless(expression: ts.Expression, script: Script): boolean {
  const value = resolved(expression, script);
  const isSafe = (part: ts.Expression): boolean => isFixed(part, script) || isTamed(resolved(part, script));
  return isSafe(value) || (assemblyOf(value)?.holes.every(isSafe) ?? false);
}
