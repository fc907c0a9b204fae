import ts from 'typescript';
import { type ScriptFile, lineOf, visit } from '../code-file.ts';
import type { Remark } from '../issue.ts';

/** What there is an asynchronous form of, without its ending `Sync`. */
const blocking = new Set([
  ...[
    'readFile',
    'writeFile',
    'appendFile',
    'copyFile',
    'readdir',
    'stat',
    'lstat',
    'exists',
    'access',
    'mkdir',
    'rm',
    'rmdir',
    'unlink',
    'rename',
  ],
  ...['exec', 'execFile', 'spawn', 'pbkdf2', 'scrypt', 'gzip', 'gunzip', 'deflate', 'inflate', 'brotliCompress', 'brotliDecompress'],
]);
const requestName = /^(_?req|_?request|ctx|context)$/;
const answerName = /^(_?res|_?response|_?reply)$/;
const routeMethod = /^(get|post|put|patch|delete|head|options|all|use|route|createServer|addHook)$/;

/** Synchronous input and output where requests are answered: everybody waits for it. */
export function findBlockingCalls({ path, script }: ScriptFile): Remark[] {
  const remarks = new Map<number, Remark>();
  visit(script, (handler) => {
    if (!isHandler(handler)) return;
    visit(handler, (node) => {
      if (!ts.isCallExpression(node) || !isBlocking(nameOf(node))) return;
      remarks.set(node.pos, {
        rule: 'sync-io',
        severity: 'warning',
        file: path,
        line: lineOf(script, node),
        description: `${nameOf(node)} answers a request: no other request is served until it returns`,
        suggestion: `Use the asynchronous ${nameOf(node).replace(/Sync$/, '')}, or do it once at the start.`,
      });
    });
  });
  return [...remarks.values()];
}

const isBlocking = (name: string): boolean => name.endsWith('Sync') && blocking.has(name.slice(0, -'Sync'.length));

function nameOf({ expression }: ts.CallExpression): string {
  if (ts.isIdentifier(expression)) return expression.text;
  return ts.isPropertyAccessExpression(expression) ? expression.name.text : '';
}

/** A function of a request and an answer, or a function of a request that is given to a route. */
function isHandler(node: ts.Node): boolean {
  if (!ts.isFunctionLike(node)) return false;
  const [first = '', second = ''] = node.parameters.map(({ name }) => name.getText());
  if (!requestName.test(first)) return false;
  return answerName.test(second) || (ts.isCallExpression(node.parent) && routeMethod.test(nameOf(node.parent)));
}
