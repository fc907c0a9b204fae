import type { ModelCost, ModelCostsQuery } from '@hivekeeper/contract';
import type { Session } from '../session.ts';
import { costsTable } from '../views/costs.ts';

/** Options of `hive costs`. */
export interface CostsOptions {
  readonly by?: ModelCostsQuery['by'];
  readonly days?: string;
}

/** `hive costs` */
export async function showCosts({ client, output }: Session, { by = 'model', days }: CostsOptions): Promise<void> {
  const costs = await client.modelCosts({ by, days: Number(days ?? 30) });
  const text = () => (costs.length === 0 ? 'No model was called.' : costsTable(costs, by, output));
  output.show(costs, text, nextAfter(costs, by));
}

const nextAfter = (costs: readonly ModelCost[], by: ModelCostsQuery['by']): string | undefined =>
  costs.length === 0 ? undefined : `hive costs --by ${by === 'model' ? 'run' : 'model'}`;
