import { describe, expect, it } from 'vitest';
import { controlPlane, hive } from './testing.ts';

describe('costs', () => {
  const cost = { callCount: 3, inputTokens: 1200, outputTokens: 340, costMicroUsd: 1_500_001, estimatedCount: 1, unpricedCount: 0 };

  it('of models are listed, with their sum', async () => {
    const costs = [
      { key: 'mini', ...cost },
      { key: '', ...cost, costMicroUsd: 0, estimatedCount: 0, unpricedCount: 3 },
    ];
    await using control = await controlPlane({ 'GET /v1/model-costs': { body: costs } });
    const { screen } = await hive(['costs', '--days', '7', '--url', control.url]);
    expect(control.seen[0]?.url).toBe('/v1/model-costs?by=model&days=7');
    expect(screen).toBe(`MODEL  CALLS  INPUT  OUTPUT  USD       OF THESE
mini   3      1200   340     1.500001  1 estimated
-      3      1200   340     0.000000  3 without a price
all    6      2400   680     1.500001

Next: hive costs --by run
`);
  });

  it('are none where no model was called', async () => {
    await using control = await controlPlane({ 'GET /v1/model-costs': { body: [] } });
    expect((await hive(['costs', '--by', 'day', '--url', control.url])).stdout).toBe('No model was called.\n');
  });
});
