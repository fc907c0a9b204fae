import { deepStrictEqual, ok, strictEqual } from 'node:assert/strict';
import type { CarriedNode, CompensationTask, RunId } from '@hivekeeper/contract';
import { carriedFrom, errorOf, fold, initialState, nodeViewsOf, runStatusOf, wakeAtOf } from '../core/index.ts';
import { testRunId } from '../core/run-under-test.ts';
import { play } from './play.ts';
import { type End, endsOf, endsOfUndoing, isFailure, keptOf, undoListOf } from './reference.ts';
import { type Scenario, Stage } from './stage.ts';
import type { SimulatedNode } from './world.ts';

/**
 * One schedule: a run in its world from the beginning to the end; where it ended otherwise than well also the run that
 * undoes it, and one that goes on from it.
 * @throws AssertionError where an invariant does not hold, or an end is not what the reference says
 */
export function playSchedule(scenario: Scenario): void {
  const { nodes, tally } = scenario;
  tally.scheduleCount += 1;
  const stage = play(new Stage(scenario));
  checkAgainst(stage, endsOf(nodes));
  const tasks = checkUndoList(stage);
  if (tasks.length > 0) undo(stage, tasks);
  if (runStatusOf(stage.run.state) !== 'SUCCESS') goOn(stage);
}

/** How the nodes ended, in the words of the reference. */
function endsAfter({ run, scenario, witness }: Stage): Map<string, End> {
  const shared = new Set(scenario.nodes.filter(({ work }) => work.kind === 'wait' && work.what === 'shared').map(({ id }) => id));
  // Whoever waits for a shared signal got the one that the witness gave it; the reference knows only for whom it was.
  const unshared = (id: string, output: unknown, slot: number): unknown => {
    const path = `${id}.${slot}`;
    return shared.has(id) && output !== undefined && output === witness.received.get(path) ? `to ${path}` : output;
  };
  return new Map(
    nodeViewsOf(run.state, run.rules.plan).map(({ id, status, output, error }) => {
      const own = Array.isArray(output) ? output.map((each, slot) => unshared(id, each, slot)) : unshared(id, output, 0);
      return [id, { status, code: error?.code, output: own as End['output'] }];
    }),
  );
}

function checkAgainst(stage: Stage, reference: ReadonlyMap<string, readonly End[]>): void {
  const { scenario, run, witness } = stage;
  const status = runStatusOf(run.state);
  const wasStopped = status === 'CANCELLED' || status === 'TIMED_OUT';
  const ends = endsAfter(stage);
  const carried = checkCarried(stage);
  for (const [id, end] of ends) {
    strictEqual(end.status, witness.ended.get(id)?.status ?? end.status, 'what has ended stays as it ended');
    if (wasStopped && end.status === 'CANCELLED' && !carried.has(id)) continue;
    const possible = (reference.get(id) ?? []).map(textOf);
    ok(possible.includes(textOf(end)), `${id} ended ${textOf(end)}, and not ${possible.join(' or ')}`);
    countEnd(scenario, end);
  }
  if (!wasStopped) checkStatus(stage, ends);
  checkReplay(stage);
}

function countEnd({ tally, undoing }: Scenario, { status, output }: End): void {
  if (status === 'SKIPPED' && undoing === undefined) tally.add('node skipped');
  if (Array.isArray(output)) tally.add('node mapped');
}

function checkCarried({ scenario, run }: Stage): ReadonlySet<string> {
  const carried = new Set(scenario.carried?.map(({ nodeId }) => nodeId));
  const shown = nodeViewsOf(run.state, run.rules.plan).filter(({ isCarried }) => isCarried);
  deepStrictEqual(new Set(shown.map(({ id }) => id)), carried, 'what was carried over says so');
  return carried;
}

const textOf = ({ status, code, output }: End): string => JSON.stringify([status, code, output]);

function checkStatus({ scenario, run, witness }: Stage, ends: ReadonlyMap<string, End>): void {
  const { nodes, tally, undoing } = scenario;
  const fatal = nodes.filter(({ id, onFailure }) => isFailure(ends.get(id)?.status) && (onFailure === 'fail' || undoing !== undefined));
  const status = fatal.length > 0 ? 'FAILED' : 'SUCCESS';
  strictEqual(runStatusOf(run.state), status, 'a run fails with a node that fails it, and only then');
  const fatalIds = new Set(fatal.map(({ id }) => id));
  const first = [...witness.ended.keys()].find((id) => fatalIds.has(id));
  strictEqual(errorOf(run.state)?.nodeId, first, 'a failed run names the first node that failed it');
  if (undoing === undefined) tally.add(status === 'FAILED' ? 'run failed' : 'run good');
}

