import type { BreakerView, Outcome, TenantId, TicketId } from '@hivekeeper/contract';
import type { Log } from '@hivekeeper/kernel';
import { afterVerdict, breakerViewOf, healthIn, newBreaker } from './breaker.ts';
import type { FindAgent } from './desk.ts';
import { breakerKey, fullKeyOf } from './throttle.ts';
import type { ThrottleStore } from './ticket-store.ts';

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
 * Feeds the breakers of agents with what was stored of their attempts. A crash between the two loses a verdict: one failure that
 * does not count, or a trial without an end, after which the next lease is a trial.
 */
export class Breakers {
  readonly #options: BreakersOptions;
  readonly #underWay = new Set<Promise<void>>();

  constructor(options: BreakersOptions) {
    this.#options = options;
  }

  /** Notes what an attempt says of its agent; does nothing for agents without breaker. Nobody waits for it. */
  observe({ tenantId, agent, ticketId, outcome }: Observation): void {
    const rule = this.#options.findAgent(tenantId, agent)?.breaker;
    const health = rule === undefined ? undefined : healthIn(outcome);
    if (rule === undefined || health === undefined) return;
    const { store, changed, log } = this.#options;
    const noting = store
      .changeBreaker(tenantId, agent, (breaker, atMs) => afterVerdict(breaker, { ticketId, isFailure: health === 'failing', atMs }, rule))
      .then((isOther) => {
        if (isOther) changed(fullKeyOf(tenantId, breakerKey(agent)));
      })
      .catch((error: unknown) => log.warn({ err: error, agent }, 'what an attempt says of its agent could not be noted'))
      .finally(() => this.#underWay.delete(noting));
    this.#underWay.add(noting);
  }

  /** Where the breakers of a tenant's agents stand, by agent; one is missing where the agent has none. */
  async views(tenantId: TenantId, agents: readonly string[]): Promise<ReadonlyMap<string, BreakerView>> {
    const { store, findAgent } = this.#options;
    const rules = agents.flatMap((agent) => {
      const rule = findAgent(tenantId, agent)?.breaker;
      return rule === undefined ? [] : [{ agent, rule }];
    });
    if (rules.length === 0) return new Map();
    const { nowMs, byAgent } = await store.breakers(tenantId);
    return new Map(rules.map(({ agent, rule }) => [agent, breakerViewOf(byAgent.get(agent) ?? newBreaker, rule, nowMs)]));
  }

  /** Resolves when everything observed is noted. */
  async idle(): Promise<void> {
    await Promise.all(this.#underWay);
  }
}
