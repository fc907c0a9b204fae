/** What an expression reaches into, found by reading its tokens: the core has no expression parser of its own. */
export interface References {
  /** Positions reached as `nodes.<id>`. */
  readonly qualified: readonly number[];
  /** Positions reached as `<id>`. */
  readonly bare: readonly number[];
  readonly usesContext: boolean;
  readonly usesItem: boolean;
  readonly usesRun: boolean;
  /** Why the expression cannot work, whatever its values. */
  readonly defect?: string | undefined;
}

const tokenPattern = /\s+|\/\/[^\n]*|[rRbB]?(?:"""[^]*?"""|'''[^]*?'''|"(?:\\[^]|[^"\\])*"|'(?:\\[^]|[^'\\])*')|[A-Za-z_]\w*|\d[\w.]*|[^]/g;
const identifierPattern = /^[A-Za-z_]\w*$/;
const quotedPattern = /^(["'])(.*)\1$/;
// Names the language itself gives a meaning: literals, the operator `in`, and the types.
const languageWords = new Set([
  'true',
  'false',
  'null',
  'in',
  'int',
  'uint',
  'double',
  'bool',
  'string',
  'bytes',
  'list',
  'map',
  'null_type',
  'type',
  'google',
  'cel',
]);
const scopeWords = new Set(['context', 'nodes', 'item', 'run']);
const macros = new Set(['all', 'exists', 'exists_one', 'map', 'filter', 'bind']);

interface Gathered {
  readonly qualified: Set<number>;
  readonly bare: Set<number>;
  readonly words: Set<string>;
}

/** Reads which nodes and roots a CEL text names; its first mistake in naming becomes the defect. */
export function referencesIn(text: string, positionById: ReadonlyMap<string, number>): References {
  const tokens = (text.match(tokenPattern) ?? []).filter((token) => !/^(\s|\/\/)/.test(token));
  const bound = boundNames(tokens);
  const gathered: Gathered = { qualified: new Set(), bare: new Set(), words: new Set() };
  let defect = [...bound]
    .filter((name) => scopeWords.has(name) || positionById.has(name))
    .map((name) => `"${name}" names something else already; call the variable otherwise`)[0];
  for (const [index, token] of tokens.entries()) {
    if (!isRoot(tokens, index) || bound.has(token)) continue;
    const fault =
      token === 'nodes'
        ? gatherQualified(gathered, tokens.slice(index + 1, index + 4), positionById)
        : gatherWord(gathered, token, positionById);
    defect ??= fault;
  }
  return {
    qualified: [...gathered.qualified],
    bare: [...gathered.bare],
    usesContext: gathered.words.has('context'),
    usesItem: gathered.words.has('item'),
    usesRun: gathered.words.has('run'),
    defect,
  };
}

/** Variables that macros such as `list.exists(x, x > 1)` bring along. */
function boundNames(tokens: readonly string[]): ReadonlySet<string> {
  const names = new Set<string>();
  for (const [index, token] of tokens.entries()) {
    const [open, name, comma] = tokens.slice(index + 1, index + 4);
    if (
      macros.has(token) &&
      tokens[index - 1] === '.' &&
      open === '(' &&
      comma === ',' &&
      name !== undefined &&
      identifierPattern.test(name)
    )
      names.add(name);
  }
  return names;
}

/** True where the token names a value by itself: not a member, not a function, not a word of the language. */
function isRoot(tokens: readonly string[], index: number): boolean {
  const token = tokens[index] ?? '';
  return identifierPattern.test(token) && !languageWords.has(token) && tokens[index - 1] !== '.' && tokens[index + 1] !== '(';
}

function gatherQualified(
  gathered: Gathered,
  [open, name = '', close]: readonly string[],
  positionById: ReadonlyMap<string, number>,
): string | undefined {
  const quoted = open === '[' && close === ']' ? quotedPattern.exec(name)?.[2] : undefined;
  const id = open === '.' ? name : quoted;
  if (id === undefined) return '"nodes" is followed by the id of a node: nodes.scan or nodes["scan-all"]';
  const node = positionById.get(id);
  if (node === undefined) return `there is no node "${id}"`;
  gathered.qualified.add(node);
  return undefined;
}

function gatherWord(gathered: Gathered, word: string, positionById: ReadonlyMap<string, number>): string | undefined {
  const node = positionById.get(word);
  if (node !== undefined) gathered.bare.add(node);
  else if (scopeWords.has(word)) gathered.words.add(word);
  else return `"${word}" is neither context, nodes, item, run nor the id of a node`;
  return undefined;
}
