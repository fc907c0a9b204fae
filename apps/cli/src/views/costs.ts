import type { ModelCost, ModelCostsQuery } from '@hivekeeper/contract';
import type { Output } from '../output.ts';
import { tableText } from './table.ts';

/** What calls of models cost, one line for each model, run or day; the sum last. */
export function costsTable(costs: readonly ModelCost[], by: ModelCostsQuery['by'], { colors }: Output): string {
  const sum = (of: (cost: ModelCost) => number) => costs.reduce((total, cost) => total + of(cost), 0);
  const rows = costs.map((cost) => [
    cost.key === '' ? '-' : cost.key,
    String(cost.callCount),
    String(cost.inputTokens),
    String(cost.outputTokens),
    usdText(cost.costMicroUsd),
    noteOf(cost),
  ]);
  const all = ['all', sum((cost) => cost.callCount), sum((cost) => cost.inputTokens), sum((cost) => cost.outputTokens)].map(String);
  return tableText(
    [by.toUpperCase(), 'CALLS', 'INPUT', 'OUTPUT', 'USD', 'OF THESE'],
    [...rows, [...all, usdText(sum((cost) => cost.costMicroUsd)), '']],
    colors,
  );
}

const usdText = (microUsd: number): string => (microUsd / 1_000_000).toFixed(6);

const noteOf = ({ estimatedCount, unpricedCount }: ModelCost): string =>
  [...(estimatedCount > 0 ? [`${estimatedCount} estimated`] : []), ...(unpricedCount > 0 ? [`${unpricedCount} without a price`] : [])].join(
    ', ',
  );
