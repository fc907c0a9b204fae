import {
  type BegunEffect,
  type EffectId,
  type EffectState,
  HiveError,
  type JsonValue,
  type Outcome,
  type RunId,
  type TenantId,
  type TicketId,
  type WorkerId,
} from '@hivekeeper/contract';

/** One execution of an agent's code, over all its attempts. */
export interface Place {
  readonly tenantId: TenantId;
  readonly runId: RunId;
  readonly nodeId: string;
  readonly slot: number;
}

/** Whoever holds the ticket of a place now. No earlier attempt of it is at work any more: a slot has one live ticket. */
export interface Holder extends Place {
  readonly ticketId: TicketId;
  readonly workerId: WorkerId;
  /** Second half of the token. */
  readonly counter: string;
}

/** What makes two calls of a place the same effect. Never an id that a model gave its call: it is new on each attempt. */
export interface EffectKey {
  readonly step: string;
  readonly tool: string;
  readonly argsSha256: string;
}

/**
 * Something an agent does to the world outside.
 *
 * | from       | when                                                        | to         |
 * |------------|-------------------------------------------------------------|------------|
 * | –          | begun                                                       | dispatched |
 * | intended   | begun                                                       | dispatched |
 * | dispatched | begun again by the same attempt                             | dispatched |
 * | dispatched | begun by a later attempt: the one before ended without a word | unknown  |
 * | dispatched, unknown | finished by the attempt that dispatched it         | confirmed  |
 * | dispatched | doubted, or parked, by the attempt that dispatched it       | unknown    |
 * | unknown    | a probe found it, or a person says that it happened         | confirmed  |
 * | unknown    | a probe did not find it, or a person says that it did not happen | intended |
 * | intended   | a probe found it after all, or a person says so             | confirmed  |
 * | confirmed  | anything else                                               | confirmed, with the outcome it has |
 *
 * `dispatched` is stored before the agent is told to act, so whatever may have happened is on record.
 */
export interface Effect extends Place, EffectKey {
  readonly id: EffectId;
  readonly args: JsonValue;
  readonly hasProbe: boolean;
  readonly state: EffectState;
  /** Present where confirmed. */
  readonly outcome?: Outcome | undefined;
  /** Why it is unknown. */
  readonly reason?: string | undefined;
  /** The attempt that was told last to make it. */
  readonly dispatchedBy?: Pick<Holder, 'ticketId' | 'workerId' | 'counter'> | undefined;
  readonly dispatchCount: number;
  readonly begunAtMs: number;
  readonly dispatchedAtMs?: number | undefined;
  /** When it was confirmed, or last found not to have happened. */
  readonly endedAtMs?: number | undefined;
  /** `agent`, or the person. */
  readonly resolvedBy?: string | undefined;
  readonly notes?: string | undefined;
  /** The ticket that was given back to wait for news of it. */
  readonly awaitedBy?: TicketId | undefined;
  /** Grows with every change, so that two changes of one state cannot both be stored. */
  readonly version: number;
}

/** What a rule comes to: the effect as it is to be stored, and what to call that in the audit. Nothing where it is no news. */
export type Change = { readonly effect: Effect; readonly deed: string } | undefined;

/** What somebody found who looked. */
export interface Finding {
  readonly happened: boolean;
  readonly output?: JsonValue | undefined;
  /** `agent`, or the person. */
  readonly by: string;
  readonly notes?: string | undefined;
}

/** The reason of an effect whose attempt ended before it said anything. */
export const silentEnd = 'the attempt that was told to make it ended without saying whether it did';

const isDispatchedBy = ({ dispatchedBy }: Effect, { ticketId, counter }: Holder): boolean =>
  dispatchedBy?.ticketId === ticketId && dispatchedBy.counter === counter;

const changed = (effect: Effect, changes: Partial<Effect>): Effect => ({ ...effect, ...changes, version: effect.version + 1 });

/** An attempt is about to make an effect; one that is not on record yet is `intended`. */
export function begin(effect: Effect, holder: Holder, atMs: number): { readonly change: Change; readonly answer: BegunEffect } {
  const { id: effectId, state, outcome } = effect;
  if (state === 'confirmed' && outcome !== undefined) return { change: undefined, answer: { state, effectId, outcome } };
  if (state === 'intended') return { change: dispatch(effect, holder, atMs), answer: { state: 'dispatched', effectId } };
  if (state === 'dispatched' && isDispatchedBy(effect, holder)) return { change: undefined, answer: { state, effectId } };
  const reason = effect.reason ?? silentEnd;
  const change = state === 'unknown' ? undefined : doubtOf(effect, reason);
  return { change, answer: { state: 'unknown', effectId, reason } };
}

