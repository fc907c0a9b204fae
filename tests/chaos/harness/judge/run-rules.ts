import { isTerminal } from '@hivekeeper/contract';
import { errorOf, nodeViewsOf, runStatusOf, wakeAtOf } from '../../../../apps/control/src/flow/runs/core/index.ts';
import { kindOf } from '../kinds.ts';
import type { JudgedRun } from './evidence.ts';
import { type Finding, findings } from './findings.ts';

/** What must hold of every run by itself, whatever was killed. */
export function judgeRuns(runs: readonly JudgedRun[]): readonly Finding[] {
  return [
    ...findings('no run is unfinished at the end', runs, (run) => (isTerminal(run.status) ? undefined : `${run.id} is ${run.status}`)),
    ...findings('every run ends as its workflow allows', runs, wrongEnd),
    ...findings('the journal has every version once', runs, wrongVersions),
    ...findings('each ticket’s end is recorded once', runs, secondEnd),
    ...findings('folding the journal gives the stored run', runs, wrongFold),
    ...findings('each slot that succeeded has one result', runs, wrongResults),
    ...findings('an agent runs again only for another attempt', runs, wrongExecutions),
  ];
}

/** Leases lost too often end a run by design; it says so. */
export const lostTooOften = (run: JudgedRun): boolean => run.errorCode === 'LEASE_LOST_TOO_OFTEN';

function wrongEnd(run: JudgedRun): string | undefined {
  if (!isTerminal(run.status) || lostTooOften(run) || kindOf(run.workflow)?.mayEnd.includes(run.status) === true) return undefined;
  return `${run.id} (${run.workflow}) is ${run.status}: ${run.errorCode}`;
}

const wrongVersions = ({ id, versions }: JudgedRun): string | undefined =>
  versions.every((version, index) => version === index + 1) ? undefined : `${id} has ${versions.join(' ')}`;

function secondEnd({ id, events }: JudgedRun): string | undefined {
  const ends = events.flatMap((event) => ('ticketId' in event ? [event.ticketId] : []));
  const twice = ends.find((ticketId, index) => ends.indexOf(ticketId) !== index);
  return twice === undefined ? undefined : `${id}: ${twice} ended ${ends.filter((ticketId) => ticketId === twice).length} times`;
}

function wrongFold({ id, folded, status, wakeAtMs, errorCode }: JudgedRun): string | undefined {
  const told = JSON.stringify([status, wakeAtMs, errorCode]);
  const due = wakeAtOf(folded.state);
  const own = JSON.stringify([runStatusOf(folded.state), due, errorOf(folded.state)?.code]);
  return told === own ? undefined : `${id}: stored ${told}, folded ${own}`;
}

function wrongResults({ id, folded }: JudgedRun): string | undefined {
  for (const node of nodeViewsOf(folded.state, folded.rules.plan)) {
    if (node.status !== 'SUCCESS' || node.agent === undefined) continue;
    const slots = Map.groupBy(node.attempts, ({ slot }) => slot);
    for (const [slot, attempts] of slots) {
      const count = attempts.filter(({ status }) => status === 'SUCCESS').length;
      if (count !== 1) return `${id} ${node.id}.${slot} has ${count} results`;
    }
  }
  return undefined;
}

/** Each attempt of an agent that writes it down was executed once at most, and each that brought a result was executed. */
function wrongExecutions({ id, folded, executions }: JudgedRun): string | undefined {
  const counts = new Map<string, number>();
  for (const line of executions) counts.set(line, (counts.get(line) ?? 0) + 1);
  for (const node of nodeViewsOf(folded.state, folded.rules.plan)) {
    if (node.agent !== 'scribe') continue;
    for (const { slot, attempt, status } of node.attempts) {
      const name = `${node.id} ${slot} ${attempt}`;
      const count = counts.get(name) ?? 0;
      if (count > 1) return `${id} ${name} was executed ${count} times`;
      if (count === 0 && status === 'SUCCESS') return `${id} ${name} has a result but was not executed`;
      counts.delete(name);
    }
  }
  const [unknown] = counts.keys();
  return unknown === undefined ? undefined : `${id} ${unknown} was executed and is not in the journal`;
}
