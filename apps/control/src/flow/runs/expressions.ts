import { HiveError, type JsonObject, type JsonValue, maxJsonDepth } from '@hivekeeper/contract';
import { type ASTNode, Environment } from '@marcbachmann/cel-js';
import { LRUCache } from 'lru-cache';

/*
 * Expressions are CEL: no loops, no assignments, no access to the process, the same answer for the same values for ever,
 * and a public specification that authors can look up.
 *
 * Their cost is bounded twice:
 *
 * - Size, when they are read: `limits` below.
 * - Work, when they are evaluated. The macros (`all`, `exists`, `map`, `filter`…) are loops over data, and they nest:
 *   measured at 0.13 µs a step, one over another on 10,000 elements takes 13 s, and `list.map(x, x + x)` chained 30 times
 *   makes 2^30 elements. Limits on sizes or on nesting would forbid the plain filter over a large list that authors want,
 *   and still admit such chains. So an expression with a macro is rewritten before it runs: what a loop runs over and what
 *   an operator takes passes through a function that charges for it beforehand. Once the budget is spent these functions
 *   hand on empty values and do not throw, since `all`, `exists`, `||` and `&&` swallow errors and would go on. What is
 *   charged depends on the values alone, never on time, so that a journal folds the same way on every machine.
 *
 * `matches` is not offered: its regular expressions backtrack, and one of them can run for ever within a single step.
 */

/** Reads and evaluates CEL expressions. */
export interface Expressions {
  /** Why the text cannot be used as an expression; undefined where it can. */
  parse(text: string): string | undefined;
  /** @throws HiveError TEMPLATE_UNRESOLVED with the expression and the reason. */
  evaluate(text: string, scope: JsonObject): JsonValue;
}

const limits = { maxAstNodes: 500, maxDepth: 40, maxListElements: 200, maxMapEntries: 200, maxCallArguments: 8 };
// Rewriting adds a call and parentheses around each operand.
const meteredLimits = { ...limits, maxAstNodes: 3 * limits.maxAstNodes, maxDepth: 8 * limits.maxDepth };

/**
 * Steps one evaluation may take; a step is one part of an expression evaluated once. A filter with two
 * comparisons passes over 30,000 elements; the worst case known takes about half a second.
 */
export const maxSteps = 1_000_000;
/** Values that a result may hold, each element and property counted. */
export const maxResultValues = 300_000;

const expressionsKept = 2_000;
const macros = new Set(['all', 'exists', 'exists_one', 'map', 'filter', 'bind']);
const quotedLength = 200;

type Run = (scope: JsonObject) => unknown;

/** An evaluator with its own cache of read expressions. */
export function createExpressions(): Expressions {
  const meter = new Meter();
  const environment = environmentWith(meter, limits);
  const meteredEnvironment = environmentWith(meter, meteredLimits);
  const cache = new LRUCache<string, { readonly run: Run } | { readonly fault: string }>({ max: expressionsKept });

  function read(text: string): { readonly run: Run } | { readonly fault: string } {
    try {
      const parsed = environment.parse(text);
      const checked = parsed.check();
      if (checked.error !== undefined) return { fault: reasonOf(checked.error) };
      if (usesMethod(parsed.ast, (name) => name === 'matches'))
        return { fault: 'matches() is not offered; use contains, startsWith or endsWith' };
      if (!usesMethod(parsed.ast, (name) => macros.has(name))) return { run: parsed };
      const rewritten = meteredEnvironment.parse(rewrite(parsed.ast));
      return { run: (scope) => withoutStackTraces(() => rewritten(scope)) };
    } catch (error) {
      return { fault: reasonOf(error) };
    }
  }

  function readOnce(text: string): { readonly run: Run } | { readonly fault: string } {
    const known = cache.get(text);
    if (known !== undefined) return known;
    const fresh = read(text);
    cache.set(text, fresh);
    return fresh;
  }

  return {
    parse(text) {
      const read = readOnce(text);
      return 'fault' in read ? read.fault : undefined;
    },
    evaluate(text, scope) {
      const read = readOnce(text);
      if ('fault' in read) throw unresolved(text, read.fault);
      meter.reset();
      try {
        const result = read.run(Object.assign(Object.create(null), scope) as JsonObject);
        if (!meter.isSpent) return toJson(result, { left: maxResultValues }, 0);
      } catch (error) {
        if (!meter.isSpent) throw unresolved(text, reasonOf(error), error);
      }
      throw unresolved(text, `takes more than ${maxSteps} steps; its lists are too large for what it does with them`);
    },
  };
}

// Nobody reads where in the library an error arose, and a loop may swallow 100,000 of them: 5 µs each without, 19 µs with.
function withoutStackTraces<T>(run: () => T): T {
  const limit = Error.stackTraceLimit;
  Error.stackTraceLimit = 0;
  try {
    return run();
  } finally {
    Error.stackTraceLimit = limit;
  }
}

