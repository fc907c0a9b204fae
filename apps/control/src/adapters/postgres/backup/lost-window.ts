import type { Sql } from '../connection.ts';

/** What may have happened between the backup and the loss, and is not in it: for the person who restores. */
export interface LostWindow {
  /** The backup's moment; what was acknowledged later is lost. */
  readonly fromMs: number;
  /** Leases that were given up: their agents may have been at work, and will be again. */
  readonly leaseCount: number;
  readonly unfinishedCount: number;
  /** The newest of them. They go on from where they were, and may do again outside what they did in the window. */
  readonly unfinished: readonly { readonly runId: string; readonly workflow: string; readonly status: string }[];
}

const mostListed = 20;

/** Reads what is knowable. Effects that were dispatched and not confirmed belong here, once the schema records effects. */
export async function readLostWindow(sql: Sql, known: Pick<LostWindow, 'fromMs' | 'leaseCount'>): Promise<LostWindow> {
  const [count] = await sql<{ unfinished: number }[]>`SELECT count(*)::integer AS unfinished FROM runs WHERE finished_at IS NULL`;
  const unfinished = await sql<{ runId: string; workflow: string; status: string }[]>`
    SELECT r.id AS "runId", w.name AS workflow, r.status FROM runs r JOIN workflows w ON w.id = r.workflow_id
    WHERE r.finished_at IS NULL ORDER BY r.id DESC LIMIT ${mostListed}`;
  return { ...known, unfinishedCount: count?.unfinished ?? 0, unfinished: [...unfinished] };
}
