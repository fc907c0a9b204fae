import ts from 'typescript';
import type { Check, Verdict } from './check.ts';
import { assemblyOf, isFixed, resolved } from './origin.ts';
import { type Script, calledImport, calledName, dottedName, propertyOf } from './script.ts';

/** Text that becomes code: `eval`, `Function`, timers given text. */
export const checkCodeInjection: Check = (node, script) => {
  if (!ts.isCallExpression(node) && !ts.isNewExpression(node)) return undefined;
  const name = globalNameOf(node.expression, script);
  const code = name === 'Function' ? node.arguments?.at(-1) : node.arguments?.[0];
  if (code === undefined || !takesCode(name, code) || isFixed(code, script)) return undefined;
  return {
    type: 'code-injection',
    severity: 'high',
    description: `${name} runs text that is not fixed in the source as code; parse the data or call a function instead`,
  };
};

/** Timers mostly take functions; only what is certainly text counts there. */
const takesCode = (name: string, code: ts.Expression): boolean =>
  name === 'eval' || name === 'Function' || (/^set(Timeout|Interval)$/.test(name) && assemblyOf(code) !== undefined);

function globalNameOf(callee: ts.Expression, { declared, imports }: Script): string {
  if (ts.isIdentifier(callee)) return declared.has(callee.text) || imports.has(callee.text) ? '' : callee.text;
  const isOfGlobal = ts.isPropertyAccessExpression(callee) && /^(window|globalThis|global|self)$/.test(dottedName(callee.expression));
  return isOfGlobal ? callee.name.text : '';
}

/** Text that becomes a shell command. */
export const checkCommandInjection: Check = (node, script) => {
  if (!ts.isCallExpression(node)) return undefined;
  const imported = calledImport(node, script);
  if (imported?.module !== 'child_process') return undefined;
  if (imported.name === 'exec' || imported.name === 'execSync') return judgeCommandLine(node, script);
  const hasShell = node.arguments.some((each) => propertyOf(each, 'shell')?.kind === ts.SyntaxKind.TrueKeyword);
  const [program, values] = node.arguments;
  if (
    !hasShell ||
    program === undefined ||
    (isFixed(program, script) && (values === undefined || ts.isObjectLiteralExpression(values) || isFixed(values, script)))
  )
    return undefined;
  return {
    type: 'command-injection',
    severity: 'high',
    description: `${calledName(node)} hands values to a shell (shell: true); leave the shell out and pass an argument list`,
  };
};

function judgeCommandLine(call: ts.CallExpression, script: Script): Verdict | undefined {
  const [command] = call.arguments;
  if (command === undefined || isFixed(command, script)) return undefined;
  const isAssembled = assemblyOf(resolved(command, script)) !== undefined;
  const how = isAssembled ? 'put together from values' : 'that is not fixed in the source';
  return {
    type: 'command-injection',
    severity: isAssembled ? 'high' : 'medium',
    description: `${calledName(call)} runs a shell command ${how}; use execFile with an argument list`,
  };
}
