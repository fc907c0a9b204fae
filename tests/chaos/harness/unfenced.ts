import type postgres from 'postgres';

// Of the tickets that are issued; of those that are leased later it is said once more, and left alone.
const returned = 'RETURNING tickets.id, tickets.token, NULL::text, NULL::double precision;';

const fences = [
  // A result counts whoever hands it in, with whatever token, also where the ticket is gone.
  ['t.worker_id = s.worker AND t.token IS NOT DISTINCT FROM s.token', 'true'],
  ['cardinality(touched_ids) <> cardinality(s_id)', 'false'],
  // A ticket that is there already is issued once more.
  [returned, `ON CONFLICT (id) DO UPDATE SET worker_id = excluded.worker_id, token = excluded.token ${returned}`],
  // A ticket of a paused run is leased.
  ['AND NOT tickets.is_held', ''],
] as const;

/** What nobody keeps any more then, payers without the ledger among them: a run in which one of these held proves nothing. */
export const brokenWithoutFences: readonly string[] = ['the journal has every version once', 'no effect happens twice'];

/** Takes the fences down: tokens are not looked at, and a run's version may be committed twice.
 * @throws RangeError where a fence is not found */
export async function unfence(sql: postgres.Sql): Promise<void> {
  const [row] = await sql<{ text: string }[]>`SELECT pg_get_functiondef(oid) AS text FROM pg_proc WHERE proname = 'commit_runs'`;
  let text = row?.text ?? '';
  for (const [fence, instead] of fences) {
    if (!text.includes(fence))
      throw new RangeError(`commit_runs has no "${fence}": what takes the fences down has to be told of the new ones`);
    text = text.replace(fence, () => instead);
  }
  await sql.unsafe(text);
  await sql`ALTER TABLE run_journal DROP CONSTRAINT run_journal_pkey`;
  await sql`CREATE INDEX run_journal_of_run ON run_journal (run_id, version)`;
}
