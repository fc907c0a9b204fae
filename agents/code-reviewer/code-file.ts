import { extname } from 'node:path';
import { type SourceTree, isGenerated, isTest, readSource } from '@hivekeeper/sdk/source-tree';
import ts from 'typescript';

/** A file with code. */
export interface CodeFile {
  readonly path: string;
  readonly text: string;
  readonly lines: readonly string[];
  readonly isTest: boolean;
  /** The syntax tree, for JavaScript and TypeScript. */
  readonly script?: ts.SourceFile;
}

/** A JavaScript or TypeScript file. */
export type ScriptFile = CodeFile & { readonly script: ts.SourceFile };

// Reading the tags in doc comments would take a third more time, and no rule asks for them.
const parsing: ts.CreateSourceFileOptions = { languageVersion: ts.ScriptTarget.Latest, jsDocParsingMode: ts.JSDocParsingMode.ParseNone };
const scriptName = /\.[mc]?[jt]sx?$/i;
const otherCode = new Set([
  '.py',
  '.go',
  '.java',
  '.kt',
  '.rb',
  '.php',
  '.cs',
  '.rs',
  '.c',
  '.cc',
  '.cpp',
  '.h',
  '.hpp',
  '.swift',
  '.scala',
  '.sh',
  '.lua',
  '.dart',
  '.vue',
  '.svelte',
]);
const generatedText = /@generated\b|\bDO NOT EDIT\b|automatically generated/i;

/** Reads the files of a tree that hold code which people write. */
export function readCode(tree: SourceTree): CodeFile[] {
  return tree.paths.flatMap((path) => {
    if (isGenerated(path) || !(scriptName.test(path) || otherCode.has(extname(path).toLowerCase()))) return [];
    const text = readSource(tree, path);
    return text === undefined || generatedText.test(text.slice(0, 500)) ? [] : [codeFileOf(path, text)];
  });
}

export function codeFileOf(path: string, text: string): CodeFile {
  const script = scriptName.test(path) ? parse(path, text) : undefined;
  return { path, text, lines: linesOf(text), isTest: isTest(path), ...(script !== undefined && { script }) };
}

export const isScriptFile = (file: CodeFile): file is ScriptFile => file.script !== undefined;

/** The number, from 1, of the line a node starts on. */
export const lineOf = (script: ts.SourceFile, node: ts.Node): number =>
  script.getLineAndCharacterOfPosition(node.getStart(script)).line + 1;

const maxNames = 6;

/** `a.b.c` for a short chain of names, however it is broken into lines; empty for any other expression. */
export function dottedName(expression: ts.Expression): string {
  const names: string[] = [];
  let inner: ts.Expression = expression;
  while (ts.isPropertyAccessExpression(inner) && names.length < maxNames) {
    names.unshift(inner.name.text);
    inner = inner.expression;
  }
  return ts.isIdentifier(inner) ? [inner.text, ...names].join('.') : '';
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

/** A final line break starts no line. */
const linesOf = (text: string): string[] => text.replace(/\r?\n$/, '').split(/\r?\n/);

/** Nothing where the code is nested too deeply for the parser, which calls itself for each level. */
function parse(path: string, text: string): ts.SourceFile | undefined {
  try {
    return ts.createSourceFile(path, text, parsing, true, /\.[mc]?ts$/i.test(path) ? ts.ScriptKind.TS : ts.ScriptKind.TSX);
  } catch (error) {
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}
