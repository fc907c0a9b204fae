import type { DeadTicketView, TenantId } from '@hivekeeper/contract';
import type { DeadTicketStore } from '../../records/dead-tickets/index.ts';
import type { MemoryTables } from './memory-tables.ts';

/** {@link DeadTicketStore} over the tables. */
export function memoryDeadTicketStore(tables: MemoryTables): DeadTicketStore {
  const of = (tenantId: TenantId) => [...tables.dead.values()].filter((dead) => dead.tenantId === tenantId);
  const viewOf = ({ tenantId: _, ...view }: DeadTicketView & { readonly tenantId: TenantId }): DeadTicketView => view;
  const resolve = (dead: DeadTicketView & { readonly tenantId: TenantId }, by: string, end: Partial<DeadTicketView>) => {
    tables.dead.set(dead.ticketId, { ...dead, resolvedBy: by, resolvedAtMs: tables.nowMs(), ...end });
    tables.audit.push({ actor: by, action: `ticket.${String(end.resolution).toLowerCase()}`, object: dead.ticketId });
  };
  return {
    list: async (tenantId, { state, workflow, before, limit }) =>
      of(tenantId)
        .filter(({ resolution }) => state === 'all' || (state === 'open') === (resolution === undefined))
        .filter((dead) => (workflow ?? dead.workflowName) === dead.workflowName && (before === undefined || dead.ticketId < before))
        .sort((a, b) => (a.ticketId < b.ticketId ? 1 : -1))
        .slice(0, limit)
        .map(viewOf),
    get: async (tenantId, ticketId) =>
      of(tenantId)
        .filter((dead) => dead.ticketId === ticketId)
        .map(viewOf)[0],
    markRedriven: async ({ tenantId, runId, redrivenRunId, by }) => {
      for (const dead of of(tenantId))
        if (dead.runId === runId && dead.resolution !== 'REDRIVEN') resolve(dead, by, { resolution: 'REDRIVEN', redrivenRunId });
    },
    markDiscarded: async ({ tenantId, ticketId, reason, by }) => {
      for (const dead of of(tenantId))
        if (dead.ticketId === ticketId && dead.resolution === undefined) resolve(dead, by, { resolution: 'DISCARDED', reason });
    },
  };
}
