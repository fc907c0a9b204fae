import type { EffectId, Outcome, Suspension } from '@hivekeeper/contract';
import { codeOf, fateOf } from './reference.ts';
import type { Stage } from './stage.ts';
import type { LiveTicket } from './witness.ts';
import { askedMs, type Result, scriptAt, signalMs, timerMs, type Waiting } from './world.ts';

/** A worker does with a ticket what the script of its execution says. */
export function useTicket(stage: Stage, ticket: LiveTicket): void {
  const { ticketId, path, attempt } = ticket;
  stage.witness.live.delete(ticketId);
  const act = scriptAt(stage.byId, path)[attempt - 1] ?? 'ok';
  if (typeof act === 'object') suspend(stage, ticket, act);
  else end(stage, ticket, act);
}

const isCalled = (path: string): boolean => path.split('.').length > 2;

const faults = { fail: 'attempt failed', 'time-out': 'attempt timed out', 'fail for good': 'attempt failed for good' } as const;

function end(stage: Stage, ticket: LiveTicket, result: Result): void {
  const { scenario, witness, byId, nowMs: atMs } = stage;
  const { ticketId, path, nodeId } = ticket;
  if (isFatal(stage, ticket)) witness.dying = ticketId;
  if (result === 'lose') {
    stage.send({ type: 'ticket.lost', atMs, ticketId });
    return;
  }
  if (result !== 'ok') {
    scenario.tally.add(faults[result]);
    // The pause is spread by a tenth.
    witness.notBefore(path, atMs + 0.9 * (byId.get(nodeId)?.backoffMs ?? 0));
  }
  const outcome: Outcome = result === 'ok' ? { ok: true, output: path } : { ok: false, error: { code: codeOf[result], message: result } };
  stage.send({ type: 'ticket.settled', atMs, ticketId, outcome });
}

/** True where the run fails with this attempt. Whoever called an agent hears of its failure instead. */
function isFatal({ scenario, byId }: Stage, { path, attempt, nodeId }: LiveTicket): boolean {
  const last = fateOf(byId, path);
  const isFinal = attempt === last.attempt && 'code' in last.fate;
  return isFinal && !isCalled(path) && (scenario.undoing !== undefined || byId.get(nodeId)?.onFailure === 'fail');
}

function suspend(stage: Stage, { ticketId, path, attempt, nodeId, slot }: LiveTicket, act: Waiting): void {
  const { witness, nowMs: atMs } = stage;
  const step = `${path}.${attempt - 1}`;
  count(stage, step, act);
  if (act.waits === 'timer') witness.notBefore(path, atMs + timerMs);
  const suspension = suspensionOf(step, act);
  const effect = suspension.kind === 'effect' ? { effectId: suspension.effectId } : {};
  witness.suspending = { at: `${nodeId}/${slot}`, path: step, ...effect };
  stage.send({ type: 'ticket.suspended', atMs, ticketId, suspension });
  witness.suspending = undefined;
}

function count({ scenario, sent }: Stage, step: string, act: Waiting): void {
  const { tally } = scenario;
  tally.add(`agent waits: ${act.waits}`);
  if (act.waits === 'approval') tally.add(`asked: ${act.answer}`);
  if (act.waits === 'signal' && sent.has(step)) tally.add('signal before the wait');
  if (act.waits !== 'call') return;
  if (isCalled(step.slice(0, step.lastIndexOf('.')))) tally.add('call in a call');
  if (act.gate !== 'none') tally.add(`call gated: ${act.gate}`);
}

function suspensionOf(step: string, act: Waiting): Suspension {
  switch (act.waits) {
    case 'timer':
      return { kind: 'timer', step, forMs: timerMs };
    case 'signal':
      return { kind: 'signal', step, name: 'go', key: step, expiresAfterMs: signalMs };
    case 'approval':
      return { kind: 'approval', step, message: step, input: { step }, expiresAfterMs: askedMs };
    case 'call':
      return { kind: 'agent', step, agent: step, action: 'called', input: { path: step }, ...(act.gate !== 'none' && { isGated: true }) };
    case 'effect':
      return { kind: 'effect', step, effectId: effectIdOf(step), tool: 'bank.transfer' };
  }
}

// Everything that a node does shares one effect: what becomes of it is news for all that wait for it.
const effectIdOf = (step: string): EffectId => `eff_${step.split('.')[0]}` as EffectId;
