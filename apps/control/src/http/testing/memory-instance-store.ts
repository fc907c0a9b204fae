import type { InstanceStore, StoredInstance } from '../../records/instances/index.ts';
import type { MemoryTables } from './memory-tables.ts';

/** Instances over the tables; there is no other control plane. */
export function memoryInstanceStore({ instances, nowMs }: MemoryTables): InstanceStore {
  const put = (instance: StoredInstance): StoredInstance => {
    instances.set(instance.id, instance);
    return instance;
  };
  return {
    all: async () => [...instances.values()],
    some: async (ids) => ids.flatMap((id) => instances.get(id) ?? []),
    register: async ({ tenantId, id, kind, description, telemetry }) => {
      const isTwin = (other: StoredInstance) =>
        other.tenantId === tenantId &&
        other.kind === kind &&
        (kind === 'worker'
          ? other.id === id
          : other.description.name === description.name && other.description.namespace === description.namespace);
      const twin = [...instances.values()].find(isTwin);
      const times = { registeredAtMs: nowMs(), lastSeenAtMs: nowMs(), health: 'healthy' } as const;
      const said = { tenantId, kind, description, telemetry, ...times };
      if (twin === undefined) return put({ id, ...said, registrationCount: 1, duty: 'active' });
      const duty = twin.duty === 'draining' ? 'active' : twin.duty;
      return put({ ...twin, ...said, duty, registrationCount: twin.registrationCount + 1 });
    },
    setDuty: async ({ tenantId, id, duty, by, reason }) => {
      const instance = instances.get(id);
      if (instance?.tenantId !== tenantId) return undefined;
      return put({ ...instance, duty, order: { by, atMs: nowMs(), ...(reason !== undefined && { reason }) } });
    },
    remove: async (_tenantId, id) => instances.delete(id),
    mark: async (marks) => {
      for (const { id, ...mark } of marks) {
        const instance = instances.get(id);
        if (instance !== undefined) put({ ...instance, ...mark });
      }
    },
    tellRound: async () => undefined,
    rounds: async () => [],
  };
}
