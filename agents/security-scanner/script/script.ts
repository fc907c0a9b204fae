import ts from 'typescript';

/** What a local name was imported as. `name` is `*` for a whole module. */
export interface Imported {
  readonly module: string;
  readonly name: string;
}

/** A parsed JavaScript or TypeScript file and what its declarations say about its names. */
export interface Script {
  readonly file: ts.SourceFile;
  /** Every name that the file declares somewhere. */
  readonly declared: ReadonlySet<string>;
  readonly imports: ReadonlyMap<string, Imported>;
  /** The one value of a name; nothing for parameters, for `let` and where a name is declared twice. */
  readonly values: ReadonlyMap<string, ts.Expression>;
  /** What a name was taken out of: `req.body` for `const { id } = req.body`. */
  readonly origins: ReadonlyMap<string, ts.Expression>;
}

export const scriptExtensions = new Set(['.ts', '.tsx', '.mts', '.cts', '.js', '.jsx', '.mjs', '.cjs']);

// Reading the tags in doc comments would take a third more time, and no check asks for them.
const parsing: ts.CreateSourceFileOptions = { languageVersion: ts.ScriptTarget.Latest, jsDocParsingMode: ts.JSDocParsingMode.ParseNone };

/** Nothing where the code is nested too deeply for the parser. */
export function parseScript(path: string, text: string): Script | undefined {
  const file = parse(path, text);
  if (file === undefined) return undefined;
  const declared = new Set<string>();
  const script = {
    file,
    declared,
    imports: new Map<string, Imported>(),
    values: new Map<string, ts.Expression>(),
    origins: new Map<string, ts.Expression>(),
  };
  visit(file, (node) => {
    if (ts.isImportDeclaration(node)) readImport(node, script.imports);
    if (ts.isVariableDeclaration(node)) readRequire(node, script.imports);
    if (isDeclaration(node) && ts.isIdentifier(node.name)) readDeclaration(node, { name: node.name.text, ...script });
    if ((ts.isClassDeclaration(node) || ts.isFunctionDeclaration(node)) && node.name !== undefined) declared.add(node.name.text);
  });
  return script;
}

function parse(path: string, text: string): ts.SourceFile | undefined {
  try {
    return ts.createSourceFile(path, text, parsing, true, /\.[mc]?ts$/i.test(path) ? ts.ScriptKind.TS : ts.ScriptKind.TSX);
  } catch (error) {
    if (error instanceof RangeError) return undefined; // the parser calls itself for each level
    throw error;
  }
}

type Declaration = ts.VariableDeclaration | ts.ParameterDeclaration | ts.BindingElement;
const isDeclaration = (node: ts.Node): node is Declaration =>
  ts.isVariableDeclaration(node) || ts.isParameter(node) || ts.isBindingElement(node);

interface NameTables {
  readonly name: string;
  readonly declared: Set<string>;
  readonly values: Map<string, ts.Expression>;
  readonly origins: Map<string, ts.Expression>;
}

function readDeclaration(node: Declaration, { name, declared, values, origins }: NameTables): void {
  const origin = originOf(node);
  if (origin !== undefined) origins.set(name, origin);
  if (declared.has(name)) values.delete(name);
  else if (ts.isVariableDeclaration(node) && node.initializer !== undefined && isConst(node)) values.set(name, node.initializer);
  declared.add(name);
}

/**
 * Calls `see` on a node and on what lies below it, unless `see` answers false. Keeps its own stack: code may be nested
 * deeper than calls.
 */
export function visit(node: ts.Node, see: (node: ts.Node) => boolean | void): void {
  const pending = [node];
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    if (see(next) === false) continue;
    const children: ts.Node[] = [];
    ts.forEachChild(next, (child) => void children.push(child));
    for (const child of children.reverse()) pending.push(child);
  }
}

/** The name a call calls: `exec` for `exec()`, `cp.exec()` and `this.cp.exec()`. */
export function calledName(call: ts.CallExpression | ts.NewExpression): string {
  const callee = call.expression;
  if (ts.isIdentifier(callee)) return callee.text;
  return ts.isPropertyAccessExpression(callee) ? callee.name.text : '';
}

/** Where what a call calls was imported from, through one `promisify` or other wrapper at most. */
export function calledImport(call: ts.CallExpression, script: Script): Imported | undefined {
  const callee = call.expression;
  if (ts.isIdentifier(callee)) return importedAs(callee, script);
  if (!ts.isPropertyAccessExpression(callee) || !ts.isIdentifier(callee.expression)) return undefined;
  const owner = script.imports.get(callee.expression.text);
  return owner?.name === '*' ? { module: owner.module, name: callee.name.text } : undefined;
}

