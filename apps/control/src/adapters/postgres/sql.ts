import { HiveError } from '@hivekeeper/contract';

/** A statement as the server gets it: values apart from the text, always. */
export interface Statement {
  readonly text: string;
  readonly values: readonly unknown[];
  /** The server keeps the plan, per connection, under the text. */
  readonly isPrepared: boolean;
  /** How long to wait for the answer instead of the connection's own limit; 0 is for ever. */
  readonly patienceMs?: number | undefined;
}

/** The rows, and how many the statement gave or touched. */
export type Answer<Rows extends readonly object[]> = Rows & { readonly count: number };
/** Sends a statement. */
export type Execute = (statement: Statement) => Promise<Answer<Record<string, unknown>[]>>;

/** How text that is not a template is sent. */
export interface UnsafeOptions {
  readonly prepare?: boolean;
  readonly patienceMs?: number;
}

/**
 * Something that takes queries: sql`SELECT … WHERE id = ${id}`.
 *
 * A value becomes a parameter, a query inside a query becomes part of its text, and sql.json makes any JSON value a
 * parameter. It is sent when it is awaited, once.
 */
export interface Sql {
  <Rows extends readonly object[] = Record<string, unknown>[]>(parts: TemplateStringsArray, ...values: readonly unknown[]): Query<Rows>;
  /** Sends text as it is; without values it may hold several statements. Never put a value into the text. */
  unsafe<Rows extends readonly object[] = Record<string, unknown>[]>(
    text: string,
    values?: readonly unknown[],
    options?: UnsafeOptions,
  ): Query<Rows>;
  json(value: unknown): JsonParameter;
}

/** A value that travels as JSON text. */
export class JsonParameter {
  readonly text: string;

  constructor(value: unknown) {
    const text = JSON.stringify(value);
    if (text === undefined) throw new HiveError('INTERNAL', 'undefined is not JSON: pass null where a column may be empty.');
    this.text = text;
  }
}

/** A query that is sent when somebody waits for it; one that is only put into another is never sent itself. */
export class Query<Rows extends readonly object[]> implements Promise<Answer<Rows>> {
  readonly [Symbol.toStringTag] = 'Query';
  readonly #execute: Execute;
  readonly #statement: () => Statement;
  /** The template, for queries that are put into others; undefined for unsafe text, which is not. */
  readonly template: { readonly parts: readonly string[]; readonly values: readonly unknown[] } | undefined;
  #answer: Promise<Answer<Rows>> | undefined;

  constructor(
    execute: Execute,
    statement: () => Statement,
    template?: { readonly parts: readonly string[]; readonly values: readonly unknown[] },
  ) {
    this.#execute = execute;
    this.#statement = statement;
    this.template = template;
  }

  then<Good = Answer<Rows>, Bad = never>(
    onAnswer?: ((answer: Answer<Rows>) => Good | PromiseLike<Good>) | null,
    onError?: ((error: unknown) => Bad | PromiseLike<Bad>) | null,
  ): Promise<Good | Bad> {
    return this.#send().then(onAnswer, onError);
  }

  catch<Bad = never>(onError?: ((error: unknown) => Bad | PromiseLike<Bad>) | null): Promise<Answer<Rows> | Bad> {
    return this.#send().catch(onError);
  }

  finally(onEnd?: (() => void) | null): Promise<Answer<Rows>> {
    return this.#send().finally(onEnd);
  }

  #send(): Promise<Answer<Rows>> {
    this.#answer ??= (async () => this.#execute(this.#statement()))() as unknown as Promise<Answer<Rows>>;
    return this.#answer;
  }
}

/** The query functions over a way to send. */
export function sqlOver(execute: Execute): Sql {
  const template = <Rows extends readonly object[]>(parts: TemplateStringsArray, ...values: readonly unknown[]) =>
    new Query<Rows>(execute, () => ({ ...compose(parts, values), isPrepared: true }), { parts, values });
  const unsafe = <Rows extends readonly object[]>(
    text: string,
    values: readonly unknown[] = [],
    { prepare = false, patienceMs }: UnsafeOptions = {},
  ) => new Query<Rows>(execute, () => ({ text, values: values.map(toParameter), isPrepared: prepare, patienceMs }));
  return Object.assign(template, { unsafe, json: (value: unknown) => new JsonParameter(value) });
}

/** Numbers the parameters through all the queries inside. */
export function compose(
  parts: readonly string[],
  values: readonly unknown[],
): { readonly text: string; readonly values: readonly unknown[] } {
  const parameters: unknown[] = [];
  const write = (texts: readonly string[], slots: readonly unknown[]): string =>
    texts.map((text, index) => (index < slots.length ? text + slot(slots[index]) : text)).join('');
  const slot = (value: unknown): string => {
    if (!(value instanceof Query)) return `$${parameters.push(toParameter(value))}`;
    if (value.template === undefined) throw new HiveError('INTERNAL', 'Unsafe text cannot be put into another query.');
    return write(value.template.parts, value.template.values);
  };
  return { text: write(parts, values), values: parameters };
}

/** Only what the driver is sure to send as meant: an object could be JSON or a mistake, and undefined is always one. */
function toParameter(value: unknown): unknown {
  if (value instanceof JsonParameter) return value.text;
  if (value === null || Array.isArray(value) || value instanceof Date || value instanceof Uint8Array) return value;
  if (typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean' || typeof value === 'bigint') return value;
  throw new HiveError('INTERNAL', `A ${typeof value} cannot be a parameter: use sql.json for JSON, null for nothing.`);
}
