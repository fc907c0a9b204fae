/** Tickets that failed for good, with their evidence. `dead-ticket-store.ts` is the port. */
export type { DeadTicketFilter, DeadTicketStore } from './dead-ticket-store.ts';
