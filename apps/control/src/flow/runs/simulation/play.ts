import { ok, strictEqual } from 'node:assert/strict';
import type { RunEvent } from '@hivekeeper/contract';
import { blockerOf, runStatusOf, wakeAtOf } from '../core/index.ts';
import { noiseFor } from './noise.ts';
import { cancel, catchUp, decide, giveOrder, resolve, resume, sendSignal } from './people.ts';
import type { Stage } from './stage.ts';
import { useTicket } from './workers.ts';
import { context, gateOf } from './world.ts';

// No world of a dozen nodes needs as many.
const mostSteps = 5_000;

/** Plays a run to its end: at each step somebody does something, whoever it is, and each step is checked. */
export function play(stage: Stage): Stage {
  const { world, tally } = stage.scenario;
  tally.playCount += 1;
  begin(stage);
  for (let step = 0; stage.going !== undefined; step += 1) {
    ok(step < mostSteps, 'every run ends');
    if (stage.pick(3) === 0) makeNoise(stage);
    if (stage.pick(8) === 0) stage.run.nowMs += stage.pick(stage.pick(2) === 0 ? 30_000 : 400);
    if (stage.pick(8) === 0) giveOrder(stage);
    if (world.end === 'cancel' && step >= world.endAfter) cancel(stage);
    else move(stage);
  }
  tryToMoveWhatEnded(stage);
  return stage;
}

function begin(stage: Stage): void {
  const { nodes, world, carried, undoing, tally } = stage.scenario;
  const isAsking = ({ nodeId }: { readonly nodeId: string }) => gateOf(stage.byId.get(nodeId), undoing !== undefined) !== 'none';
  const gatedNodeIds = (undoing ?? nodes.map(({ id }) => ({ nodeId: id }))).filter(isAsking).map(({ nodeId }) => nodeId);
  stage.send({
    type: 'run.created',
    atMs: stage.nowMs,
    by: 'bob',
    context,
    gatedNodeIds,
    ...(world.end === 'deadline' && { deadlineAtMs: stage.nowMs + 1 + world.endAfter * 37 }),
    ...(world.start === 'queued' && { queue: { key: 'simulated', limit: 1 } }),
    ...(carried !== undefined && { carried }),
    ...(undoing !== undefined && { compensation: undoing }),
  });
  if (undoing !== undefined && gatedNodeIds.length > 0) tally.add('undoing gated');
}

function move(stage: Stage): void {
  const hasMoved = stage.pick(6) === 0 ? wake(stage) || act(stage) : act(stage) || wake(stage);
  ok(hasMoved, 'something can move a run that has not ended');
}

/** Somebody does one of all the things that can be done now; false where only time can move the run. */
function act(stage: Stage): boolean {
  const { witness, unsent, nowMs: atMs } = stage;
  const { live, asked, effects } = witness;
  const choices: (() => unknown)[] = [
    ...[...live.values()].filter(({ isHeld }) => !isHeld).map((ticket) => () => useTicket(stage, ticket)),
    ...[...asked].filter(([, { answer }]) => answer !== 'expire').map((question) => () => decide(stage, question)),
    ...[...effects.values()].map((effectId) => () => resolve(stage, effectId)),
    ...[...unsent.values()].slice(0, 2).map((signal) => () => sendSignal(stage, signal)),
  ];
  if (stage.going === 'queued') choices.push(() => stage.send({ type: 'run.admitted', atMs }));
  if (witness.isPaused) choices.push(() => resume(stage));
  choices[stage.pick(choices.length)]?.();
  return choices.length > 0;
}

/** Time moves on to what is due, or beyond; false where nothing is. */
function wake(stage: Stage): boolean {
  const { run, witness, scenario } = stage;
  const dueAtMs = wakeAtOf(run.state);
  if (dueAtMs === undefined) return false;
  const lateMs = stage.pick(4) === 0 ? stage.pick(3_000) : 0;
  const atMs = Math.max(run.nowMs, dueAtMs) + lateMs;
  while (catchUp(stage, atMs));
  run.nowMs = atMs;
  const { going } = stage;
  if (going === undefined) return true;
  if (lateMs > 0) scenario.tally.add('woken late');
  const expired = [...witness.asked.values()].filter(({ expiresAtMs }) => expiresAtMs <= atMs);
  stage.send({ type: 'run.woken', atMs });
  if (runStatusOf(run.state) === 'TIMED_OUT') scenario.tally.add(`${going} and timed out`);
  else for (const { nodeId } of expired) countExpiry(stage, nodeId);
  return true;
}

function countExpiry({ byId, scenario }: Stage, nodeId: string): void {
  const work = byId.get(nodeId)?.work;
  if (work?.kind !== 'agent' || work.gate !== 'expire') return;
  scenario.tally.add(`approval expired: ${work.isRisky ? 'fail' : work.onExpiry}`);
}

function makeNoise(stage: Stage): void {
  const effects = new Set(stage.witness.effects.values());
  const event = noiseFor({ run: stage.run, effects, pick: (below) => stage.pick(below) });
  if (event === undefined) return;
  strictEqual(stage.send(event), false, `${event.type} is no news`);
  stage.scenario.tally.add(`no news: ${event.type}`);
}

function tryToMoveWhatEnded(stage: Stage): void {
  const { run, witness, nowMs: atMs } = stage;
  witness.checkEnd();
  for (let count = 0; count < 3; count += 1) makeNoise(stage);
  const late: RunEvent[] = [
    { type: 'run.cancelled', atMs, by: 'ann' },
    { type: 'run.paused', atMs, by: 'ann' },
    { type: 'run.reprioritised', atMs, by: 'ann', priority: 1_000 },
    { type: 'signal.received', atMs, by: 'ann', signalId: 'after the end', name: 'shared', payload: null },
    { type: 'run.woken', atMs: atMs + 1e12 },
  ];
  for (const event of late) strictEqual(stage.send(event), false, `${event.type} is no news after the end`);
  strictEqual(blockerOf(run.state), undefined, 'a run that ended waits for nothing');
}
