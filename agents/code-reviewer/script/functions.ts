import ts from 'typescript';
import { type ScriptFile, lineOf, visit } from '../code-file.ts';
import type { Remark, Rule, Severity } from '../issue.ts';

/** One function as it is measured; functions inside it are measured on their own. */
export interface FunctionMeasure {
  readonly name: string;
  readonly line: number;
  /** Cyclomatic: one, and one more for every branch, loop, case, `catch` and `&&`, `||`, `??`. */
  readonly complexity: number;
  readonly lines: number;
  readonly parameters: number;
}

type FunctionNode = ts.FunctionLikeDeclaration & { readonly body: ts.Node };

export function measureFunctions({ script }: ScriptFile): FunctionMeasure[] {
  const measures: FunctionMeasure[] = [];
  visit(script, (node) => {
    if (isFunction(node)) measures.push(measure(node, script));
  });
  return measures;
}

const isFunction = (node: ts.Node): node is FunctionNode => ts.isFunctionLike(node) && 'body' in node && node.body !== undefined;

function measure(node: FunctionNode, script: ts.SourceFile): FunctionMeasure {
  const line = lineOf(script, node);
  return {
    name: nameOf(node),
    line,
    complexity: 1 + branchesIn(node.body),
    lines: script.getLineAndCharacterOfPosition(node.end).line + 2 - line,
    parameters: node.parameters.length,
  };
}

const branching: ReadonlySet<ts.SyntaxKind> = new Set([
  ts.SyntaxKind.IfStatement,
  ts.SyntaxKind.ConditionalExpression,
  ts.SyntaxKind.CaseClause,
  ts.SyntaxKind.CatchClause,
  ts.SyntaxKind.ForStatement,
  ts.SyntaxKind.ForInStatement,
  ts.SyntaxKind.ForOfStatement,
  ts.SyntaxKind.WhileStatement,
  ts.SyntaxKind.DoStatement,
]);
const joining: ReadonlySet<ts.SyntaxKind> = new Set([
  ts.SyntaxKind.AmpersandAmpersandToken,
  ts.SyntaxKind.BarBarToken,
  ts.SyntaxKind.QuestionQuestionToken,
]);

function branchesIn(body: ts.Node): number {
  let branches = 0;
  visit(body, (node) => {
    if (isFunction(node)) return false;
    if (branching.has(node.kind) || (ts.isBinaryExpression(node) && joining.has(node.operatorToken.kind))) branches += 1;
    return true;
  });
  return branches;
}

function nameOf(node: FunctionNode): string {
  if (ts.isConstructorDeclaration(node)) return 'constructor';
  if (node.name !== undefined) return node.name.getText();
  const { parent } = node;
  return ts.isVariableDeclaration(parent) || ts.isPropertyAssignment(parent) || ts.isPropertyDeclaration(parent)
    ? parent.name.getText()
    : 'an unnamed function';
}

interface Bound {
  readonly rule: Rule;
  readonly warning: number;
  readonly error: number;
  readonly valueOf: (measure: FunctionMeasure) => number;
  readonly describe: (name: string, value: number) => string;
  readonly suggestion: string;
}

const bounds: readonly Bound[] = [
  {
    rule: 'complexity',
    warning: 15,
    error: 25,
    valueOf: ({ complexity }) => complexity,
    describe: (name, value) => `${name} has a cyclomatic complexity of ${value}: so many paths are hard to follow and to test`,
    suggestion: 'Give each decision a function of its own, or put the cases into a table.',
  },
  {
    rule: 'function-length',
    warning: 80,
    error: 200,
    valueOf: ({ lines }) => lines,
    describe: (name, value) => `${name} is ${value} lines long`,
    suggestion: 'Take out the steps that have a name of their own.',
  },
  {
    rule: 'too-many-parameters',
    warning: 6,
    error: 12,
    valueOf: ({ parameters }) => parameters,
    describe: (name, value) => `${name} takes ${value} parameters, which callers will mix up`,
    suggestion: 'Pass one object with named fields.',
  },
];

/** The functions that are larger than a reader can hold. A test's length says little, so it counts for nothing. */
export function judgeFunctions({ path, isTest }: ScriptFile, measures: readonly FunctionMeasure[]): Remark[] {
  return bounds
    .filter(({ rule }) => !isTest || rule !== 'function-length')
    .flatMap((bound) =>
      measures
        .filter((each) => bound.valueOf(each) > bound.warning)
        .map((each) => {
          const value = bound.valueOf(each);
          const severity: Severity = value > bound.error ? 'error' : 'warning';
          return {
            rule: bound.rule,
            severity,
            file: path,
            line: each.line,
            description: bound.describe(each.name, value),
            suggestion: bound.suggestion,
          };
        }),
    );
}
