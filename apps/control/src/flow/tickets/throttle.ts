import type { AgentSpec, BreakerSubject, TenantId } from '@hivekeeper/contract';

/**
 * What makes a ticket wait though a worker is free. `agent` and `key`: at most `limit` tickets with the key are leased at once;
 * `rate`: at most `limit` are leased at once, and one more per `windowMs / limit`; `breaker`: none while the breaker of the agent, or of what it depends on, is open.
 * Keys are a tenant's own.
 */
export type Throttle =
  | { readonly kind: 'agent' | 'key'; readonly key: string; readonly limit: number }
  | { readonly kind: 'rate'; readonly key: string; readonly limit: number; readonly windowMs: number }
  | { readonly kind: 'breaker'; readonly key: string };

/** What an agent's manifest says of how much of it is good. */
export type AgentThrottles = Pick<AgentSpec, 'concurrency' | 'rate' | 'breaker' | 'dependsOn'>;

/** A key with its tenant: no two tenants share one. */
export const fullKeyOf = (tenantId: TenantId, key: string): string => `${tenantId} ${key}`;

/** Whether a ticket with it takes a place as long as it is leased. */
export const isPlace = (throttle: Throttle): throttle is Extract<Throttle, { readonly kind: 'agent' | 'key' }> =>
  throttle.kind === 'agent' || throttle.kind === 'key';

const dependencyPrefix = 'dependency:';
const agentPrefix = 'breaker:';

/** The key of a breaker. */
export const breakerKey = ({ kind, name }: BreakerSubject): string => `${kind === 'agent' ? agentPrefix : dependencyPrefix}${name}`;

/** Whose breaker has the key. */
export const breakerSubject = (key: string): BreakerSubject =>
  key.startsWith(dependencyPrefix)
    ? { kind: 'dependency', name: key.slice(dependencyPrefix.length) }
    : { kind: 'agent', name: key.slice(agentPrefix.length) };

/** What every ticket of an agent is throttled by. Pure. */
export function agentThrottles(agent: string, { concurrency, rate, breaker, dependsOn }: AgentThrottles): readonly Throttle[] {
  const throttles: Throttle[] = [];
  if (concurrency !== undefined) throttles.push({ kind: 'agent', key: `agent:${agent}`, limit: concurrency.limit });
  if (rate !== undefined) throttles.push({ kind: 'rate', key: `rate:${agent}`, ...rate });
  if (breaker !== undefined) throttles.push({ kind: 'breaker', key: breakerKey({ kind: 'agent', name: agent }) });
  for (const name of Object.keys(dependsOn ?? {})) throttles.push({ kind: 'breaker', key: breakerKey({ kind: 'dependency', name }) });
  return throttles;
}

/** What a ticket is throttled by: its node's key first; undefined where nothing does. Pure. */
export function throttlesOf(
  spec: AgentThrottles | undefined,
  { agent, concurrency }: { readonly agent: string; readonly concurrency?: { readonly key: string; readonly limit: number } | undefined },
): readonly Throttle[] | undefined {
  if (spec === undefined && concurrency === undefined) return undefined;
  const own: Throttle[] = concurrency === undefined ? [] : [{ kind: 'key', key: `key:${concurrency.key}`, limit: concurrency.limit }];
  const all = [...own, ...agentThrottles(agent, spec ?? {})];
  return all.length === 0 ? undefined : all;
}
