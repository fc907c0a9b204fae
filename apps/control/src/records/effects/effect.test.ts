import { type EffectState, HiveError, type Outcome, type TicketId, type WorkerId } from '@hivekeeper/contract';
import { describe, expect, it } from 'vitest';
import { begin, type Change, doubt, type Effect, finish, type Holder, park, probe, resolve } from './effect.ts';

const place = { tenantId: 'ten_1', runId: 'run_1', nodeId: 'pay', slot: 0 } as unknown as Holder;
const attempt = (counter: string): Holder => ({ ...place, ticketId: `tkt_${counter}` as TicketId, workerId: 'wrk_1' as WorkerId, counter });
const first = attempt('7');
const second = attempt('8');
const receipt: Outcome = { ok: true, output: { receipt: 1 } };

const effectIn = (state: EffectState, changes: Partial<Effect> = {}): Effect => ({
  ...place,
  ...{ id: 'eff_1' as Effect['id'], step: 'pay', tool: 'bank.pay', args: {}, argsSha256: 'x', hasProbe: false },
  state,
  dispatchCount: state === 'intended' ? 0 : 1,
  ...(state !== 'intended' && { dispatchedBy: { ticketId: first.ticketId, workerId: first.workerId, counter: first.counter } }),
  ...(state === 'confirmed' && { outcome: receipt, endedAtMs: 5 }),
  ...(state === 'unknown' && { reason: 'no answer' }),
  begunAtMs: 1,
  version: 3,
  ...changes,
});

const states: readonly EffectState[] = ['intended', 'dispatched', 'confirmed', 'unknown'];
const happened = { happened: true, output: { found: 1 }, by: 'anna' };
const absent = { happened: false, by: 'anna' };
const person = { isAtWork: false, atMs: 9 };

/** The state that a rule leads to, or the code with which it refuses. */
function ledTo(from: EffectState, rule: (effect: Effect) => Change): string {
  const effect = effectIn(from);
  try {
    return rule(effect)?.effect.state ?? `${effect.state}, unchanged`;
  } catch (error) {
    return HiveError.is(error) ? error.code : String(error);
  }
}