function importedAs(name: ts.Identifier, script: Script): Imported | undefined {
  const direct = script.imports.get(name.text);
  const value = script.values.get(name.text);
  if (direct !== undefined || value === undefined || !ts.isCallExpression(value)) return direct;
  const [wrapped] = value.arguments;
  if (wrapped === undefined || calledName(value) !== 'promisify') return undefined;
  if (ts.isIdentifier(wrapped)) return script.imports.get(wrapped.text);
  if (!ts.isPropertyAccessExpression(wrapped) || !ts.isIdentifier(wrapped.expression)) return undefined;
  const owner = script.imports.get(wrapped.expression.text);
  return owner === undefined ? undefined : { module: owner.module, name: wrapped.name.text };
}

/** The expression below parentheses, casts, `!` and `await`. */
export function bare(expression: ts.Expression): ts.Expression {
  let inner = expression;
  while (
    ts.isParenthesizedExpression(inner) ||
    ts.isAsExpression(inner) ||
    ts.isSatisfiesExpression(inner) ||
    ts.isNonNullExpression(inner) ||
    ts.isAwaitExpression(inner)
  )
    inner = inner.expression;
  return inner;
}

const maxNames = 6;

/** `a.b.c` for a short chain of names, however it is broken into lines; empty for any other expression. */
export function dottedName(expression: ts.Expression): string {
  const names: string[] = [];
  let inner = bare(expression);
  while (ts.isPropertyAccessExpression(inner) && names.length < maxNames) {
    names.unshift(inner.name.text);
    inner = bare(inner.expression);
  }
  if (ts.isIdentifier(inner)) return [inner.text, ...names].join('.');
  return ts.isMetaProperty(inner) ? ['import.meta', ...names].join('.') : '';
}

/** The value a property has in an object literal. */
export function propertyOf(object: ts.Node | undefined, name: string): ts.Expression | undefined {
  if (object === undefined || !ts.isObjectLiteralExpression(object)) return undefined;
  const property = object.properties.find((each) => each.name !== undefined && 'text' in each.name && each.name.text === name);
  return property !== undefined && ts.isPropertyAssignment(property) ? property.initializer : undefined;
}

const isConst = (node: ts.VariableDeclaration): boolean => (ts.getCombinedNodeFlags(node) & ts.NodeFlags.Const) !== 0;

const withoutScheme = (module: string): string => module.replace(/^node:/, '');

function readImport({ importClause, moduleSpecifier }: ts.ImportDeclaration, imports: Map<string, Imported>): void {
  if (importClause === undefined || !ts.isStringLiteral(moduleSpecifier)) return;
  const module = withoutScheme(moduleSpecifier.text);
  if (importClause.name !== undefined) imports.set(importClause.name.text, { module, name: '*' });
  const { namedBindings } = importClause;
  if (namedBindings === undefined) return;
  if (ts.isNamespaceImport(namedBindings)) imports.set(namedBindings.name.text, { module, name: '*' });
  else for (const { name, propertyName } of namedBindings.elements) imports.set(name.text, { module, name: (propertyName ?? name).text });
}

function readRequire({ name, initializer }: ts.VariableDeclaration, imports: Map<string, Imported>): void {
  if (initializer === undefined || !ts.isCallExpression(initializer) || calledName(initializer) !== 'require') return;
  const [specifier] = initializer.arguments;
  if (specifier === undefined || !ts.isStringLiteral(specifier)) return;
  const module = withoutScheme(specifier.text);
  if (ts.isIdentifier(name)) imports.set(name.text, { module, name: '*' });
  if (!ts.isObjectBindingPattern(name)) return;
  for (const element of name.elements) {
    if (!ts.isIdentifier(element.name)) continue;
    const imported = element.propertyName ?? element.name;
    imports.set(element.name.text, { module, name: ts.isIdentifier(imported) ? imported.text : element.name.text });
  }
}

/** Climbs out of a destructuring pattern to the declaration it belongs to. */
function originOf(node: ts.VariableDeclaration | ts.ParameterDeclaration | ts.BindingElement): ts.Expression | undefined {
  let declaration: ts.Node = node;
  while (ts.isBindingElement(declaration)) declaration = declaration.parent.parent;
  return ts.isVariableDeclaration(declaration) ? declaration.initializer : undefined;
}
