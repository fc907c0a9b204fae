import type { TenantId } from '@hivekeeper/contract';

/** What a tenant had, in tickets divided by its weight. */
export interface Account {
  readonly weight: number;
  /** Virtual time at which what it had is used up. */
  finish: number;
}

/**
 * Start-time fair queueing: whoever has had least, by weight, is next. Who had nothing to do begins where the others are: it
 * is not repaid for that, and not punished for what it had before.
 */
export class FairShare {
  readonly #accounts = new Map<TenantId, Account>();
  readonly #weightOf: (tenantId: TenantId) => number;
  #virtualTime = 0;

  constructor(weightOf: (tenantId: TenantId) => number) {
    this.#weightOf = weightOf;
  }

  accountOf(tenantId: TenantId): Account {
    const known = this.#accounts.get(tenantId);
    if (known !== undefined) return known;
    const account = { weight: this.#weightOf(tenantId), finish: this.#virtualTime };
    this.#accounts.set(tenantId, account);
    return account;
  }

  /** When the tenant's next ticket begins, in virtual time: the smallest is next. */
  startOf(account: Account): number {
    return Math.max(account.finish, this.#virtualTime);
  }

  /** The tenant gets a ticket. */
  charge(account: Account): void {
    this.#virtualTime = this.startOf(account);
    account.finish = this.#virtualTime + 1 / account.weight;
  }
}
