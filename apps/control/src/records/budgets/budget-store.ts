import type { BudgetView, SetBudget, TenantId } from '@hivekeeper/contract';

/** Who is about to spend. */
export interface Spender {
  readonly tenantId: TenantId;
  /** Subject of the key that is used. */
  readonly subject: string;
  readonly runId?: string | undefined;
}

/** Money to set aside. An id that is known already takes nothing again. */
export interface Reserve {
  readonly id: string;
  readonly spender: Spender;
  readonly mostMicroUsd: number;
}

/** What a reservation came to. */
export interface Settle {
  readonly id: string;
  readonly spentMicroUsd: number;
}

/** A budget as it is stored. */
export type BudgetRow = Pick<BudgetView, 'id' | 'scope' | 'name' | 'period' | 'capMicroUsd' | 'reservedMicroUsd' | 'settledMicroUsd'> & {
  readonly createdAtMs: number;
  readonly windowStartMs: number;
};

/** Where budgets and reservations are kept. */
export interface BudgetStore {
  /** Takes each at all its budgets or at none; answers, per call, the budget that refused. */
  reserve(calls: readonly Reserve[], expiresMs: number): Promise<readonly (BudgetRow | undefined)[]>;
  /** Ends reservations; those that are gone change nothing. */
  settle(calls: readonly Settle[]): Promise<void>;
  /** Charges the whole of reservations that expired: what may have been spent counts as spent. */
  expire(): Promise<void>;
  /** Tells budgets what attempts cost that are over: their tickets' end noted it. */
  settleAttempts(): Promise<void>;
  list(tenantId: TenantId): Promise<readonly BudgetRow[]>;
  /** Creates it or changes its cap; audited where that changes something. */
  set(which: { readonly tenantId: TenantId; readonly by: string; readonly newId: string }, budget: SetBudget): Promise<BudgetRow>;
  /** Undefined where there is none. */
  remove(which: { readonly tenantId: TenantId; readonly by: string; readonly id: string }): Promise<BudgetRow | undefined>;
}
