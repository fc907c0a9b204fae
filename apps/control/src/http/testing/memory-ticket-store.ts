import type { TicketStore } from '../../flow/tickets/index.ts';
import type { MemoryTables } from './memory-tables.ts';

/** {@link TicketStore} over the tables. */
export function memoryTicketStore(tables: MemoryTables): TicketStore {
  const all = () => [...tables.tickets.values()];
  return {
    renew: async (worker, tickets) => {
      const renewed = tickets.filter(({ ticketId, token, progress }) => {
        const ticket = tables.tickets.get(ticketId);
        if (ticket?.token !== token || ticket.workerId !== worker) return false;
        tables.tickets.set(ticketId, { ...ticket, progress: progress ?? ticket.progress });
        return true;
      });
      return new Set(renewed.map(({ ticketId }) => ticketId));
    },
    release: async (worker, tickets) =>
      tickets.flatMap(({ ticketId, token }) => {
        const ticket = tables.tickets.get(ticketId);
        if (ticket === undefined || ticket.token !== token || ticket.workerId !== worker) return [];
        const free = { ...ticket, workerId: undefined, token: '' };
        tables.tickets.set(ticketId, free);
        return [free];
      }),
    expired: async () => [],
    ready: async () => all().filter(({ workerId, isHeld }) => workerId === undefined && !isHeld),
    heldBy: async (worker) => all().filter(({ workerId }) => workerId === worker),
    ofRun: async (run) =>
      all()
        .filter(({ runId }) => runId === run)
        .map(({ ticketId, requirement, workerId, leasedAtMs }) => ({
          ticketId,
          requirement,
          workerId,
          leasedAtMs: workerId === undefined ? undefined : leasedAtMs,
        })),
    progressOf: async (runIds) =>
      all().flatMap(({ ticketId, runId, workerId, progress }) =>
        workerId === undefined || progress === undefined || !runIds.includes(runId) ? [] : [{ ticketId, progress }],
      ),
    counts: async () => ({
      ready: all().filter(({ workerId }) => workerId === undefined).length,
      leased: all().filter(({ workerId }) => workerId !== undefined).length,
    }),
  };
}
