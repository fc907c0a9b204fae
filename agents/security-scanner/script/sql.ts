import ts from 'typescript';
import type { Check } from './check.ts';
import { assemblyOf, isFixed, isFromRequest, isTamed, isWholeAssembly, resolved } from './origin.ts';
import type { Script } from './script.ts';

const statement = /^\s*\(?\s*(?:with\b[\s\S]*\bas\s*\(\s*)?(?:select\b[\s\S]*\bfrom\b|insert\s+into\b|replace\s+into\b|update\b[\s\S]*\bset\b|delete\s+from\b|drop\s+(?:table|database)\b|alter\s+table\b)/i;
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
  if (assembly === undefined || !statement.test(assembly.parts.join('?'))) return undefined;
  const isUnsafe = assembly.holes.some((hole, index) => isInjectable(hole, assembly.parts.slice(0, index + 1).join('?'), script));
  if (!isUnsafe) return undefined;
  return { type: 'sql-injection', severity: 'high', description: 'an SQL statement put together from values; pass them as query parameters' };
};

function isInjectable(hole: ts.Expression, before: string, script: Script): boolean {
  const value = resolved(hole, script);
  if (placeholderMark.test(before) || isFixed(value, script) || isTamed(value) || makesPlaceholders.test(value.getText())) return false;
  return valuePosition.test(before) || isFromRequest(hole, script);
}
