import ts from 'typescript';
import { type ScriptFile, dottedName, lineOf, visit } from '../code-file.ts';
import type { Remark } from '../issue.ts';

/** What a check says about a node; it lies on the node's first line. */
type Verdict = Omit<Remark, 'file' | 'line'>;
type Check = (node: ts.Node) => Verdict | undefined;

/** What one look at a node shows. */
export function findSmells({ path, script }: ScriptFile): Remark[] {
  const remarks: Remark[] = [];
  visit(script, (node) => {
    for (const check of checks) {
      const verdict = check(node);
      if (verdict !== undefined) remarks.push({ ...verdict, file: path, line: lineOf(script, node) });
    }
  });
  return remarks;
}

const checkEmptyCatch: Check = (node) => {
  if (!ts.isCatchClause(node) || node.block.statements.length > 0 || /\/[/*]/.test(node.block.getText())) return undefined;
  return {
    rule: 'empty-catch',
    severity: 'warning',
    description: 'an error is caught and forgotten: nobody will learn that this failed',
    suggestion: 'Handle it, let it pass, or say in a comment why it does not matter.',
  };
};

const checkQuadraticCopy: Check = (node) => {
  if (!ts.isCallExpression(node) || methodOf(node) !== 'reduce') return undefined;
  const [step] = node.arguments;
  if (step === undefined || !ts.isArrowFunction(step)) return undefined;
  const gathered = step.parameters[0]?.name.getText() ?? '';
  if (!spreadsIn(step.body).includes(gathered)) return undefined;
  return {
    rule: 'quadratic-copy',
    severity: 'warning',
    description: `reduce copies all of "${gathered}" in every step, which takes quadratic time`,
    suggestion: 'Use flatMap, Object.fromEntries, or a loop that adds to one collection.',
  };
};

/** What an object or array that a function gives back spreads into itself. */
function spreadsIn(body: ts.ConciseBody): string[] {
  const result = ts.isParenthesizedExpression(body) ? body.expression : body;
  const parts = ts.isObjectLiteralExpression(result) ? result.properties : ts.isArrayLiteralExpression(result) ? result.elements : [];
  return parts.flatMap((part) => (ts.isSpreadAssignment(part) || ts.isSpreadElement(part) ? [part.expression.getText()] : []));
}

const checkJsonClone: Check = (node) => {
  const [inner] = ts.isCallExpression(node) && dottedName(node.expression) === 'JSON.parse' ? node.arguments : [];
  if (inner === undefined || !ts.isCallExpression(inner) || dottedName(inner.expression) !== 'JSON.stringify') return undefined;
  return {
    rule: 'json-clone',
    severity: 'info',
    description: 'a value is copied through text, which is slow and loses dates, maps and undefined',
    suggestion: 'Use structuredClone.',
  };
};

const checkCookie: Check = (node) => {
  if (!ts.isCallExpression(node) || !/^(res|response|reply)\.(cookie|setCookie)$/.test(dottedName(node.expression))) return undefined;
  const options = node.arguments[2];
  if (options !== undefined && (!ts.isObjectLiteralExpression(options) || hasSpread(options) || valueIn(options, 'httpOnly') === 'true'))
    return undefined;
  return {
    rule: 'cookie-flags',
    severity: 'warning',
    description: 'a cookie is set that scripts in the page can read',
    suggestion: 'Set httpOnly, secure and sameSite.',
  };
};

const checkCors: Check = (node) => {
  if (
    !ts.isObjectLiteralExpression(node) ||
    valueIn(node, 'credentials') !== 'true' ||
    !/^(true|['"]\*['"])$/.test(valueIn(node, 'origin') ?? '')
  )
    return undefined;
  return {
    rule: 'open-cors',
    severity: 'error',
    description: 'every site may call with the cookies of the visitor',
    suggestion: 'List the origins that are allowed.',
  };
};

const checkMessage: Check = (node) => {
  if (!ts.isCallExpression(node) || methodOf(node) !== 'postMessage' || !/^['"]\*['"]$/.test(node.arguments[1]?.getText() ?? ''))
    return undefined;
  return {
    rule: 'open-message',
    severity: 'warning',
    description: 'a message is posted to whatever page is loaded there',
    suggestion: 'Name the origin that is meant instead of "*".',
  };
};

const checks: readonly Check[] = [checkEmptyCatch, checkQuadraticCopy, checkJsonClone, checkCookie, checkCors, checkMessage];

const methodOf = ({ expression }: ts.CallExpression): string => (ts.isPropertyAccessExpression(expression) ? expression.name.text : '');

const hasSpread = (object: ts.ObjectLiteralExpression): boolean => object.properties.some(ts.isSpreadAssignment);

function valueIn(object: ts.ObjectLiteralExpression, name: string): string | undefined {
  const property = object.properties.find((each) => each.name?.getText() === name);
  return property !== undefined && ts.isPropertyAssignment(property) ? property.initializer.getText() : undefined;
}
