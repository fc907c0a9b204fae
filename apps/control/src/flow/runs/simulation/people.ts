import { deepStrictEqual, ok, strictEqual } from 'node:assert/strict';
import type { ApprovalId, EffectId } from '@hivekeeper/contract';
import type { Stage } from './stage.ts';
import type { AskedPerson } from './witness.ts';
import type { SimulatedSignal } from './world.ts';

/** A person answers what was asked. */
export function decide(stage: Stage, [approvalId, { answer, expiresAtMs }]: readonly [ApprovalId, AskedPerson]): void {
  const { scenario, witness, nowMs: atMs } = stage;
  witness.asked.delete(approvalId);
  if (answer === 'reject') scenario.tally.add('approval rejected');
  if (expiresAtMs <= atMs) scenario.tally.add('answered late');
  const approved = answer === 'approve';
  stage.send({ type: 'approval.decided', atMs, approvalId, approved, by: 'ann' });
  const { decided } = stage.run.state.approvals.find((approval) => approval.approvalId === approvalId) ?? {};
  deepStrictEqual(decided, { approved, by: 'ann' }, 'who decided what is kept');
}

/** A person says what became of an effect. */
export function resolve(stage: Stage, effectId: EffectId): void {
  stage.send({ type: 'effect.resolved', atMs: stage.nowMs, effectId, by: 'ann' });
  strictEqual([...stage.witness.effects.values()].includes(effectId), false, 'nobody waits for an effect that is known');
}

/** Somebody sends a signal that will be, is or was waited for. */
export function sendSignal(stage: Stage, { path, name, key }: SimulatedSignal): void {
  const { scenario, witness, unsent, sent, nowMs: atMs } = stage;
  const isShared = name === 'shared';
  const isAwaited = [...witness.listeners.values()].some((listener) => listener.path === path);
  if (isShared) scenario.tally.add('shared signal');
  else if (isAwaited) scenario.tally.add('signal during the wait');
  else if (name.startsWith('event:')) scenario.tally.add('event before the wait');
  unsent.delete(path);
  const payload = isShared ? `shared, meant for ${path}` : `to ${path}`;
  if (isShared) witness.shareSignal(payload);
  else sent.add(path);
  // Who waits without a key takes a signal with any.
  const anyKey = stage.pick(2) === 0 ? {} : { key: 'any' };
  stage.send({ type: 'signal.received', atMs, signalId: payload, name, payload, by: 'ann', ...(key === undefined ? anyKey : { key }) });
}

/** Before that time, everybody who wanted to do something does the next thing; false where there is none. */
export function catchUp(stage: Stage, atMs: number): boolean {
  const { witness, unsent } = stage;
  if (stage.going === undefined) return false;
  const question = [...witness.asked].find(([, { answer, expiresAtMs }]) => answer !== 'expire' && expiresAtMs <= atMs);
  const listener = [...witness.listeners.values()].find(({ comes, expiresAtMs }) => comes && expiresAtMs <= atMs);
  if (question !== undefined) decide(stage, question);
  else if (listener !== undefined) sendSignal(stage, unsent.get(listener.path) ?? anyShared(stage));
  return question !== undefined || listener !== undefined;
}

function anyShared({ unsent }: Stage): SimulatedSignal {
  const shared = [...unsent.values()].find(({ name }) => name === 'shared');
  ok(shared !== undefined, 'there is a shared signal for everybody who waits for one');
  return shared;
}

/** An order, or a signal in vain: too late, or with a key that nobody waits for. */
export function giveOrder(stage: Stage): void {
  const { witness } = stage;
  const disappointed = witness.disappointed.pop();
  if (disappointed !== undefined) return signalInVain(stage, disappointed, 'signal too late');
  const listener = [...witness.listeners.values()].find(({ key }) => key !== undefined);
  const orders = [
    () => (witness.isPaused ? resume(stage) : pause(stage)),
    () => reprioritise(stage),
    () => listener !== undefined && signalInVain(stage, { ...listener, key: 'nobody’s' }, 'signal with another key'),
  ];
  orders[stage.pick(orders.length)]?.();
}

function pause(stage: Stage): void {
  const { witness, scenario, nowMs: atMs } = stage;
  witness.isPaused = true;
  // What is leased goes on, what is ready is held.
  for (const ticket of witness.live.values()) ticket.isHeld = stage.pick(2) === 0;
  if (stage.going === 'queued') scenario.tally.add('paused while queued');
  stage.send({ type: 'run.paused', atMs, by: 'ann', reason: 'look' });
}

/** Ends a pause. */
export function resume(stage: Stage): void {
  const { witness, nowMs: atMs } = stage;
  witness.isPaused = false;
  for (const ticket of witness.live.values()) ticket.isHeld = false;
  stage.send({ type: 'run.resumed', atMs, by: 'ann' });
}

function reprioritise(stage: Stage): void {
  const priority = stage.pick(200) - 100;
  stage.witness.priority = priority;
  stage.send({ type: 'run.reprioritised', atMs: stage.nowMs, by: 'ann', priority });
}

function signalInVain(stage: Stage, { name, key }: SimulatedSignal, fault: 'signal with another key' | 'signal too late'): void {
  const { run, nowMs: atMs, scenario } = stage;
  const { nodes, slots } = run.state;
  const signalId = `${fault} ${run.journal.length}`;
  stage.send({ type: 'signal.received', atMs, signalId, name, payload: null, by: 'ann', ...(key !== undefined && { key }) });
  strictEqual(JSON.stringify([run.state.nodes, run.state.slots]), JSON.stringify([nodes, slots]), `a ${fault} moves nobody`);
  scenario.tally.add(fault);
}

/** Cancels the run. */
export function cancel(stage: Stage): void {
  if (stage.going !== undefined) stage.scenario.tally.add(`${stage.going} and cancelled`);
  stage.send({ type: 'run.cancelled', atMs: stage.nowMs, by: 'ann' });
}
