import { deepStrictEqual, ok, strictEqual } from 'node:assert/strict';
import type { Blocker } from '@hivekeeper/contract';
import { type RunState, wakeAtOf } from '../core/index.ts';
import type { LiveTicket, Witness } from './witness.ts';

/**
 * A run waits for what only a person can give (that it goes on, its turn, an approval, what became of an effect), else
 * for its oldest ticket, else for what time brings first.
 */
export function checkBlocker(blocker: Blocker, witness: Witness, state: RunState): void {
  const first = [
    witness.isPaused && 'paused',
    state.phase.kind === 'queued' && 'concurrency',
    witness.asked.size > 0 && 'approval',
    witness.effects.size > 0 && 'effect_unknown',
    witness.live.size > 0 && 'ticket',
  ].find((kind) => kind !== false);
  if (first === undefined) return checkTime(blocker, witness, state);
  strictEqual(blocker.kind, first, 'a blocker names what must be done first');
  checkNamed(blocker, witness);
}

function checkNamed(blocker: Blocker, { asked, effects, live }: Witness): void {
  if (blocker.kind === 'approval')
    strictEqual(asked.get(blocker.approvalId)?.expiresAtMs, blocker.expiresAtMs, 'a blocker names an approval that is asked for');
  if (blocker.kind === 'effect_unknown') ok([...effects.values()].includes(blocker.effectId), 'a blocker names an effect that is unknown');
  if (blocker.kind !== 'ticket') return;
  const [oldest] = [...live.values()].sort((a, b) => ordinalOf(a) - ordinalOf(b));
  deepStrictEqual([blocker.ticketId, blocker.otherCount], [oldest?.ticketId, live.size - 1], 'a blocker names the oldest ticket');
}

const ordinalOf = ({ ticketId }: LiveTicket): number => Number(ticketId.slice(ticketId.lastIndexOf('.') + 1));

function checkTime(blocker: Blocker, { listeners }: Witness, state: RunState): void {
  const atMs = 'dueAtMs' in blocker ? blocker.dueAtMs : 'expiresAtMs' in blocker ? blocker.expiresAtMs : NaN;
  strictEqual(Math.min(atMs, state.deadlineAtMs ?? Infinity), wakeAtOf(state), 'a blocker names what time brings first');
  if (blocker.kind !== 'signal') return;
  const isKnown = [...listeners.values()].some(({ name, key }) => name === blocker.name && key === blocker.key);
  ok(isKnown, 'a blocker names a signal that somebody waits for');
}