const unresolved = (text: string, reason: string, cause?: unknown): HiveError =>
  new HiveError('TEMPLATE_UNRESOLVED', `${text.length > quotedLength ? `${text.slice(0, quotedLength)}…` : text}: ${reason}`, { cause });

// The library's own messages quote the expression with a marker; after rewriting that would be text the author never wrote.
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return 'summary' in error && typeof error.summary === 'string' ? error.summary : error.message;
}

// Copying or scanning so many characters or elements costs about as much as a step.
const charactersPerStep = 32;
const elementsPerStep = 16;

/** Counts the work of one evaluation. */
class Meter {
  #left = 0;

  reset(): void {
    this.#left = maxSteps;
  }

  get isSpent(): boolean {
    return this.#left < 0;
  }

  /** A loop over all elements or keys, each costing so many steps. */
  looped(value: unknown, stepsEach: number): unknown {
    if (typeof value === 'object' && value !== null)
      this.#left -= (Array.isArray(value) ? value.length : Object.keys(value).length) * stepsEach;
    return this.#passed(value);
  }

  /** An operand that is copied or scanned once. */
  metered(value: unknown): unknown {
    this.#chargeShallow(value);
    return this.#passed(value);
  }

  /** An operand that is compared all the way down. */
  weighed(value: unknown): unknown {
    this.#chargeDeep(value);
    return this.#passed(value);
  }

  #chargeShallow(value: unknown): void {
    if (typeof value === 'string') this.#left -= value.length / charactersPerStep;
    else if (Array.isArray(value)) this.#left -= value.length / elementsPerStep;
  }

  #chargeDeep(value: unknown): void {
    this.#left -= 1;
    this.#chargeShallow(value);
    if (typeof value !== 'object' || value === null) return;
    for (const item of Object.values(value)) {
      if (this.isSpent) return;
      this.#chargeDeep(item);
    }
  }

  #passed(value: unknown): unknown {
    if (!this.isSpent) return value;
    if (typeof value === 'string') return '';
    return typeof value === 'object' ? [] : value;
  }
}

function environmentWith(meter: Meter, sizes: typeof limits): Environment {
  const environment = new Environment({ unlistedVariablesAreDyn: true, homogeneousAggregateLiterals: false, limits: sizes });
  environment.registerFunction('metered(dyn): dyn', (value: unknown) => meter.metered(value));
  environment.registerFunction('weighed(dyn): dyn', (value: unknown) => meter.weighed(value));
  environment.registerFunction('looped(dyn, int): dyn', (value: unknown, stepsEach: bigint) => meter.looped(value, Number(stepsEach)));
  // JSON has one kind of number, CEL three that do not mix in arithmetic: `scan.output.total + 1` has to work.
  const operators: readonly (readonly [string, (a: number, b: number) => number])[] = [
    ['+', (a, b) => a + b],
    ['-', (a, b) => a - b],
    ['*', (a, b) => a * b],
    ['/', (a, b) => a / b],
    ['%', (a, b) => a % b],
  ];
  for (const [operator, apply] of operators) {
    const handler = (a: bigint | number, b: bigint | number) => apply(Number(a), Number(b));
    environment.registerOperator(`int ${operator} double: double`, handler);
    environment.registerOperator(`double ${operator} int: double`, handler);
    if (operator === '%') environment.registerOperator('double % double: double', handler);
  }
  return environment;
}

function usesMethod(node: ASTNode, isSought: (name: string) => boolean): boolean {
  if (node.op === 'rcall' && isSought(node.args[0])) return true;
  return childrenOf(node).some((child) => usesMethod(child, isSought));
}

function childrenOf(node: ASTNode): readonly ASTNode[] {
  switch (node.op) {
    case 'value':
    case 'id':
      return [];
    case '.':
    case '.?':
      return [node.args[0]];
    case 'call':
      return node.args[1];
    case 'rcall':
      return [node.args[1], ...node.args[2]];
    case 'map':
      return node.args.flat();
    case '!_':
    case '-_':
      return [node.args];
    default:
      return node.args;
  }
}

// Whatever computes may fail, and a failure that `exists` or `||` swallows costs as much as many steps.
const stepsPerOperation = 5;

/** What evaluating an expression once costs, apart from its loops. */
function stepsIn(node: ASTNode): number {
  const own = node.op === 'value' || node.op === 'id' ? 1 : stepsPerOperation;
  return childrenOf(node).reduce((sum, child) => sum + stepsIn(child), own);
}

const metered = (node: ASTNode): string => `metered(${rewrite(node)})`;
const weighed = (node: ASTNode): string => `weighed(${rewrite(node)})`;
const plain = (node: ASTNode): string => `(${rewrite(node)})`;

