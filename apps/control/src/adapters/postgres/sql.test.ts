import { describe, expect, it } from 'vitest';
import { type Answer, sqlOver, type Statement } from './sql.ts';

function recorder() {
  const sent: Statement[] = [];
  const sql = sqlOver(async (statement) => {
    sent.push(statement);
    return Object.assign([{ n: sent.length }], { count: 1 }) as Answer<Record<string, unknown>[]>;
  });
  return { sql, sent };
}

describe('a query', () => {
  it('keeps values apart from the text, however hostile they are', async () => {
    const { sql, sent } = recorder();
    const name = "x'; DROP TABLE runs; --";
    await sql`SELECT * FROM runs WHERE name = ${name} AND size > ${3}`;
    expect(sent).toEqual([{ text: 'SELECT * FROM runs WHERE name = $1 AND size > $2', values: [name, 3], isPrepared: true }]);
  });

  it('numbers the parameters through the queries that are put into it', async () => {
    const { sql, sent } = recorder();
    const none = sql``;
    const status = sql`AND status = ${'FAILED'} ${sql`AND kind = ${'a'}`}`;
    await sql`SELECT 1 WHERE id = ${'r'} ${none} ${status} LIMIT ${5}`;
    expect(sent).toHaveLength(1);
    expect(sent[0]?.text).toBe('SELECT 1 WHERE id = $1  AND status = $2 AND kind = $3 LIMIT $4');
    expect(sent[0]?.values).toEqual(['r', 'FAILED', 'a', 5]);
  });

  it('is sent when it is awaited, once, and never when it is only put into another', async () => {
    const { sql, sent } = recorder();
    const query = sql`SELECT 1`;
    await Promise.resolve();
    expect(sent).toHaveLength(0);
    expect(await query).toEqual(await query);
    expect(await Promise.all([query, query.finally(() => {})])).toHaveLength(2);
    expect(sent).toHaveLength(1);
  });

  it('rejects through every way of waiting', async () => {
    const fault = new TypeError('gone');
    const sql = sqlOver(() => Promise.reject(fault));
    await expect(sql`SELECT 1`).rejects.toBe(fault);
    expect(await sql`SELECT 1`.catch((error: unknown) => error)).toBe(fault);
    await expect(sql`SELECT 1`.finally(() => {})).rejects.toBe(fault);
  });

  it('takes JSON only where it is said to be JSON', async () => {
    const { sql, sent } = recorder();
    await sql`SELECT ${sql.json({ a: ['x'] })}, ${sql.json('text')}, ${sql.json(null)}`;
    expect(sent[0]?.values).toEqual(['{"a":["x"]}', '"text"', 'null']);
    await expect(sql`SELECT ${{ a: 1 }}`).rejects.toMatchObject({ code: 'INTERNAL' });
    expect(() => sql.json(undefined)).toThrow('undefined is not JSON');
  });

  it('refuses undefined instead of storing nothing', async () => {
    const { sql, sent } = recorder();
    await expect(sql`SELECT ${undefined}`).rejects.toMatchObject({ code: 'INTERNAL' });
    await expect(sql.unsafe('SELECT $1', [undefined])).rejects.toMatchObject({ code: 'INTERNAL' });
    expect(sent).toHaveLength(0);
  });

  it('does not take unsafe text into another query', async () => {
    const { sql } = recorder();
    await expect(sql`SELECT ${sql.unsafe('now()')}`).rejects.toMatchObject({ code: 'INTERNAL' });
  });
});
