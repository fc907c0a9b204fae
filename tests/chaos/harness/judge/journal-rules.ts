import type postgres from 'postgres';
import type { Entry } from '../journal.ts';
import type { JudgedRun } from './evidence.ts';
import { type Finding, findings } from './findings.ts';

/** Holds what clients were told against what is stored. */
export async function judgeJournal(sql: postgres.Sql, runs: readonly JudgedRun[], entries: readonly Entry[]): Promise<readonly Finding[]> {
  const byId = new Map<string, JudgedRun>(runs.map((run) => [run.id, run]));
  const ok = entries.filter(({ outcome }) => outcome === 'ok');
  const keys = await sql<{ key: string; run_id: string }[]>`SELECT key, run_id FROM idempotency_keys`;
  const approvals = await sql<{ id: string; status: string }[]>`SELECT id, status FROM approvals`;
  const statusOf = new Map(approvals.map(({ id, status }) => [id, status]));
  const runOfKey = new Map(keys.map(({ key, run_id }) => [key, run_id]));
  return [
    ...findings('nothing acknowledged is lost', ok, (entry) => lost(entry, { byId, statusOf, runOfKey })),
    ...judgeCount(runs, entries),
    ...findings('a decision once taken stays', ok, (entry) => overruled(entry, entries)),
  ];
}

interface Stored {
  readonly byId: ReadonlyMap<string, JudgedRun>;
  readonly statusOf: ReadonlyMap<string, string>;
  readonly runOfKey: ReadonlyMap<string, string>;
}

/** What is stored where it is not what the client was told. */
function lost(entry: Entry, { byId, statusOf, runOfKey }: Stored): string | undefined {
  const differs = (about: string, told: string | undefined, stored: string | undefined) =>
    told === stored && told !== undefined ? undefined : `${about}: told was ${told}, stored is ${stored}`;
  switch (entry.call) {
    case 'start':
      return byId.has(entry.runId ?? '') ? differs(entry.key, entry.runId, runOfKey.get(entry.key)) : `there is no ${entry.runId}`;
    case 'cancel':
      return differs(entry.runId, 'CANCELLED', byId.get(entry.runId)?.status);
    case 'retry':
      return differs(`origin of ${entry.newRunId}`, entry.runId, byId.get(entry.newRunId ?? '')?.originRunId);
    case 'decide':
      return differs(entry.approvalId, entry.approved ? 'APPROVED' : 'REJECTED', statusOf.get(entry.approvalId));
  }
}

/** Conservation: as many runs as clients asked for, by key; retries have none, so unknown ones may be there or not. */
function judgeCount(runs: readonly JudgedRun[], entries: readonly Entry[]): readonly Finding[] {
  const promise = 'there are exactly the runs that were asked for';
  const told = new Set(entries.flatMap((entry) => (entry.call === 'start' && entry.outcome === 'ok' ? [entry.runId] : [])));
  const unknownKeys = new Set(entries.flatMap((entry) => (entry.call === 'start' && entry.outcome === 'unknown' ? [entry.key] : [])));
  const answeredKeys = new Set(entries.flatMap((entry) => (entry.call === 'start' && entry.outcome === 'ok' ? [entry.key] : [])));
  const openKeys = [...unknownKeys].filter((key) => !answeredKeys.has(key)).length;
  const started = runs.filter(({ originRunId }) => originRunId === undefined).length;
  const retried = runs.length - started;
  const retries = entries.filter(({ call }) => call === 'retry');
  const least = retries.filter(({ outcome }) => outcome === 'ok').length;
  const most = least + retries.filter(({ outcome }) => outcome === 'unknown').length;
  return [
    ...(started >= told.size && started <= told.size + openKeys
      ? []
      : [{ promise, detail: `${started} runs were started, told were ${told.size}, and ${openKeys} not answered` }]),
    ...(retried >= least && retried <= most ? [] : [{ promise, detail: `${retried} runs are retries, told were ${least} to ${most}` }]),
  ];
}

/** Two clients that were both told they decided the same approval must have decided the same. */
function overruled(entry: Entry, entries: readonly Entry[]): string | undefined {
  if (entry.call !== 'decide') return undefined;
  const other = entries.find(
    (said) => said.call === 'decide' && said.approvalId === entry.approvalId && said.outcome === 'ok' && said.approved !== entry.approved,
  );
  return other === undefined ? undefined : entry.approvalId;
}
