import {
  type AgentAnswer,
  callbackSignalName,
  callbackStepOf,
  HiveError,
  type JsonValue,
  runIdOfTicket,
  type TicketId,
} from '@hivekeeper/contract';
import { maxSignalsPerRun, type RunState } from './core/index.ts';
import type { RunLane } from './lane.ts';

/** By which an agent behind HTTP is known that was told 202 would do: the ticket, and the hash of its address's secret. */
export interface CallbackKey {
  readonly ticketId: TicketId;
  /** SHA-256 of the secret, in hexadecimal. */
  readonly key: string;
}

/**
 * What agents say that answered 202. The journal keeps what a slot waits for, so a callback finds it whoever holds the run,
 * and whatever was killed in between.
 */
export class Callbacks {
  readonly #lane: Pick<RunLane, 'submit'>;

  constructor(lane: Pick<RunLane, 'submit'>) {
    this.#lane = lane;
  }

  /**
   * Gives a run what its agent came to. The same callback again is `known`, and no news.
   * @throws HiveError CALLBACK_INVALID, CALLBACK_EARLY, CALLBACK_STALE, SIGNALS_TOO_MANY
   */
  take(callback: CallbackKey, answer: AgentAnswer): Promise<'taken' | 'known'> {
    return this.#ask(callback, answer) as Promise<'taken' | 'known'>;
  }

  /** Whether a callback would be taken. @throws as {@link take} */
  look(callback: CallbackKey): Promise<'wanted' | 'known'> {
    return this.#ask(callback) as Promise<'wanted' | 'known'>;
  }

  async #ask(callback: CallbackKey, answer?: AgentAnswer): Promise<'taken' | 'known' | 'wanted'> {
    const { ticketId, key } = callback;
    const found: { state: 'taken' | 'known' | 'wanted' } = { state: 'wanted' };
    const by = `callback:${ticketId}`;
    await this.#lane
      .submit({
        runId: runIdOfTicket(ticketId),
        actor: by,
        judge: (state, atMs) => {
          found.state = standingOf(state, callback);
          if (answer === undefined || found.state === 'known') return undefined;
          if (state.signalIds.length >= maxSignalsPerRun) throw new HiveError('SIGNALS_TOO_MANY');
          found.state = 'taken';
          const payload = answer as JsonValue;
          return { type: 'signal.received', atMs, signalId: signalIdOf(key), name: callbackSignalName, key, payload, by };
        },
      })
      .catch((error: unknown) => {
        throw HiveError.is(error) && error.code === 'NOT_FOUND' ? new HiveError('CALLBACK_INVALID') : error;
      });
    return found.state;
  }
}

const signalIdOf = (key: string): string => `callback:${key}`;

/** @throws HiveError where the callback is not wanted, or not yet */
export function standingOf(state: RunState, { ticketId, key }: CallbackKey): 'known' | 'wanted' {
  if (state.signalIds.includes(signalIdOf(key))) return 'known';
  const ticket = state.tickets[Number(ticketId.slice(ticketId.indexOf('.') + 1))];
  if (ticket?.ticketId !== ticketId) throw new HiveError('CALLBACK_INVALID');
  if (ticket.end === undefined) throw new HiveError('CALLBACK_EARLY');
  const slot = state.slots[ticket.slotAt];
  const isWaiting = ticket.end.status === 'SUSPENDED' && slot?.phase === 'suspended' && slot.wait.step === callbackStepOf(ticket.attempt);
  if (!isWaiting) throw new HiveError('CALLBACK_STALE');
  if (slot.wait.kind !== 'signal' || slot.wait.key !== key) throw new HiveError('CALLBACK_INVALID');
  return 'wanted';
}
