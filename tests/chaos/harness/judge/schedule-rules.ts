import type postgres from 'postgres';
import type { JudgedRun } from './evidence.ts';
import { type Finding, findings } from './findings.ts';

/** What was found of schedules, and how many instants there were. */
export interface ScheduleJudgement {
  readonly findings: readonly Finding[];
  readonly firings: number;
}

interface FiringRow {
  readonly nominal_at: Date;
  readonly outcome: string;
  readonly run_id: string | null;
}

/** Each instant from the first to the last has its one firing, and each firing its one run. The step is what the schedule says. */
export async function judgeSchedule(sql: postgres.Sql, runs: readonly JudgedRun[]): Promise<ScheduleJudgement> {
  const promise = 'each instant of a schedule is served once';
  const firings = await sql<FiringRow[]>`SELECT nominal_at, outcome, run_id FROM schedule_firings ORDER BY nominal_at`;
  const [rule] = await sql<
    { step_ms: number }[]
  >`SELECT substring(rule->>'cron' FROM '^\\*/(\\d+) ')::integer * 1000 AS step_ms FROM schedules`;
  const ticked = runs.filter(({ trigger }) => trigger === 'schedule').map(({ id }) => id as string);
  const fired = new Map(firings.map(({ run_id, nominal_at }) => [run_id, nominal_at]));
  const text = ({ nominal_at, outcome }: FiringRow) => `${nominal_at.toISOString()} is ${outcome}`;
  return {
    findings: [
      ...findings(promise, firings, (firing) => (firing.outcome === 'STARTED' ? undefined : text(firing))),
      ...findings(promise, firings.entries(), ([index, { nominal_at }]) => {
        const next = firings[index + 1]?.nominal_at;
        if (next === undefined || next.getTime() - nominal_at.getTime() === rule?.step_ms) return undefined;
        return `after ${nominal_at.toISOString()} comes ${next.toISOString()}`;
      }),
      ...findings(promise, ticked, (id) => (fired.has(id) ? undefined : `${id} was begun by no firing`)),
      ...(ticked.length === firings.length && fired.size === firings.length
        ? []
        : [{ promise, detail: `${firings.length} firings, of ${fired.size} runs; there are ${ticked.length}` }]),
    ],
    firings: firings.length,
  };
}
