import type { InstanceId, WorkerId } from '@hivekeeper/contract';
import type { Clock, Log, NewId } from '@hivekeeper/kernel';
import type { TicketDesk } from './flow/tickets/index.ts';
import { Attention, Instances, InstanceWatch, type InstanceStore, Presence, Watchfulness } from './records/instances/index.ts';

// The watchful round, and what timers are late by on a machine at rest.
const mostAttentionMs = 300;

/** Who is registered as running, and what keeps that true. */
export interface Fleet {
  readonly instances: Instances;
  readonly watchfulness: Watchfulness;
}

/**
 * Begins to watch instances, none of which are read yet: they must be before a worker may ask, for who is cordoned gets nothing. The
 * desk is asked when it is there.
 */
export function openFleet(options: {
  readonly store: InstanceStore;
  readonly desk: () => TicketDesk;
  readonly newId: NewId;
  readonly clock: Clock;
  readonly log: Log;
}): Fleet {
  const { store, desk, newId, clock, log } = options;
  const attention = new Attention(clock, mostAttentionMs);
  const presence = new Presence(attention);
  const instances = new Instances({
    store,
    presence,
    watch: new InstanceWatch(),
    clock,
    newId: () => newId('ins') as InstanceId,
    dutyChanged: (id) => desk().dutyChanged(id as WorkerId),
  });
  return {
    instances,
    watchfulness: new Watchfulness({
      ...{ instances, presence, attention, store, clock, log },
      workers: () => desk().workers(),
      planeId: newId('ins'),
    }),
  };
}
