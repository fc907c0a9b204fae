import type { BudgetView } from '@hivekeeper/contract';

/** What is stored of a budget. */
export type BudgetFacts = Pick<BudgetView, 'id' | 'scope' | 'name' | 'period' | 'capMicroUsd' | 'reservedMicroUsd' | 'settledMicroUsd'> & {
  readonly createdAtMs: number;
  readonly windowStartMs: number;
};

const hourMs = 3_600_000;

/** Where a budget stands. A window that is over counts as turned: what was settled in it is no longer spent, what is reserved still is. */
export function standingOf({ createdAtMs, windowStartMs, ...budget }: BudgetFacts, nowMs: number): BudgetView {
  const startMs = windowOf(budget.period, nowMs);
  const settledMicroUsd = windowStartMs < startMs ? 0 : budget.settledMicroUsd;
  const leftMicroUsd = Math.max(0, budget.capMicroUsd - settledMicroUsd - budget.reservedMicroUsd);
  const elapsedMs = Math.max(1, nowMs - Math.max(startMs, createdAtMs));
  const turnsAtMs = windowAfter(budget.period, nowMs);
  const exhaustedAtMs = settledMicroUsd === 0 ? undefined : Math.ceil(nowMs + (leftMicroUsd * elapsedMs) / settledMicroUsd);
  const isReached = exhaustedAtMs !== undefined && exhaustedAtMs < (turnsAtMs ?? Number.MAX_SAFE_INTEGER);
  return {
    ...budget,
    settledMicroUsd,
    leftMicroUsd,
    burnMicroUsdPerHour: Math.min(Number.MAX_SAFE_INTEGER, Math.round((settledMicroUsd * hourMs) / elapsedMs)),
    ...(isReached && { exhaustedAtMs }),
    ...(turnsAtMs !== undefined && { turnsAtMs }),
  };
}

function windowOf(period: BudgetFacts['period'], nowMs: number): number {
  if (period === 'total') return 0;
  const now = new Date(nowMs);
  return Date.UTC(now.getUTCFullYear(), now.getUTCMonth(), period === 'day' ? now.getUTCDate() : 1);
}

function windowAfter(period: BudgetFacts['period'], nowMs: number): number | undefined {
  if (period === 'total') return undefined;
  const now = new Date(nowMs);
  const [year, month, day] = [now.getUTCFullYear(), now.getUTCMonth(), now.getUTCDate()];
  return period === 'day' ? Date.UTC(year, month, day + 1) : Date.UTC(year, month + 1, 1);
}
