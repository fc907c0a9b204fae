import type postgres from 'postgres';
import { nodeViewsOf } from '../../../../apps/control/src/flow/runs/core/index.ts';
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
  const effects = await sql<{ id: string }[]>`SELECT id FROM effects`;
  const effectIds = new Set(effects.map(({ id }) => id));
  const runOfKey = new Map(keys.map(({ key, run_id }) => [key, run_id]));
  return [
    ...findings('nothing acknowledged is lost', ok, (entry) => lost(entry, { byId, statusOf, runOfKey, effectIds })),
    ...judgeCount(runs, entries),
    ...findings('a retry from the failed node keeps what succeeded', ok, (entry) => doneAgain(entry, byId)),
    ...findings('a decision once taken stays', ok, (entry) => overruled(entry, entries)),
  ];
}

interface Stored {
  readonly byId: ReadonlyMap<string, JudgedRun>;
  readonly statusOf: ReadonlyMap<string, string>;
  readonly runOfKey: ReadonlyMap<string, string>;
  readonly effectIds: ReadonlySet<string>;
}

type Told<Call extends Entry['call']> = Extract<Entry, { readonly call: Call }>;

/** By what clients were told was done: what is stored where it is not that. What became of signals is told by signal-rules.ts. */
const differences: { readonly [Call in Entry['call']]?: (entry: Told<Call>, stored: Stored) => string | undefined } = {
  start: ({ runId, key }, { byId, runOfKey }) => (byId.has(runId ?? '') ? differs(key, runId, runOfKey.get(key)) : `there is no ${runId}`),
  cancel: ({ runId }, { byId }) => differs(runId, 'CANCELLED', byId.get(runId)?.status),
  pause: ({ runId }, { byId }) => lacks(byId.get(runId), 'run.paused'),
  resume: ({ runId }, { byId }) => lacks(byId.get(runId), 'run.resumed'),
  retry: ({ runId, newRunId }, { byId }) => differs(`origin of ${newRunId}`, runId, byId.get(newRunId ?? '')?.originRunId),
  decide: ({ approvalId, approved }, { statusOf }) => differs(approvalId, approved ? 'APPROVED' : 'REJECTED', statusOf.get(approvalId)),
  resolve: ({ effectId }, { effectIds }) => (effectIds.has(effectId) ? undefined : `there is no ${effectId}`),
};

const lost = (entry: Entry, stored: Stored): string | undefined => differences[entry.call]?.(entry as never, stored);

const differs = (about: string, told: string | undefined, stored: string | undefined): string | undefined =>
  told === stored && told !== undefined ? undefined : `${about}: told was ${told}, stored is ${stored}`;

const lacks = (run: JudgedRun | undefined, event: 'run.paused' | 'run.resumed'): string | undefined =>
  run?.events.some(({ type }) => type === event) === true ? undefined : `${run?.id} has no ${event}`;

/** Conservation: as many runs as clients asked for, and one retry of each run that they retried. */
function judgeCount(runs: readonly JudgedRun[], entries: readonly Entry[]): readonly Finding[] {
  const started = runs.filter(({ originRunId, trigger }) => originRunId === undefined && trigger !== 'schedule');
  const retried = runs.filter(({ originRunId }) => originRunId !== undefined);
  return [
    ...judgeAsked(
      'runs were started',
      started.length,
      entriesOf(entries, 'start', ({ key }) => key),
    ),
    ...judgeAsked(
      'runs are retries',
      retried.length,
      entriesOf(entries, 'retry', ({ runId }) => runId),
    ),
  ];
}

/** By the key of each call, whether it was ever answered. */
function entriesOf<Call extends Entry['call']>(
  entries: readonly Entry[],
  call: Call,
  keyOf: (entry: Extract<Entry, { call: Call }>) => string,
): ReadonlyMap<string, boolean> {
  const answered = new Map<string, boolean>();
  for (const entry of entries) {
    if (entry.call !== call || entry.outcome === 'refused') continue;
    const key = keyOf(entry as Extract<Entry, { call: Call }>);
    answered.set(key, answered.get(key) === true || entry.outcome === 'ok');
  }
  return answered;
}

function judgeAsked(what: string, count: number, asked: ReadonlyMap<string, boolean>): readonly Finding[] {
  const least = [...asked.values()].filter(Boolean).length;
  if (count >= least && count <= asked.size) return [];
  return [{ promise: 'there are exactly the runs that were asked for', detail: `${count} ${what}, told were ${least} to ${asked.size}` }];
}

/** Two clients that were both told they decided the same approval must have decided the same. */
function overruled(entry: Entry, entries: readonly Entry[]): string | undefined {
  if (entry.call !== 'decide') return undefined;
  const other = entries.find(
    (said) => said.call === 'decide' && said.approvalId === entry.approvalId && said.outcome === 'ok' && said.approved !== entry.approved,
  );
  return other === undefined ? undefined : entry.approvalId;
}

/** What a run had done already, and the one that goes on from its failed node has not carried over. */
function doneAgain(entry: Entry, byId: ReadonlyMap<string, JudgedRun>): string | undefined {
  if (entry.call !== 'retry' || entry.from !== 'failed') return undefined;
  const [before, after] = [byId.get(entry.runId), byId.get(entry.newRunId ?? '')];
  if (before === undefined || after === undefined) return `there is no ${entry.newRunId}`;
  const first = after.events[0];
  const carried = first?.type === 'run.created' ? (first.carried ?? []).map(({ nodeId }) => nodeId) : [];
  const done = nodeViewsOf(before.folded.state, before.folded.rules.plan).filter(({ status }) => status === 'SUCCESS');
  const again = done.find(({ id }) => !carried.includes(id));
  return again === undefined ? undefined : `${after.id} does ${again.id} again, which succeeded in ${before.id}`;
}
