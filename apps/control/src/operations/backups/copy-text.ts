const escapes: Readonly<Record<string, string>> = { b: '\b', f: '\f', n: '\n', r: '\r', t: '\t', v: '\v' };

/** The fields of one line of PostgreSQL's COPY text format; null where the column was null. */
export const fieldsOf = (line: string): readonly (string | null)[] =>
  line.split('\t').map((field) => (field === '\\N' ? null : field.includes('\\') ? unescape(field) : field));

const unescape = (field: string): string => field.replaceAll(/\\(.)/gs, (_, letter: string) => escapes[letter] ?? letter);

/** How many rows end in a piece of COPY text. */
export function lineEndsIn(bytes: Buffer): number {
  let count = 0;
  for (let at = bytes.indexOf(0x0a); at !== -1; at = bytes.indexOf(0x0a, at + 1)) count += 1;
  return count;
}

/** Lines of a stream of bytes. A row is one line: line ends inside are escaped. */
export async function* linesOf(bytes: AsyncIterable<Buffer>): AsyncGenerator<string, void> {
  let rest: Buffer[] = [];
  for await (const chunk of bytes) {
    let from = 0;
    for (let end = chunk.indexOf(0x0a); end !== -1; end = chunk.indexOf(0x0a, from)) {
      yield Buffer.concat([...rest, chunk.subarray(from, end)]).toString();
      rest = [];
      from = end + 1;
    }
    if (from < chunk.length) rest.push(chunk.subarray(from));
  }
  if (rest.length > 0) yield Buffer.concat(rest).toString();
}

/** Rows as objects, by the names of their columns. */
export async function* rowsOf(
  bytes: AsyncIterable<Buffer>,
  columns: readonly string[],
): AsyncGenerator<Readonly<Record<string, string | null>>, void> {
  for await (const line of linesOf(bytes)) {
    const fields = fieldsOf(line);
    yield Object.fromEntries(columns.map((column, index) => [column, fields[index] ?? null]));
  }
}