/** The attempt is told to make it: stored first. */
function dispatch(effect: Effect, { ticketId, workerId, counter }: Holder, atMs: number): NonNullable<Change> {
  const dispatchedBy = { ticketId, workerId, counter };
  const dispatchCount = effect.dispatchCount + 1;
  return {
    effect: changed(effect, {
      state: 'dispatched',
      dispatchedBy,
      dispatchCount,
      dispatchedAtMs: atMs,
      reason: undefined,
      awaitedBy: undefined,
    }),
    deed: 'effect.dispatched',
  };
}

const doubtOf = (effect: Effect, reason: string): NonNullable<Change> => ({
  effect: changed(effect, { state: 'unknown', reason }),
  deed: 'effect.doubted',
});

/** The attempt that made it says how it ended. */
export function finish(effect: Effect, holder: Holder, { outcome, atMs }: { readonly outcome: Outcome; readonly atMs: number }): Change {
  mustBeDispatchedBy(effect, holder);
  if (effect.state === 'confirmed') return undefined;
  return { effect: changed(effect, { state: 'confirmed', outcome, endedAtMs: atMs, reason: undefined }), deed: 'effect.confirmed' };
}

/** The attempt that made it does not know how it ended. */
export function doubt(effect: Effect, holder: Holder, reason: string): Change {
  mustBeDispatchedBy(effect, holder);
  return effect.state === 'dispatched' ? doubtOf(effect, reason) : undefined;
}

function mustBeDispatchedBy(effect: Effect, holder: Holder): void {
  if (effect.state === 'intended' || !isDispatchedBy(effect, holder)) throw new HiveError('EFFECT_NOT_DISPATCHED');
}

/** The holder's agent looked at the other side. */
export function probe(effect: Effect, finding: Finding, atMs: number): Change {
  if (effect.state === 'dispatched') throw new HiveError('EFFECT_NOT_DISPATCHED');
  return settle(effect, finding, atMs);
}

/** The holder's agent gives its ticket back until somebody says what became of the effect. */
export function park(effect: Effect, holder: Holder): Change {
  const awaitedBy = holder.ticketId;
  if (effect.state !== 'dispatched') return { effect: changed(effect, { awaitedBy }), deed: 'effect.awaited' };
  mustBeDispatchedBy(effect, holder);
  return { effect: changed(effect, { state: 'unknown', reason: effect.reason ?? silentEnd, awaitedBy }), deed: 'effect.awaited' };
}

/** A person looked. `isAtWork`: the attempt that was told to make the effect holds its ticket still. */
export function resolve(
  effect: Effect,
  finding: Finding,
  { isAtWork, atMs }: { readonly isAtWork: boolean; readonly atMs: number },
): Change {
  if (effect.state === 'dispatched' && isAtWork) throw new HiveError('EFFECT_AT_WORK');
  return settle(effect, finding, atMs);
}

function settle(effect: Effect, { happened, output = null, by, notes }: Finding, atMs: number): Change {
  if (effect.state === (happened ? 'confirmed' : 'intended')) {
    // The same again is no news; another word about what is known is refused.
    if (effect.state === 'intended' || (effect.resolvedBy === by && isSameOutput(effect.outcome, output))) return undefined;
    throw new HiveError('EFFECT_ALREADY_KNOWN');
  }
  if (effect.state === 'confirmed') throw new HiveError('EFFECT_ALREADY_KNOWN');
  const known = { reason: undefined, endedAtMs: atMs, resolvedBy: by, notes };
  return happened
    ? { effect: changed(effect, { ...known, state: 'confirmed', outcome: { ok: true, output } }), deed: 'effect.confirmed' }
    : { effect: changed(effect, { ...known, state: 'intended' }), deed: 'effect.denied' };
}

const isSameOutput = (outcome: Outcome | undefined, output: JsonValue): boolean =>
  outcome?.ok === true && JSON.stringify(outcome.output) === JSON.stringify(output);
