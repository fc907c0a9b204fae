/** Budgets: what is left of them, and until when. Pure. */
export { type BudgetFacts, standingOf } from './standing.ts';
