import ts from 'typescript';
import type { Check } from './check.ts';
import { type Assembly, assemblyOf, isFixed, isFromRequest, isTamed, isWholeAssembly, resolved } from './origin.ts';
import type { Script } from './script.ts';

const beginnings = [
  String.raw`select\b[\s\S]*\bfrom\b`,
  String.raw`(?:insert|replace)\s+into\b`,
  String.raw`update\b[\s\S]*\bset\b`,
  String.raw`delete\s+from\b`,
  String.raw`drop\s+(?:table|database)\b`,
  String.raw`alter\s+table\b`,
];
const statement = new RegExp(String.raw`^\(?\s*(?:with\b[\s\S]*\bas\s*\(\s*)?(?:${beginnings.join('|')})`, 'i');
// What stands before a hole that is filled with a value, as opposed to a name or a clause.
const valuePosition = /(?:[=<>]|\blike|\bin\s*\(|\bvalues\s*\((?:[^()]*,)?)\s*$|(?:[=<>]|\blike|[(,])\s*['"]%?$/i;
const placeholderMark = /[$@:?]$/;
const makesPlaceholders = /\$\$\{|['"`]\?['"`]/;

/**
 * SQL put together from values. A hole for a name or a clause (`FROM ${table}`) is taken to be filled by the program
 * itself unless it visibly comes from a request.
 */
export const checkSql: Check = (node, script) => {
  if (!isWholeAssembly(node)) return undefined;
  const assembly = assemblyOf(node);
  if (
    assembly === undefined ||
    !statement.test(assembly.parts.join(hole).trimStart().slice(0, maxBeginning)) ||
    !hasInjectable(assembly, script)
  )
    return undefined;
  return {
    type: 'sql-injection',
    severity: 'high',
    description: 'an SQL statement put together from values; pass them as query parameters',
  };
};

/** What a statement is, it says early; what a hole is for, just before it. */
const maxBeginning = 5_000;
const maxBefore = 500;
const hole = '\u0000';

function hasInjectable({ parts, holes }: Assembly, script: Script): boolean {
  let before = '';
  return holes.some((expression, index) => {
    before = `${before}${parts[index] ?? ''}`.slice(-maxBefore);
    const isUnsafe = isInjectable(expression, before, script);
    before += hole;
    return isUnsafe;
  });
}

function isInjectable(expression: ts.Expression, before: string, script: Script): boolean {
  const value = resolved(expression, script);
  if (placeholderMark.test(before) || isFixed(value, script) || isTamed(value) || makesPlaceholders.test(value.getText())) return false;
  return valuePosition.test(before) || isFromRequest(expression, script);
}
