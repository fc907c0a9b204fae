/**
 * Effects: what agents do to the world outside, and what came of it; and the recorded steps of their code.
 *
 * effect.ts        where an effect stands, and what may follow what (pure) · canonical.ts  when arguments are the same
 * view.ts          an effect as people see it (pure)
 * ledger.ts        the calls of workers and people
 * effect-store.ts  the port to the database
 */
export type { Change, Effect, Finding, Holder } from './effect.ts';
export type { AwaitedEffect, Claim, EffectFilter, EffectStore, Found, StepRecord, Target } from './effect-store.ts';
export { EffectLedger } from './ledger.ts';
export { viewOf } from './view.ts';
