import ts from 'typescript';
import { lineAt } from './violation.ts';

/** What one file has to do with serving. */
export interface FileFacts {
  /** The first server it creates for others than this machine. */
  readonly server?: { readonly library: string; readonly line: number };
  readonly setsHeaders: boolean;
}

/** Module → the library's name, and whether its default (`app`) or its `createServer` makes a server. */
const serverModules: Readonly<Record<string, { library: string; maker: 'app' | 'createServer' }>> = {
  express: { library: 'express', maker: 'app' },
  fastify: { library: 'fastify', maker: 'app' },
  koa: { library: 'koa', maker: 'app' },
  ...Object.fromEntries(
    ['http', 'https', 'http2'].flatMap((name) =>
      [name, `node:${name}`].map((module) => [module, { library: `node:${name}`, maker: 'createServer' as const }]),
    ),
  ),
};
const headerModules = new Set(['helmet', '@fastify/helmet', 'fastify-helmet', 'koa-helmet', 'helmet-csp']);
const headerNames = new Set(['content-security-policy', 'strict-transport-security']);
const makers = new Set(['createServer', 'createSecureServer']);
const loopback = new Set(['127.0.0.1', '::1', 'localhost']);

/** Reads the file's syntax, so that a word in a comment or a string starts no server. */
export function factsOf(path: string, text: string): FileFacts {
  const source = parse(path, text);
  if (source === undefined) return { setsHeaders: false };
  const nodes = descendants(source);
  const bindings = new Map(nodes.flatMap(bindingsOf));
  const made = nodes.find((node) => libraryMadeBy(node, bindings) !== undefined);
  const library = made === undefined ? undefined : libraryMadeBy(made, bindings);
  return {
    ...(made !== undefined &&
      library !== undefined &&
      !listensHereOnly(nodes) && { server: { library, line: lineAt(text, made.getStart(source)) } }),
    setsHeaders: nodes.some((node) => isHeaderName(node) || headerModules.has(moduleOf(node) ?? '')),
  };
}

/** Nothing where the code nests so deep that the parser runs out of stack; nobody wrote that by hand. */
function parse(path: string, text: string): ts.SourceFile | undefined {
  try {
    return ts.createSourceFile(path, text, ts.ScriptTarget.Latest, false, /[jt]sx$/.test(path) ? ts.ScriptKind.TSX : ts.ScriptKind.TS);
  } catch (error) {
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}

/** In the order of the text. Without recursion: generated code nests deeper than the stack. */
function descendants(root: ts.Node): ts.Node[] {
  const found: ts.Node[] = [];
  const pending = [root];
  for (let node = pending.pop(); node !== undefined; node = pending.pop()) {
    found.push(node);
    const children: ts.Node[] = [];
    ts.forEachChild(node, (child) => void children.push(child));
    pending.push(...children.reverse());
  }
  return found;
}

/** The module that an `import` or `require` names. */
function moduleOf(node: ts.Node): string | undefined {
  if (ts.isImportDeclaration(node) && ts.isStringLiteral(node.moduleSpecifier)) return node.moduleSpecifier.text;
  if (!ts.isCallExpression(node) || !ts.isIdentifier(node.expression) || node.expression.text !== 'require') return undefined;
  const [argument] = node.arguments;
  return argument !== undefined && ts.isStringLiteral(argument) ? argument.text : undefined;
}

/** Local names for a server module or its maker, with the module. */
function bindingsOf(node: ts.Node): [string, string][] {
  const names = ts.isImportDeclaration(node) ? importedNames(node) : ts.isVariableDeclaration(node) ? requiredNames(node) : [];
  const module = moduleOf(ts.isVariableDeclaration(node) && node.initializer !== undefined ? node.initializer : node);
  return module !== undefined && module in serverModules
    ? names.filter(({ of }) => isMaker(of, module)).map(({ name }) => [name, module])
    : [];
}

/** A name in this file, and what it stands for in the module; `*` is the whole. */
interface BoundName {
  readonly name: string;
  readonly of: string;
}

function importedNames({ importClause: clause }: ts.ImportDeclaration): BoundName[] {
  if (clause === undefined || clause.phaseModifier === ts.SyntaxKind.TypeKeyword) return [];
  const { name, namedBindings } = clause;
  const own = name === undefined ? [] : [{ name: name.text, of: '*' }];
  if (namedBindings === undefined) return own;
  if (ts.isNamespaceImport(namedBindings)) return [...own, { name: namedBindings.name.text, of: '*' }];
  return [
    ...own,
    ...namedBindings.elements.map((element) => ({ name: element.name.text, of: (element.propertyName ?? element.name).text })),
  ];
}

function requiredNames({ name }: ts.VariableDeclaration): BoundName[] {
  if (ts.isIdentifier(name)) return [{ name: name.text, of: '*' }];
  return name.elements.flatMap((element) => {
    if (!ts.isBindingElement(element) || !ts.isIdentifier(element.name)) return [];
    const { propertyName } = element;
    return [
      { name: element.name.text, of: propertyName !== undefined && ts.isIdentifier(propertyName) ? propertyName.text : element.name.text },
    ];
  });
}

/** `import { fastify }` and `import { default as express }` make servers, `import { Router }` does not. */
const isMaker = (name: string, module: string): boolean =>
  name === '*' ||
  (serverModules[module]?.maker === 'createServer' ? makers.has(name) : name === 'default' || name.toLowerCase() === module);

/** The library whose server the expression creates: `express()`, `new Koa()`, `http.createServer()`, `createServer()`. */
function libraryMadeBy(node: ts.Node, bindings: ReadonlyMap<string, string>): string | undefined {
  if (!ts.isCallExpression(node) && !ts.isNewExpression(node)) return undefined;
  const { expression } = node;
  const isMember = ts.isPropertyAccessExpression(expression);
  const callee = isMember ? expression.expression : expression;
  const name = ts.isIdentifier(callee) ? callee.text : '';
  const entry = serverModules[bindings.get(name) ?? ''];
  if (entry === undefined) return undefined;
  const isMade = isMember ? entry.maker === 'createServer' && makers.has(expression.name.text) : true;
  return isMade ? entry.library : undefined;
}

/** True where the file listens, and every time on an address of this machine alone. */
function listensHereOnly(nodes: readonly ts.Node[]): boolean {
  const isListen = ({ expression }: ts.CallExpression): boolean =>
    ts.isPropertyAccessExpression(expression) && expression.name.text === 'listen';
  const listens = nodes.filter(ts.isCallExpression).filter(isListen);
  return (
    listens.length > 0 && listens.every((call) => descendants(call).some((node) => ts.isStringLiteral(node) && loopback.has(node.text)))
  );
}

const isHeaderName = (node: ts.Node): boolean => ts.isStringLiteralLike(node) && headerNames.has(node.text.toLowerCase());
