import { HiveError, type SetBudget, type TenantId } from '@hivekeeper/contract';
import { Batches, type Clock, type Log, type Timer } from '@hivekeeper/kernel';
import type { BudgetRow, BudgetStore, Reserve, Settle, Spender } from './budget-store.ts';

/** What {@link Money} needs. */
export interface MoneyOptions {
  readonly store: BudgetStore;
  readonly newId: (prefix: 'bud' | 'rsv') => string;
  readonly clock: Clock;
  readonly log: Log;
}

interface ReserveCall extends Reserve {
  refusedBy?: BudgetRow | undefined;
}

const isEverybodys = (error: unknown): boolean => HiveError.is(error) && error.code === 'DATABASE_UNAVAILABLE';
/** Longer than any call of a model takes. */
const expiresMs = 3_600_000;
const expireEveryMs = 60_000;
const settleEveryMs = 1_000;

/** Sets money aside and accounts for it. Amounts are micro-dollars in safe integers. */
export class Money implements Disposable {
  readonly #options: MoneyOptions;
  readonly #reserves: Batches<ReserveCall>;
  readonly #settles: Batches<Settle>;
  readonly #timers: readonly Timer[];

  constructor(options: MoneyOptions) {
    const { store, clock, log } = options;
    this.#options = options;
    this.#reserves = new Batches({ send: (calls) => this.#reserve(calls), laneOf: ({ id }) => id, isEverybodys });
    this.#settles = new Batches({ send: (calls) => store.settle(calls), laneOf: ({ id }) => id, isEverybodys });
    const later = (what: string) => (err: unknown) => log.warn({ err }, `${what} could not be charged; it is later`);
    this.#timers = [
      clock.every(expireEveryMs, () => void store.expire().catch(later('what expired'))),
      clock.every(settleEveryMs, () => void store.settleAttempts().catch(later('what attempts cost'))),
    ];
  }

  /** Sets aside what may be spent at most, at every budget of the spender. @throws HiveError BUDGET_EXHAUSTED, DATABASE_UNAVAILABLE */
  async reserve(mostMicroUsd: number, spender: Spender): Promise<{ settle(spentMicroUsd: number): void; release(): void }> {
    const call: ReserveCall = { id: this.#options.newId('rsv'), mostMicroUsd, spender };
    await this.#reserves.submit(call);
    if (call.refusedBy !== undefined) throw new HiveError('BUDGET_EXHAUSTED', refusal(call.refusedBy, mostMicroUsd));
    const settle = (spentMicroUsd: number) => void this.#settle({ id: call.id, spentMicroUsd });
    return { settle, release: () => settle(0) };
  }

  list(tenantId: TenantId): Promise<readonly BudgetRow[]> {
    return this.#options.store.list(tenantId);
  }

  /** Creates a budget or changes its cap. */
  set(who: { readonly tenantId: TenantId; readonly by: string }, budget: SetBudget): Promise<BudgetRow> {
    return this.#options.store.set({ ...who, newId: this.#options.newId('bud') }, budget);
  }

  /** @throws HiveError NOT_FOUND */
  async remove(which: { readonly tenantId: TenantId; readonly by: string; readonly id: string }): Promise<BudgetRow> {
    const removed = await this.#options.store.remove(which);
    if (removed === undefined) throw new HiveError('NOT_FOUND', `there is no budget ${which.id}`);
    return removed;
  }

  [Symbol.dispose](): void {
    for (const timer of this.#timers) timer.cancel();
  }

  async #reserve(calls: readonly ReserveCall[]): Promise<void> {
    const refusals = await this.#options.store.reserve(calls, expiresMs);
    for (const [index, call] of calls.entries()) call.refusedBy = refusals[index];
  }

  async #settle(call: Settle): Promise<void> {
    await this.#settles.submit(call).catch((err: unknown) => {
      this.#options.log.warn({ err, reservation: call.id }, 'a reservation was not settled: all of it is charged when it expires');
    });
  }
}

function refusal({ scope, name, period, capMicroUsd, reservedMicroUsd, settledMicroUsd }: BudgetRow, mostMicroUsd: number): string {
  const left = Math.max(0, capMicroUsd - reservedMicroUsd - settledMicroUsd);
  const which = `the budget ${scope}${name === '' ? '' : ` ${name}`} (${period})`;
  return `${which} has ${left} of ${capMicroUsd} micro-dollars left, and this may need ${mostMicroUsd}; an admin key raises it: PUT /v1/budgets`;
}
