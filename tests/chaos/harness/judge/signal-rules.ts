import type { Entry } from '../journal.ts';
import { nodeViewsOf } from '../../../../apps/control/src/flow/runs/core/index.ts';
import type { JudgedRun } from './evidence.ts';
import { type Finding, findings } from './findings.ts';

/** What was found of signals, and how many there were. */
export interface SignalJudgement {
  readonly findings: readonly Finding[];
  /** Nodes that waited and got one. */
  readonly taken: number;
}

/** Holds what was sent against what runs received, and that against what their nodes made of it. A signal's payload is its id. */
export function judgeSignals(runs: readonly JudgedRun[], entries: readonly Entry[]): SignalJudgement {
  const waiting = runs.filter(({ workflow }) => workflow === 'signals');
  const received = new Map(waiting.map((run) => [run.id as string, receivedBy(run)]));
  const told = entries.filter((entry) => entry.call === 'signal' && entry.outcome === 'ok');
  const taken = waiting.map((run) => ({ run, outputs: takenBy(run) }));
  return {
    findings: [
      ...findings('nothing acknowledged is lost', told, (entry) => {
        if (entry.call !== 'signal' || received.get(entry.runId)?.includes(entry.signalId) === true) return undefined;
        return `${entry.runId} did not receive ${entry.signalId}`;
      }),
      ...findings('a signal counts once', received, ([id, ids]) =>
        new Set(ids).size === ids.length ? undefined : `${id} received ${ids.join(' ')}`,
      ),
      ...findings('a signal is in effect once', taken, ({ run, outputs }) => {
        const expected = received.get(run.id)?.slice(0, outputs.length) ?? [];
        return JSON.stringify(outputs) === JSON.stringify(expected)
          ? undefined
          : `${run.id} received ${expected.join(' ')}, took ${outputs.join(' ')}`;
      }),
    ],
    taken: taken.reduce((sum, { outputs }) => sum + outputs.length, 0),
  };
}

const receivedBy = ({ events }: JudgedRun): readonly string[] =>
  events.flatMap((event) => (event.type === 'signal.received' ? [event.signalId] : []));

/** What the waiting nodes that ended well got, in their order. */
const takenBy = ({ folded }: JudgedRun): readonly unknown[] =>
  nodeViewsOf(folded.state, folded.rules.plan)
    .filter(({ id, status }) => ['first', 'second'].includes(id) && status === 'SUCCESS')
    .map(({ output }) => output);
