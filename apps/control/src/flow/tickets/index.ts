/**
 * Tickets: who may do what, until when. Issued by runs, leased to workers with a fencing token, renewed, settled once.
 *
 * scheduler.ts     which worker takes which ticket (in memory, no I/O) · fair-share.ts  whose turn it is, of tenants
 * throttle.ts      what makes a ticket wait though a worker is free · gates.ts  where it waits
 * breaker.ts       the breaker of an agent or a dependency, pure · breakers.ts  feeding and listing them
 * queues.ts        whether tickets move, by what they require
 * desk.ts          handing out, renewing, releasing, expiry · seats.ts  who is connected, who holds what
 * mailbox.ts       a worker's end of the line over long polls
 * ticket-store.ts  the port to the database
 */
export { type DeskListener, type DeskOptions, type FindAgent, TicketDesk } from './desk.ts';
export type { QueueView } from './queues.ts';
export { Mailbox } from './mailbox.ts';
export { type Assignment, type ReadyTicket, rankMsOf, rankShiftMs, Scheduler } from './scheduler.ts';
export { afterVerdict, type Breaker, newBreaker } from './breaker.ts';
export { Breakers, type Observation } from './breakers.ts';
export { breakerKey, breakerSubject, ownKeyIn, type Throttle, throttlesOf } from './throttle.ts';
export type {
  BreakerChange,
  IssuedTicket,
  Lease,
  LeaseAnswers,
  LeaseRefusal,
  LiveTicket,
  ThrottleStore,
  TicketProgress,
  TicketStore,
  WorkerLink,
} from './ticket-store.ts';
