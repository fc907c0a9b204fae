import postgres from 'postgres';
import { expect, test } from 'vitest';
import { migratedDatabase } from '../engine/fixture.ts';
import { unfence } from './harness/unfenced.ts';

test('the negative control of the chaos runs knows every fence of today’s schema', async () => {
  await using database = await migratedDatabase();
  const sql = postgres(database.superuserUrl, { max: 1, onnotice: () => {} });
  try {
    await unfence(sql);
    const [row] = await sql<{ text: string }[]>`SELECT pg_get_functiondef('commit_runs'::regproc) AS text`;
    expect(row?.text).toContain('ON CONFLICT (id) DO UPDATE SET worker_id');
    await expect(unfence(sql)).rejects.toThrow('has to be told of the new ones');
  } finally {
    await sql.end();
  }
});
