import type postgres from 'postgres';
import { kindOf } from '../kinds.ts';
import { readPayments } from '../payments.ts';
import type { JudgedRun } from './evidence.ts';
import { type Finding, findings } from './findings.ts';

/** What was found of effects outside, and how much there was. */
export interface EffectJudgement {
  readonly findings: readonly Finding[];
  readonly payments: number;
  /** Effects that a fault met under way: told more than once, or looked for by a probe or a person. */
  readonly metUnderWay: number;
}

interface EffectRow {
  readonly run_id: string;
  readonly key: string;
  readonly state: string;
  readonly dispatch_count: number;
  readonly resolved_by: string | null;
}

/** Counts payments from outside, and holds them against the runs and against the ledger. */
export async function judgeEffects(sql: postgres.Sql, runs: readonly JudgedRun[], executions: string): Promise<EffectJudgement> {
  const payments = await readPayments(executions);
  const counts = new Map<string, number>();
  for (const key of payments) counts.set(key, (counts.get(key) ?? 0) + 1);
  const rows = await sql<EffectRow[]>`SELECT run_id, args->>'key' AS key, state, dispatch_count, resolved_by FROM effects`;
  const ledger = new Map(rows.map((row) => [row.key, row]));
  const payers = runs.filter(({ workflow }) => kindOf(workflow)?.name.startsWith('pays') === true);
  const wanted = new Set(payers.map(({ key }) => key));
  return {
    findings: [
      ...findings('no effect happens twice', counts, ([key, count]) => (count > 1 ? `${key} was paid ${count} times` : undefined)),
      ...findings('no effect of a run that succeeded is missing', payers, ({ id, key, status }) =>
        status === 'SUCCESS' && !counts.has(key) ? `${id}: ${key} was not paid` : undefined,
      ),
      ...findings('every effect is on record', counts.keys(), (key) =>
        wanted.has(key) && ledger.has(key) ? undefined : `${key} was paid, and nobody knows of it`,
      ),
      ...findings('the ledger tells what happened', payers, ({ id, key, status }) => {
        const state = ledger.get(key)?.state;
        return status !== 'SUCCESS' || state === 'confirmed' ? undefined : `${id}: ${key} is ${state}`;
      }),
      ...(rows.length === ledger.size ? [] : [{ promise: 'every effect is on record', detail: 'a payment is there twice' }]),
    ],
    payments: payments.length,
    metUnderWay: rows.filter(({ dispatch_count, resolved_by }) => dispatch_count > 1 || resolved_by !== null).length,
  };
}
