import { describe, expect, it } from 'vitest';
import { type BudgetFacts, standingOf } from './standing.ts';

const noon = Date.UTC(2026, 0, 31, 12);
const midnight = Date.UTC(2026, 0, 31);
const facts = (more: Partial<BudgetFacts> = {}): BudgetFacts => ({
  ...{ id: 'bud_1', scope: 'tenant', name: '', period: 'day', capMicroUsd: 1_000, reservedMicroUsd: 100, settledMicroUsd: 600 },
  ...{ createdAtMs: 0, windowStartMs: midnight },
  ...more,
});

describe('a budget', () => {
  it('has left what is neither settled nor reserved, and is exhausted when its burn rate says so', () => {
    const hourMs = 3_600_000;
    expect(standingOf(facts(), noon)).toMatchObject({ leftMicroUsd: 300, burnMicroUsdPerHour: 50, exhaustedAtMs: noon + 6 * hourMs });
  });

  it('has no forecast where its window turns first, or nothing was spent', () => {
    expect(standingOf(facts({ capMicroUsd: 10_000 }), noon).exhaustedAtMs).toBeUndefined();
    expect(standingOf(facts({ settledMicroUsd: 0 }), noon).exhaustedAtMs).toBeUndefined();
  });

  it('forgets what was settled when the window turns, and never what is reserved', () => {
    const next = standingOf(facts(), Date.UTC(2026, 1, 1));
    expect(next).toMatchObject({ settledMicroUsd: 0, leftMicroUsd: 900, turnsAtMs: Date.UTC(2026, 1, 2) });
    const month = facts({ period: 'month', windowStartMs: Date.UTC(2026, 0, 1) });
    expect(standingOf(month, noon)).toMatchObject({ settledMicroUsd: 600, turnsAtMs: Date.UTC(2026, 1, 1) });
    expect(standingOf(facts({ period: 'total', windowStartMs: 0 }), noon)).not.toHaveProperty('turnsAtMs');
  });

  it('that was lowered below what is spent has nothing left, and not less', () => {
    expect(standingOf(facts({ capMicroUsd: 5 }), noon).leftMicroUsd).toBe(0);
  });
});
