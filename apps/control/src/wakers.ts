import type { EventId } from '@hivekeeper/contract';
import type { Clock, Log, NewId } from '@hivekeeper/kernel';
import { type Expressions, type RunLane, type RunConsequences, type RunOrders, Turns, type TurnStore } from './flow/runs/index.ts';
import { Events, EventStarts, type EventStore, ScheduleClock, type ScheduleStore, type Triggers } from './flow/triggers/index.ts';
import type { WorkflowRegistry } from './records/registry/index.ts';

// What a control plane that was killed left undone waits so long, at most, where another one lives.
const sweepIntervalMs = 10_000;

/** What {@link startWakers} needs. */
export interface WakersOptions {
  readonly stores: { readonly turnStore: TurnStore; readonly eventStore: EventStore; readonly scheduleStore: ScheduleStore };
  readonly lane: RunLane;
  readonly orders: RunOrders;
  readonly triggers: Triggers;
  readonly workflows: WorkflowRegistry;
  readonly evaluate: Expressions['evaluate'];
  readonly newId: NewId;
  readonly clock: Clock;
  readonly log: Log;
}

/** What begins runs and moves them on from outside: turns, events, schedules. */
export interface Wakers extends AsyncDisposable {
  readonly events: Events;
  /** A commit of a run is stored. */
  follow(consequences: RunConsequences): void;
  /** A schedule changed, here or elsewhere. */
  schedulesChanged(): void;
}

/** Starts them, with what other control planes or an earlier one left undone. */
export function startWakers({ stores, lane, orders, triggers, workflows, evaluate, newId, clock, log }: WakersOptions): Wakers {
  const turns = new Turns({ store: stores.turnStore, lane, log });
  const starts = new EventStarts({ workflows, triggers, evaluate, log });
  const events = new Events({ store: stores.eventStore, orders, starts, newId: () => newId('evt') as EventId, log });
  const scheduleClock = new ScheduleClock({ store: stores.scheduleStore, triggers, orders, clock, log });
  const sweep = () => {
    void turns.sweep();
    void events.sweep();
  };
  const timer = clock.every(sweepIntervalMs, sweep);
  sweep();
  return {
    events,
    follow: ({ tenantId, runId, awaited, turnKey }) => {
      events.notice(runId, awaited);
      if (turnKey !== undefined) turns.look({ tenantId, key: turnKey });
    },
    schedulesChanged: () => scheduleClock.notice(),
    [Symbol.asyncDispose]: async () => {
      timer.cancel();
      await Promise.all([turns, events, scheduleClock].map((waker) => waker[Symbol.asyncDispose]()));
    },
  };
}