describe('an effect', () => {
  const rules: Readonly<Record<string, (effect: Effect) => Change>> = {
    'begun by the attempt that dispatched it': (effect) => begin(effect, first, 9).change,
    'begun by a later attempt': (effect) => begin(effect, second, 9).change,
    'finished by the attempt that dispatched it': (effect) => finish(effect, first, { outcome: receipt, atMs: 9 }),
    'finished by another attempt': (effect) => finish(effect, second, { outcome: receipt, atMs: 9 }),
    'doubted by the attempt that dispatched it': (effect) => doubt(effect, first, 'why'),
    'doubted by another attempt': (effect) => doubt(effect, second, 'why'),
    'found by a probe': (effect) => probe(effect, happened, 9),
    'not found by a probe': (effect) => probe(effect, absent, 9),
    'parked by the attempt that dispatched it': (effect) => park(effect, first),
    'parked by another attempt': (effect) => park(effect, second),
    'said by a person to have happened': (effect) => resolve(effect, happened, person),
    'said by a person not to have happened': (effect) => resolve(effect, absent, person),
  };
  const table: readonly (readonly [string, ...string[]])[] = [
    // when                                      intended      dispatched               confirmed               unknown
    ['begun by the attempt that dispatched it', 'dispatched', 'dispatched, unchanged', 'confirmed, unchanged', 'unknown, unchanged'],
    ['begun by a later attempt', 'dispatched', 'unknown', 'confirmed, unchanged', 'unknown, unchanged'],
    ['finished by the attempt that dispatched it', 'EFFECT_NOT_DISPATCHED', 'confirmed', 'confirmed, unchanged', 'confirmed'],
    ['finished by another attempt', ...states.map(() => 'EFFECT_NOT_DISPATCHED')],
    ['doubted by the attempt that dispatched it', 'EFFECT_NOT_DISPATCHED', 'unknown', 'confirmed, unchanged', 'unknown, unchanged'],
    ['doubted by another attempt', ...states.map(() => 'EFFECT_NOT_DISPATCHED')],
    ['found by a probe', 'confirmed', 'EFFECT_NOT_DISPATCHED', 'EFFECT_ALREADY_KNOWN', 'confirmed'],
    ['not found by a probe', 'intended, unchanged', 'EFFECT_NOT_DISPATCHED', 'EFFECT_ALREADY_KNOWN', 'intended'],
    ['parked by the attempt that dispatched it', 'intended', 'unknown', 'confirmed', 'unknown'],
    ['parked by another attempt', 'intended', 'EFFECT_NOT_DISPATCHED', 'confirmed', 'unknown'],
    ['said by a person to have happened', 'confirmed', 'confirmed', 'EFFECT_ALREADY_KNOWN', 'confirmed'],
    ['said by a person not to have happened', 'intended, unchanged', 'intended', 'EFFECT_ALREADY_KNOWN', 'intended'],
  ];
  it.each(table.flatMap(([when, ...expected]) => states.map((from, index) => [from, when, expected[index] ?? ''] as const)))(
    'that is %s and %s leads to: %s',
    (from, when, expected) => {
      expect(ledTo(from, rules[when] ?? expect.fail(when))).toBe(expected);
    },
  );

  it('tells whoever begins it what to do', () => {
    expect(begin(effectIn('intended'), second, 9).answer).toEqual({ state: 'dispatched', effectId: 'eff_1' });
    expect(begin(effectIn('dispatched'), first, 9).answer).toEqual({ state: 'dispatched', effectId: 'eff_1' });
    expect(begin(effectIn('confirmed'), second, 9).answer).toEqual({ state: 'confirmed', effectId: 'eff_1', outcome: receipt });
    expect(begin(effectIn('unknown'), second, 9).answer).toEqual({ state: 'unknown', effectId: 'eff_1', reason: 'no answer' });
    expect(begin(effectIn('dispatched'), second, 9).answer).toMatchObject({
      state: 'unknown',
      reason: expect.stringContaining('without saying'),
    });
  });

  it('remembers which attempt was told to make it, and how often', () => {
    const { change } = begin(effectIn('intended', { dispatchCount: 1, reason: 'before', awaitedBy: first.ticketId }), second, 9);
    expect(change?.effect).toMatchObject({ dispatchCount: 2, dispatchedAtMs: 9, dispatchedBy: { counter: '8' }, version: 4 });
    expect([change?.effect.reason, change?.effect.awaitedBy]).toEqual([undefined, undefined]);
  });

  it('that is being made cannot be resolved', () => {
    const refused = () => resolve(effectIn('dispatched'), absent, { isAtWork: true, atMs: 9 });
    expect(refused).toThrow(expect.objectContaining({ code: 'EFFECT_AT_WORK' }));
  });

  it('that is resolved keeps what it gave, who said so and why, and the same word again is no news', () => {
    const change = resolve(effectIn('unknown'), { ...happened, notes: 'seen' }, person);
    expect(change?.effect).toMatchObject({ outcome: { ok: true, output: { found: 1 } }, resolvedBy: 'anna', notes: 'seen', endedAtMs: 9 });
    const resolved = change?.effect ?? expect.fail();
    expect(resolve(resolved, happened, person)).toBeUndefined();
    for (const other of [absent, { ...happened, by: 'ben' }, { ...happened, output: 2 }])
      expect(() => resolve(resolved, other, person)).toThrow(expect.objectContaining({ code: 'EFFECT_ALREADY_KNOWN' }));
  });

  it('names what happened to it for the audit', () => {
    expect(begin(effectIn('intended'), first, 9).change?.deed).toBe('effect.dispatched');
    expect(doubt(effectIn('dispatched'), first, 'why')?.deed).toBe('effect.doubted');
    expect(finish(effectIn('dispatched'), first, { outcome: receipt, atMs: 9 })?.deed).toBe('effect.confirmed');
    expect(resolve(effectIn('unknown'), absent, person)?.deed).toBe('effect.denied');
    expect(park(effectIn('unknown'), first)).toMatchObject({ deed: 'effect.awaited', effect: { awaitedBy: first.ticketId } });
  });
});
