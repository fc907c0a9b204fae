import { HiveError } from '@hivekeeper/contract';
import type { ScheduleStore } from '../../flow/triggers/index.ts';
import type { MemoryTables } from './memory-tables.ts';

/** What people do with schedules, over the tables; nothing is ever due. */
export function memoryScheduleStore({ schedules, workflows, nowMs }: MemoryTables): ScheduleStore {
  const nameOf = (workflowId: string) => workflows.get(workflowId)?.head.name ?? '';
  const change = (id: string, changes: object) => {
    const schedule = schedules.get(id);
    if (schedule !== undefined) schedules.set(id, { ...schedule, ...changes, updatedAtMs: nowMs() });
  };
  return {
    list: async (tenantId, { workflowId }) =>
      [...schedules.values()].filter(
        (schedule) => schedule.tenantId === tenantId && (workflowId ?? schedule.workflowId) === schedule.workflowId,
      ),
    find: async (tenantId, name) => [...schedules.values()].find((schedule) => schedule.tenantId === tenantId && schedule.name === name),
    add: async ({ by: _, ...schedule }) => {
      const twin = [...schedules.values()].find(({ tenantId, name }) => tenantId === schedule.tenantId && name === schedule.name);
      if (twin !== undefined) throw new HiveError('ALREADY_EXISTS');
      const times = { dealtUntilMs: nowMs(), createdAtMs: nowMs(), updatedAtMs: nowMs() };
      schedules.set(schedule.id, { ...schedule, ...times, workflowName: nameOf(schedule.workflowId), isDeclared: false });
    },
    change: async ({ id, rule, context }) => change(id, { rule, context, dealtUntilMs: nowMs() }),
    pause: async ({ id, by, reason }) => change(id, { pause: { by, atMs: nowMs(), reason } }),
    resume: async ({ id }) => change(id, { pause: undefined, dealtUntilMs: nowMs() }),
    remove: async ({ id }) => void schedules.delete(id),
    firings: async () => [],
    due: async () => ({ schedules: [], nowMs: nowMs() }),
    arm: async () => undefined,
    decide: async () => undefined,
    finish: async () => undefined,
    unfinished: async () => [],
  };
}
