import {
  type AgentSpec,
  type BreakerRule,
  type BreakerSubject,
  HiveError,
  type ListedBreaker,
  type Outcome,
  type SetBreaker,
  type TenantId,
  type TicketId,
} from '@hivekeeper/contract';
import type { Log } from '@hivekeeper/kernel';
import { afterOrder, afterVerdict, type Breaker, breakerViewOf, judgedBy, newBreaker } from './breaker.ts';
import type { FindAgent } from './desk.ts';
import { breakerKey, fullKeyOf } from './throttle.ts';
import type { BreakerChange, ThrottleStore } from './ticket-store.ts';

/** An attempt that came to something. */
export interface Observation {
  readonly tenantId: TenantId;
  readonly agent: string;
  readonly ticketId: TicketId;
  readonly outcome: Outcome;
}

/** What {@link Breakers} needs. */
export interface BreakersOptions {
  readonly store: ThrottleStore;
  readonly findAgent: FindAgent;
  readonly log: Log;
  /** Told the key, with its tenant, of a breaker whose state is another now. */
  readonly changed: (fullKey: string) => void;
}

/**
 * Feeds the breakers of agents, and of what they depend on, with what was stored of their attempts. A crash between the two loses a verdict: one failure that
 * does not count, or a trial without an end, after which the next lease is a trial.
 */
export class Breakers {
  readonly #options: BreakersOptions;
  readonly #underWay = new Set<Promise<void>>();

  constructor(options: BreakersOptions) {
    this.#options = options;
  }

  /** Notes what an attempt says of its agent and of what that depends on; does nothing for agents without breaker. Nobody waits for it. */
  observe({ tenantId, agent, ticketId, outcome }: Observation): void {
    const spec = this.#options.findAgent(tenantId, agent);
    if (spec === undefined) return;
    for (const { subject, rule, failure } of judgedBy(outcome, agent, spec)) {
      const noting = this.#change({ tenantId, subject, by: 'platform' }, (breaker, atMs) =>
        afterVerdict(breaker, { trialId: ticketId, failure, atMs }, rule),
      )
        .catch((error: unknown) => this.#options.log.warn({ err: error, agent, ...subject }, 'what an attempt says could not be noted'))
        .finally(() => this.#underWay.delete(noting));
      this.#underWay.add(noting);
    }
  }

  /**
   * A person closes or opens a breaker. Idempotent.
   * @throws HiveError `NOT_FOUND` where none of the tenant's agents has it
   */
  async set(who: BreakerChange, order: SetBreaker, agents: readonly Registered[]): Promise<ListedBreaker> {
    const { tenantId, subject, by } = who;
    const find = async () => (await this.list(tenantId, agents)).find(({ kind, name }) => kind === subject.kind && name === subject.name);
    if ((await find()) === undefined) throw new HiveError('NOT_FOUND', `no agent has a breaker for the ${subject.kind} ${subject.name}`);
    await this.#change(who, (breaker, atMs) => afterOrder(breaker, order, { atMs, by }));
    return (await find()) as ListedBreaker;
  }

  /** Every breaker that these agents of the tenant have: their own, then those of what they depend on. */
  async list(tenantId: TenantId, agents: readonly Registered[]): Promise<readonly ListedBreaker[]> {
    const found = breakersOf(agents);
    if (found.size === 0) return [];
    const { nowMs, byKey } = await this.#options.store.breakers(tenantId);
    return [...found].map(([key, { subject, rule, agents: names }]) => ({
      ...subject,
      agents: names,
      ...breakerViewOf(byKey.get(key) ?? newBreaker, rule, nowMs),
    }));
  }

  async #change(who: BreakerChange, change: (breaker: Breaker, atMs: number) => Breaker): Promise<void> {
    const isOther = await this.#options.store.changeBreaker(who, change);
    if (isOther) this.#options.changed(fullKeyOf(who.tenantId, breakerKey(who.subject)));
  }

  /** Resolves when everything observed is noted. */
  async idle(): Promise<void> {
    await Promise.all(this.#underWay);
  }
}

/** An agent as it is registered. */
export interface Registered {
  readonly name: string;
  readonly spec: Pick<AgentSpec, 'breaker' | 'dependsOn'>;
}

interface FoundBreaker {
  readonly subject: BreakerSubject;
  /** The first agent's, of those that share it: it says which failures count still. */
  readonly rule: BreakerRule;
  readonly agents: string[];
}

/** The breakers that agents have, by key. */
function breakersOf(agents: readonly Registered[]): ReadonlyMap<string, FoundBreaker> {
  const found = new Map<string, FoundBreaker>();
  const add = (subject: BreakerSubject, rule: BreakerRule, agent: string) => {
    const known = found.get(breakerKey(subject));
    if (known === undefined) found.set(breakerKey(subject), { subject, rule, agents: [agent] });
    else known.agents.push(agent);
  };
  for (const { name, spec } of agents) if (spec.breaker !== undefined) add({ kind: 'agent', name }, spec.breaker, name);
  for (const { name: agent, spec } of agents)
    for (const [name, rule] of Object.entries(spec.dependsOn ?? {})) add({ kind: 'dependency', name }, rule, agent);
  return found;
}
