import type { LinkStore } from '../../records/links/index.ts';
import type { MemoryTables } from './memory-tables.ts';

/** {@link LinkStore} over the tables. */
export const memoryLinkStore = (tables: MemoryTables): LinkStore => ({
  put: async (link) => {
    tables.links.set(link.id, link);
    tables.audit.push({ actor: link.createdBy, action: 'approval.link.made', object: link.approvalId });
  },
  find: async (id) => tables.links.get(id),
});
