import type { RunCensus } from '../../flow/runs/index.ts';
import type { MemoryTables } from './memory-tables.ts';

/** {@link RunCensus} over the tables; nothing is ever stuck. */
export const memoryRunCensus = (tables: MemoryTables): RunCensus => ({
  counts: async (tenantId) => {
    const runs = [...tables.runs.values()].filter((run) => run.tenantId === tenantId);
    const byStatus: Record<string, number> = {};
    for (const { summary } of runs) byStatus[summary.status] = (byStatus[summary.status] ?? 0) + 1;
    return { accepted: runs.length, byStatus };
  },
  stuck: async () => [],
});
