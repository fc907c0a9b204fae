/**
 * Money: set aside before it is spent, accounted for after it.
 *
 * money.ts  reservations, many in one commit · budget-store.ts  the port to the database
 */
export type { BudgetRow, BudgetStore, Reserve, Settle, Spender } from './budget-store.ts';
export { Money, type MoneyOptions } from './money.ts';
