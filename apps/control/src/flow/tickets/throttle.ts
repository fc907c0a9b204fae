import type { AgentSpec, BreakerSubject, BudgetScope, RunId, TenantId } from '@hivekeeper/contract';

/**
 * What makes a ticket wait though a worker is free. `agent` and `key`: at most `limit` tickets with the key are leased at once;
 * `rate`: at most `limit` are leased at once, and one more per `windowMs / limit`; `breaker`: none while the breaker of the agent, or of what it depends on, is open; `budget`: none that may cost more than what is left.
 * Keys are a tenant's own.
 */
export type Throttle =
  | { readonly kind: 'agent' | 'key'; readonly key: string; readonly limit: number }
  | { readonly kind: 'rate'; readonly key: string; readonly limit: number; readonly windowMs: number }
  | { readonly kind: 'breaker'; readonly key: string }
  | BudgetThrottle;

/** The most an attempt may cost must be left in each budget of `scope` that it counts in. */
interface BudgetThrottle {
  readonly kind: 'budget';
  readonly key: string;
  readonly scope: BudgetScope;
  readonly maxMicroUsd: number;
}

/** What an agent's manifest says of how much of it is good. */
export type AgentThrottles = Pick<AgentSpec, 'concurrency' | 'rate' | 'breaker' | 'dependsOn' | 'maxCostMicroUsd'>;

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

/** What every ticket of an agent is throttled by. */
function agentThrottles(agent: string, { concurrency, rate, breaker, dependsOn }: AgentThrottles): readonly Throttle[] {
  const throttles: Throttle[] = [];
  if (concurrency !== undefined) throttles.push({ kind: 'agent', key: `agent:${agent}`, limit: concurrency.limit });
  if (rate !== undefined) throttles.push({ kind: 'rate', key: `rate:${agent}`, ...rate });
  if (breaker !== undefined) throttles.push({ kind: 'breaker', key: breakerKey({ kind: 'agent', name: agent }) });
  for (const name of Object.keys(dependsOn ?? {})) throttles.push({ kind: 'breaker', key: breakerKey({ kind: 'dependency', name }) });
  return throttles;
}

/** A ticket, as far as it says what throttles it. */
export interface ThrottledWork {
  readonly runId: RunId;
  readonly workflow: string;
  readonly agent: string;
  readonly concurrency?: { readonly key: string; readonly limit: number } | undefined;
}

/** What a ticket is throttled by: its node's key first, budgets last, so that they serve what could start; undefined where nothing does. Pure. */
export function throttlesOf(spec: AgentThrottles | undefined, work: ThrottledWork): readonly Throttle[] | undefined {
  const { agent, concurrency } = work;
  if (spec === undefined && concurrency === undefined) return undefined;
  const own: Throttle[] =
    concurrency === undefined ? [] : [{ kind: 'key', key: `${ownPrefix}${concurrency.key}`, limit: concurrency.limit }];
  const all = [...own, ...agentThrottles(agent, spec ?? {}), ...budgetThrottles(spec?.maxCostMicroUsd, work)];
  return all.length === 0 ? undefined : all;
}

const ownPrefix = 'key:';

/** What the node's concurrency key was resolved to. */
export const ownKeyIn = ({ key }: Extract<Throttle, { readonly kind: 'agent' | 'key' }>): string => key.slice(ownPrefix.length);

/** A ticket that may cost something needs room in every budget that it counts in. The tenant's comes first: it takes the reservation. */
function budgetThrottles(maxMicroUsd: number | undefined, { runId, workflow, agent }: ThrottledWork): readonly Throttle[] {
  if (maxMicroUsd === undefined) return [];
  const of = (scope: BudgetScope, name: string): Throttle => ({ kind: 'budget', key: `budget:${scope}:${name}`, scope, maxMicroUsd });
  return [of('tenant', ''), of('workflow', workflow), of('agent', agent), of('run', runId)];
}

/** Whether the end of a ticket may make room under the key for another. */
export const isFreedByEnd = (throttle: Throttle): boolean => isPlace(throttle) || throttle.kind === 'budget';