/** The journal gives everything again: at once, and in two parts. */
function checkReplay({ run }: Stage): void {
  const { journal, rules, state, commands, notices } = run;
  const whole = JSON.stringify([state, commands, notices]);
  const fresh = initialState(testRunId, rules.plan);
  const again = fold(fresh, journal, rules);
  strictEqual(JSON.stringify([again.state, again.commands, again.notices]), whole, 'the journal gives the run again');
  const cut = journal.length >> 1;
  const first = fold(fresh, journal.slice(0, cut), rules);
  const second = fold(first.state, journal.slice(cut), rules);
  const joined = [second.state, [...first.commands, ...second.commands], [...first.notices, ...second.notices]];
  strictEqual(JSON.stringify(joined), whole, 'the journal in two parts gives the run again');
}

/** What is to be undone is what the reference says, the last deed first. */
function checkUndoList(stage: Stage): readonly CompensationTask[] {
  const { scenario, run, witness } = stage;
  const { phase } = run.state;
  const tasks = (phase.kind === 'ended' ? phase.toUndo : undefined) ?? [];
  const views = new Map(nodeViewsOf(run.state, run.rules.plan).map((view) => [view.id, view]));
  const own = new Map([...witness.ended].map(([id, end]): [string, End] => [id, { ...end, output: views.get(id)?.output }]));
  const byId = new Map(scenario.nodes.map((node) => [node.id, node]));
  const isDue = scenario.undoing === undefined && runStatusOf(run.state) !== 'SUCCESS';
  deepStrictEqual(tasks.map(withoutMessage), isDue ? undoListOf(byId, own) : [], 'what was done is to be undone, the last deed first');
  return tasks;
}

const withoutMessage = (task: CompensationTask): CompensationTask =>
  'error' in task ? { ...task, error: { code: task.error.code, message: '' } } : task;

function undo(stage: Stage, tasks: readonly CompensationTask[]): void {
  const { scenario, run } = stage;
  const { nodes, world, tally } = scenario;
  const compensated = { type: 'run.compensated', atMs: run.nowMs + 1, byRunId: 'run_01JD0000000000000000000001' as RunId } as const;
  strictEqual(stage.send(compensated), true, 'that the undoing began is news');
  strictEqual(wakeAtOf(run.state), undefined, 'an undone run sleeps');
  strictEqual(stage.send(compensated), false, 'that the undoing began is news once');
  tally.add('run undone');
  if (tasks.some((task) => 'error' in task)) tally.add('undoing had no input');
  const ownWorld = { ...world, endAfter: world.seed % 10, seed: world.seed + 1 };
  const undoing = play(new Stage({ nodes, tally, undoing: tasks, world: ownWorld }));
  checkAgainst(undoing, endsOfUndoing(nodes, tasks));
  strictEqual(checkUndoList(undoing).length, 0, 'undoing is not undone');
  const status = runStatusOf(undoing.run.state);
  tally.add(status === 'SUCCESS' ? 'undoing good' : status === 'FAILED' ? 'undoing failed' : 'undoing stopped');
}

/** Starts a run that need not do again what this one did. */
function goOn(stage: Stage): void {
  const { scenario, run } = stage;
  const { world, tally } = scenario;
  const ends = endsAfter(stage);
  const from = world.goOn === 'from a node' ? scenario.nodes[world.seed % scenario.nodes.length]?.id : undefined;
  const carried = carriedFrom(run.state, run.rules.plan, from);
  const kept = keptOf(scenario.nodes, ends, from);
  deepStrictEqual(new Set(carried.map(({ nodeId }) => nodeId)), kept, 'what need not be done again is carried over');
  for (const view of nodeViewsOf(run.state, run.rules.plan)) {
    const { status, output, error } = carried.find(({ nodeId }) => nodeId === view.id) ?? view;
    deepStrictEqual([status, output, error], [view.status, view.output, view.error], 'what is carried over is how it ended');
  }
  const nodes = world.goOn === 'healed' ? scenario.nodes.map(healed) : scenario.nodes;
  const next = play(new Stage({ nodes, tally, carried, world: { ...world, seed: world.seed + 2 } }));
  checkAgainst(next, endsOf(nodes, new Map(carried.map(endOfCarried))));
  checkUndoList(next);
  tally.add('run went on from another');
  for (const { status } of carried) tally.add(status === 'SUCCESS' ? 'node carried' : 'node carried that did not succeed');
}

const endOfCarried = ({ nodeId, status, output, error }: CarriedNode): [string, End] => [nodeId, { status, output, code: error?.code }];

/** The same node where nothing goes wrong. */
const healed = (node: SimulatedNode): SimulatedNode => ({
  ...node,
  work: node.work.kind === 'agent' ? { ...node.work, gate: 'none', scripts: [] } : node.work,
});
