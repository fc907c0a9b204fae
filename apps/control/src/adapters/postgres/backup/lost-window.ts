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
  readonly openEffectCount: number;
  /** The newest effects that were on their way and not confirmed: unknown from now on, so they are not simply made again. */
  readonly openEffects: readonly { readonly effectId: string; readonly runId: string; readonly tool: string }[];
}

const mostListed = 20;

/** Reads what is knowable. Effects begun after the backup's moment are not. */
export async function readLostWindow(sql: Sql, known: Pick<LostWindow, 'fromMs' | 'leaseCount'>): Promise<LostWindow> {
  const [count] = await sql<{ unfinished: number }[]>`SELECT count(*)::integer AS unfinished FROM runs WHERE finished_at IS NULL`;
  const unfinished = await sql<{ runId: string; workflow: string; status: string }[]>`
    SELECT r.id AS "runId", w.name AS workflow, r.status FROM runs r JOIN workflows w ON w.id = r.workflow_id
    WHERE r.finished_at IS NULL ORDER BY r.id DESC LIMIT ${mostListed}`;
  const [open] = await sql<{ effects: number }[]>`
    SELECT count(*)::integer AS effects FROM effects WHERE state IN ('dispatched', 'unknown')`;
  const openEffects = await sql<{ effectId: string; runId: string; tool: string }[]>`
    SELECT id AS "effectId", run_id AS "runId", tool FROM effects WHERE state IN ('dispatched', 'unknown') ORDER BY id DESC LIMIT ${mostListed}`;
  return {
    ...known,
    unfinishedCount: count?.unfinished ?? 0,
    unfinished: [...unfinished],
    openEffectCount: open?.effects ?? 0,
    openEffects: [...openEffects],
  };
}
