import ts from 'typescript';
import { type ScriptFile, dottedName, visit } from '../code-file.ts';

/** Every name of a module. */
export const everything = '*';

/** That a module names another one. */
export interface Reference {
  readonly specifier: string;
  /** The names it takes, in the other module's words; {@link everything} where that cannot be told. */
  readonly names: readonly string[];
  /** Set where it offers them on: under which name it offers each. `*` offers all under their own. */
  readonly offeredAs?: readonly string[];
}

/** A function, class or value that a module exports. */
export interface ExportedValue {
  readonly name: string;
  readonly node: ts.Node;
  readonly isUsedInside: boolean;
}

/** What a script says about other modules and offers to them. */
export interface Module {
  readonly path: string;
  readonly references: readonly Reference[];
  readonly exports: readonly ExportedValue[];
  /** Texts that look like the path of a script: started as a process, loaded by a tool. */
  readonly mentions: readonly string[];
  readonly hasFunctions: boolean;
}

const scriptPath = /^[\w@./-]+\.[mc]?[jt]sx?$/;

export function readModule({ path, script }: ScriptFile): Module {
  const references: Reference[] = [];
  const mentions: string[] = [];
  const uses = new Map<string, number>();
  let hasFunctions = false;
  visit(script, (node) => {
    const reference = referenceOf(node);
    if (reference !== undefined) references.push(reference);
    if (ts.isStringLiteralLike(node) && scriptPath.test(node.text) && !isSpecifier(node)) mentions.push(node.text);
    if (ts.isIdentifier(node)) uses.set(node.text, (uses.get(node.text) ?? 0) + 1);
    if (ts.isFunctionLike(node) && 'body' in node && node.body !== undefined) hasFunctions = true;
  });
  const exports = script.statements
    .flatMap(exportedBy)
    .map(({ name, node, ownName }) => ({ name, node, isUsedInside: (uses.get(ownName) ?? 0) > timesNamed(node) }));
  return { path, references, exports, mentions, hasFunctions };
}

const isSpecifier = ({ parent }: ts.Node): boolean => ts.isImportDeclaration(parent) || ts.isExportDeclaration(parent);

/** How often the export itself names what it exports: `export { a }` beside its declaration names it twice. */
const timesNamed = (node: ts.Node): number => (ts.isExportSpecifier(node) ? 2 : 1);

function referenceOf(node: ts.Node): Reference | undefined {
  if (ts.isImportDeclaration(node)) return { specifier: textOf(node.moduleSpecifier), names: importedNames(node.importClause) };
  if (ts.isExportDeclaration(node) && node.moduleSpecifier !== undefined) return reexportOf(node, textOf(node.moduleSpecifier));
  if (ts.isImportTypeNode(node) && ts.isLiteralTypeNode(node.argument))
    return { specifier: textOf(node.argument.literal), names: [everything] };
  if (!ts.isCallExpression(node)) return undefined;
  const isLoad = node.expression.kind === ts.SyntaxKind.ImportKeyword || /^require(\.resolve)?$/.test(dottedName(node.expression));
  const [specifier] = node.arguments;
  return isLoad && specifier !== undefined ? { specifier: textOf(specifier), names: [everything] } : undefined;
}

const textOf = (node: ts.Node): string => (ts.isStringLiteralLike(node) ? node.text : '');

function importedNames(clause: ts.ImportClause | undefined): string[] {
  if (clause === undefined) return [];
  const { namedBindings } = clause;
  const named =
    namedBindings === undefined
      ? []
      : ts.isNamespaceImport(namedBindings)
        ? [everything]
        : namedBindings.elements.map(({ name, propertyName }) => (propertyName ?? name).text);
  return clause.name === undefined ? named : ['default', ...named];
}

function reexportOf({ exportClause }: ts.ExportDeclaration, specifier: string): Reference {
  if (exportClause === undefined) return { specifier, names: [everything], offeredAs: [everything] };
  if (ts.isNamespaceExport(exportClause)) return { specifier, names: [everything] };
  return {
    specifier,
    names: exportClause.elements.map(({ name, propertyName }) => (propertyName ?? name).text),
    offeredAs: exportClause.elements.map(({ name }) => name.text),
  };
}

interface Named {
  readonly name: string;
  readonly ownName: string;
  readonly node: ts.Node;
}

/** Types are left out: they are exported for who writes out the type of a value. */
function exportedBy(statement: ts.Statement): Named[] {
  if (ts.isExportDeclaration(statement))
    return statement.moduleSpecifier === undefined && !statement.isTypeOnly ? specifiersOf(statement.exportClause) : [];
  if (!hasModifier(statement, ts.SyntaxKind.ExportKeyword) || hasModifier(statement, ts.SyntaxKind.DefaultKeyword)) return [];
  const names = ts.isVariableStatement(statement)
    ? statement.declarationList.declarations.map(({ name }) => name)
    : isValue(statement)
      ? [statement.name]
      : [];
  return names.flatMap((name) => (name !== undefined && ts.isIdentifier(name) ? [named(name)] : []));
}

const isValue = (node: ts.Statement): node is ts.FunctionDeclaration | ts.ClassDeclaration | ts.EnumDeclaration =>
  ts.isFunctionDeclaration(node) || ts.isClassDeclaration(node) || ts.isEnumDeclaration(node);

const hasModifier = (node: ts.Statement, kind: ts.SyntaxKind): boolean =>
  ts.canHaveModifiers(node) && (ts.getModifiers(node) ?? []).some((modifier) => modifier.kind === kind);

const named = (node: ts.Identifier): Named => ({ name: node.text, ownName: node.text, node });

const specifiersOf = (clause: ts.NamedExportBindings | undefined): Named[] =>
  clause === undefined || ts.isNamespaceExport(clause)
    ? []
    : clause.elements
        .filter(({ isTypeOnly }) => !isTypeOnly)
        .map((node) => ({ name: node.name.text, ownName: (node.propertyName ?? node.name).text, node }));
