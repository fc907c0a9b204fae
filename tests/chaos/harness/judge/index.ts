/**
 * The outside checker: reads the database past the product, the clients' journal and what agents wrote down. Of the
 * product's code it uses the fold alone, to hold it against what was stored.
 *
 * evidence.ts  what is read · run-rules.ts  of each run · journal-rules.ts  of what clients were told
 * effect-rules.ts, signal-rules.ts, schedule-rules.ts, audit-rules.ts
 */
import type postgres from 'postgres';
import type { Entry } from '../journal.ts';
import { judgeAudit } from './audit-rules.ts';
import { judgeEffects } from './effect-rules.ts';
import { type JudgedRun, readRuns } from './evidence.ts';
import type { Finding } from './findings.ts';
import { judgeJournal } from './journal-rules.ts';
import { judgeRuns, lostTooOften } from './run-rules.ts';
import { judgeSchedule } from './schedule-rules.ts';
import { judgeSignals } from './signal-rules.ts';

export type { Finding } from './findings.ts';

/** What was found, and how much there was to be found in. */
export interface Judgement {
  readonly findings: readonly Finding[];
  readonly runs: number;
  readonly commits: number;
  readonly results: number;
  readonly executions: number;
  readonly lostLeases: number;
  readonly lostTooOften: number;
  readonly auditEntries: number;
  readonly payments: number;
  /** Payments that a fault met under way. */
  readonly paymentsMet: number;
  readonly signalsTaken: number;
  readonly firings: number;
  /** Nodes that a retry did not do again. */
  readonly carriedNodes: number;
}

/** Judges what is there now. */
export async function judge(
  sql: postgres.Sql,
  { executions, entries }: { readonly executions: string; readonly entries: readonly Entry[] },
): Promise<Judgement> {
  const runs = await readRuns(sql, executions);
  const [left] = await sql<{ tickets: number; approvals: number; audit: number }[]>`
    SELECT (SELECT count(*)::integer FROM tickets) AS tickets, (SELECT count(*)::integer FROM approvals WHERE status = 'PENDING') AS approvals,
      (SELECT count(*)::integer FROM audit_log) AS audit`;
  const effects = await judgeEffects(sql, runs, executions);
  const signals = judgeSignals(runs, entries);
  const schedule = await judgeSchedule(sql, runs);
  const leftOver = { promise: 'nothing is left of runs that ended', detail: `${left?.tickets} tickets, ${left?.approvals} approvals` };
  return {
    findings: [
      ...judgeRuns(runs),
      ...(await judgeJournal(sql, runs, entries)),
      ...(await judgeAudit(sql)),
      ...effects.findings,
      ...signals.findings,
      ...schedule.findings,
      ...(left?.tickets === 0 && left.approvals === 0 ? [] : [leftOver]),
    ],
    runs: runs.length,
    commits: runs.reduce((sum, { versions }) => sum + versions.length, 0),
    results: countEvents(runs, (event) => event.type === 'ticket.settled' && event.outcome.ok),
    executions: runs.reduce((sum, run) => sum + run.executions.length, 0),
    lostLeases: countEvents(runs, (event) => event.type === 'ticket.lost'),
    lostTooOften: runs.filter(lostTooOften).length,
    auditEntries: left?.audit ?? 0,
    payments: effects.payments,
    paymentsMet: effects.metUnderWay,
    signalsTaken: signals.taken,
    firings: schedule.firings,
    carriedNodes: runs.reduce((sum, { events: [first] }) => sum + (first?.type === 'run.created' ? (first.carried?.length ?? 0) : 0), 0),
  };
}

const countEvents = (runs: readonly JudgedRun[], isCounted: (event: JudgedRun['events'][number]) => boolean): number =>
  runs.reduce((sum, { events }) => sum + events.filter(isCounted).length, 0);