/** The same expression as text, with everything charged for that can be large. */
function rewrite(node: ASTNode): string {
  switch (node.op) {
    case 'value':
      return node.input.slice(node.start, node.end);
    case 'id':
      return node.args;
    case 'list':
      return `[${node.args.map(rewrite).join(', ')}]`;
    case 'map':
      return `{${node.args.map(([key, value]) => `${plain(key)}: ${plain(value)}`).join(', ')}}`;
    case '.':
      return `${plain(node.args[0])}.${node.args[1]}`;
    case '[]':
      return `${plain(node.args[0])}[${rewrite(node.args[1])}]`;
    case 'call':
      // has(a.b) looks at the shape of its argument, a path.
      return `${node.args[0]}(${node.args[1].map(node.args[0] === 'has' ? rewrite : metered).join(', ')})`;
    case 'rcall':
      return rewriteMethod(node);
    default:
      return rewriteOperator(node);
  }
}

type Of<Op extends ASTNode['op']> = Extract<ASTNode, { readonly op: Op }>;

function rewriteMethod({ args: [name, receiver, args] }: Of<'rcall'>): string {
  const [variable, ...bodies] = args;
  if (!macros.has(name) || variable?.op !== 'id') return `${metered(receiver)}.${name}(${args.map(metered).join(', ')})`;
  const inner = [variable.args, ...bodies.map(rewrite)].join(', ');
  // cel.bind(name, value, body) is no loop: it runs once.
  if (name === 'bind') return `${rewrite(receiver)}.bind(${inner})`;
  const stepsEach = bodies.reduce((sum, body) => sum + stepsIn(body), 1);
  return `looped(${rewrite(receiver)}, ${stepsEach}).${name}(${inner})`;
}

type OperatorOf<Node> = Node extends { readonly op: 'value' | 'id' | 'list' | 'map' | '.' | '[]' | 'call' | 'rcall' } ? never : Node;

function rewriteOperator(node: OperatorOf<ASTNode>): string {
  switch (node.op) {
    case '?:': {
      const [condition, consequent, alternate] = node.args;
      return `${plain(condition)} ? ${plain(consequent)} : ${plain(alternate)}`;
    }
    case '!_':
    case '-_':
      return `${node.op.slice(0, 1)}${plain(node.args)}`;
    case '||':
    case '&&':
      return node.args.map(plain).join(` ${node.op} `);
    case '==':
    case '!=':
    case 'in':
      return node.args.map(weighed).join(` ${node.op} `);
    case '.?':
    case '[?]':
      // Optional access is switched off: the parser never gives it.
      return '';
    default:
      return node.args.map(metered).join(` ${node.op} `);
  }
}

/**
 * A result as JSON. Parts that are JSON already are kept as they are, since they may be large and are never changed.
 * @throws HiveError TEMPLATE_UNRESOLVED where it holds something JSON cannot carry
 */
function toJson(value: unknown, budget: { left: number }, depth: number): JsonValue {
  budget.left -= 1;
  if (budget.left < 0 || depth > maxJsonDepth)
    throw new HiveError('TEMPLATE_UNRESOLVED', 'gives a value that is too large or nested too deep');
  switch (typeof value) {
    case 'string':
    case 'boolean':
      return value;
    case 'number':
      if (Number.isFinite(value)) return value;
      throw new HiveError('TEMPLATE_UNRESOLVED', `gives ${value}, which JSON cannot carry`);
    case 'bigint':
      if (BigInt(Number(value)) === value && Number.isSafeInteger(Number(value))) return Number(value);
      throw new HiveError('TEMPLATE_UNRESOLVED', `gives ${value}, which is too large for a JSON number`);
    case 'object':
      return value === null ? null : objectToJson(value, budget, depth);
    default:
      throw new HiveError('TEMPLATE_UNRESOLVED', `gives a ${typeof value}, which JSON cannot carry`);
  }
}

function objectToJson(value: object, budget: { left: number }, depth: number): JsonValue {
  if (Array.isArray(value)) {
    const items = value.map((item) => toJson(item, budget, depth + 1));
    return items.every((item, index) => item === value[index]) ? (value as JsonValue[]) : items;
  }
  if (value instanceof Date) return value.toISOString();
  const isPlain = value instanceof Map || Object.getPrototypeOf(value) === Object.prototype || Object.getPrototypeOf(value) === null;
  if (!isPlain)
    throw new HiveError('TEMPLATE_UNRESOLVED', `gives a ${value.constructor.name}, which JSON cannot carry; convert it with string(…)`);
  const entries = value instanceof Map ? [...value] : Object.entries(value);
  const converted = entries.map(([key, item]) => [String(key), toJson(item, budget, depth + 1)] as const);
  const isSame = !(value instanceof Map) && converted.every(([, item], index) => item === entries[index]?.[1]);
  return isSame ? (value as JsonObject) : Object.fromEntries(converted);
}
