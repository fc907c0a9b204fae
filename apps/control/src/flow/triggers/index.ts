/**
 * Triggers: whatever starts a run, or moves one on from outside, comes through here.
 *
 * triggers.ts  once per key, one-at-a-time.ts  also where calls come together · rerun.ts  what a run that goes on from another one is (pure)
 * bulk.ts      orders for many runs at once · dead-letters.ts  what becomes of tickets that failed for good
 * digest.ts    whether two say the same
 * schedules/   instants.ts  cron and time zones, policy.ts  what is due, what is let go, what stands in the way (both pure)
 *              schedules.ts  what people do with schedules · schedule-clock.ts  serves them · schedule-store.ts  the port
 * events/      events.ts  brings published events to runs that wait · starts.ts  and starts runs by them, pattern.ts  which ones
 *              cloud-event.ts  what a CloudEvent publishes · event-store.ts  the port
 */
export { type BulkCall, BulkOrders } from './bulk.ts';
export { DeadLetters, type DeadOrder } from './dead-letters.ts';
export type { Rerun } from './rerun.ts';
export { type Idempotency, type RerunTrigger, type Trigger, type Triggered, Triggers } from './triggers.ts';
export { declaredIssuesOf } from './schedules/instants.ts';
export { ScheduleClock } from './schedules/schedule-clock.ts';
export { Schedules } from './schedules/schedules.ts';
export type { Firing, FiringEnd, Former, ScheduleChange, ScheduleStore, StoredSchedule, Verdict } from './schedules/schedule-store.ts';
export { publicationOf } from './events/cloud-event.ts';
export { EventStarts, eventIssuesOf } from './events/starts.ts';
export { type Publication, Events } from './events/events.ts';
export type { EventStore, EventWait, NewEvent, StoredEvent } from './events/event-store.ts';
