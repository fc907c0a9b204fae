import type { TenantId } from '@hivekeeper/contract';
import { type Breaker, breakerKey, newBreaker, type ThrottleStore } from '../../flow/tickets/index.ts';

/** {@link ThrottleStore} without throttles: only breakers, by the test's clock. */
export function memoryThrottleStore(nowMs: () => number): ThrottleStore {
  const byTenant = new Map<TenantId, Map<string, Breaker>>();
  return {
    throttledBy: async () => undefined,
    breakers: async (tenantId) => ({ nowMs: nowMs(), byKey: byTenant.get(tenantId) ?? new Map() }),
    changeBreaker: async ({ tenantId, subject }, change) => {
      const breakers = byTenant.get(tenantId) ?? new Map<string, Breaker>();
      const before = breakers.get(breakerKey(subject)) ?? newBreaker;
      const next = change(before, nowMs());
      byTenant.set(tenantId, breakers.set(breakerKey(subject), next));
      return next.state !== before.state;
    },
  };
}
