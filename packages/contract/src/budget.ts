import { z } from 'zod';

// Safe integers: 9 × 10^15 micro-dollars are nine billion dollars, and JSON has no larger exact ones.
/** Money in millionths of a US dollar. */
export const microUsdSchema = z.int().min(0);

/** Whose spending a budget caps. */
export const budgetScopeSchema = z.enum(['tenant', 'workflow', 'agent', 'run', 'key']);
/** Days and months are UTC, by the database's clock; `total` never turns. */
export const budgetPeriodSchema = z.enum(['day', 'month', 'total']);

/** Body of `PUT /v1/budgets`: one budget per scope, name and period. */
export const setBudgetSchema = z
  .strictObject({
    scope: budgetScopeSchema,
    name: z
      .string()
      .regex(/^[\w.:@/ -]{0,200}$/)
      .default('')
      .describe('Of the workflow, agent, run or key; empty for the tenant'),
    period: budgetPeriodSchema,
    capMicroUsd: microUsdSchema,
  })
  .refine(({ scope, name }) => (scope === 'tenant') === (name === ''), {
    path: ['name'],
    message: 'the tenant has no name here, and everything else has one',
  });

/** A budget and where it stands. */
export const budgetSchema = z.object({
  id: z.string(),
  scope: budgetScopeSchema,
  name: z.string(),
  period: budgetPeriodSchema,
  capMicroUsd: microUsdSchema,
  reservedMicroUsd: microUsdSchema.describe('Set aside for what is under way'),
  settledMicroUsd: microUsdSchema.describe('Spent in this window'),
  leftMicroUsd: microUsdSchema,
  burnMicroUsdPerHour: microUsdSchema.describe('Mean of this window'),
  exhaustedAtMs: z.int().optional().describe('When nothing is left if it goes on like this; absent where the window turns first'),
  turnsAtMs: z.int().optional().describe('When the window turns'),
});

/** {@link setBudgetSchema} */
export type SetBudget = z.infer<typeof setBudgetSchema>;
/** {@link budgetSchema} */
export type BudgetView = z.infer<typeof budgetSchema>;
/** {@link budgetScopeSchema} */
export type BudgetScope = z.infer<typeof budgetScopeSchema>;
