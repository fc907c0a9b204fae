/**
 * Triggers: whatever starts a run comes through here.
 *
 * triggers.ts  once per key, one-at-a-time.ts  also where calls come together · rerun.ts  what a run that goes on from another one is (pure)
 * bulk.ts      orders for many runs at once · dead-letters.ts  what becomes of tickets that failed for good
 */
export { type BulkCall, BulkOrders } from './bulk.ts';
export { DeadLetters, type DeadOrder } from './dead-letters.ts';
export type { Rerun } from './rerun.ts';
export { type Idempotency, type RerunTrigger, type Trigger, type Triggered, Triggers } from './triggers.ts';
