import { HiveError } from '@hivekeeper/contract';
import pg from 'pg';
import { translated } from './connection-errors.ts';
import type { Answer, Statement } from './sql.ts';

/** Sends a statement on one connection. Its errors are {@link translated}. */
export async function send(
  client: pg.ClientBase,
  { text, values, isPrepared, patienceMs }: Statement,
): Promise<Answer<Record<string, unknown>[]>> {
  const query = {
    text,
    values: [...values],
    ...(isPrepared && { name: nameOf(text) }),
    ...(patienceMs !== undefined && { query_timeout: patienceMs }),
  };
  try {
    const result = await client.query<Record<string, unknown>>(query);
    const last = lastOf(result);
    return Object.assign(last.rows, { count: last.rowCount ?? 0 });
  } catch (error) {
    throw translated(error);
  }
}

// Text with several statements gives a result for each, which the driver's types do not tell.
const lastOf = <Row extends pg.QueryResultRow>(result: pg.QueryResult<Row> | pg.QueryResult<Row>[]): pg.QueryResult<Row> =>
  Array.isArray(result) ? (result.at(-1) as pg.QueryResult<Row>) : result;

const names = new Map<string, string>();
// Texts come from templates, so there are some hundred; a bound keeps a mistake from filling every backend.
const maxNames = 2_000;

/** The same text has the same name on every connection; beyond the bound a statement is planned each time. */
function nameOf(text: string): string | undefined {
  const known = names.get(text);
  if (known !== undefined || names.size >= maxNames) return known;
  const name = `hive_${names.size + 1}`;
  names.set(text, name);
  return name;
}

// The numbers that PostgreSQL gives its types.
const [bigintType, textArrayType, bigintArrayType, dateType] = [20, 1009, 1016, 1082];

/** bigint as a number, as long as a number can hold it: rounding silently is not an option. */
function safeInteger(text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value)) throw new HiveError('INTERNAL', `The database gave ${text}, which a number cannot hold.`);
  return value;
}

/** How columns are read: json parsed, timestamps as Date, bigint as a safe number, a date as its text, for it has no time zone. */
export const columnTypes = new pg.TypeOverrides();
columnTypes.setTypeParser(bigintType, safeInteger);
const parseTexts = pg.types.getTypeParser(textArrayType) as (text: string) => (string | null)[];
columnTypes.setTypeParser(bigintArrayType, (text) => parseTexts(text).map((element) => (element === null ? null : safeInteger(element))));
columnTypes.setTypeParser(dateType, (text) => text);
