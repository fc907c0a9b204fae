import type { ListModelCalls, ModelCallView, ModelCost, ModelCostsQuery, TenantId } from '@hivekeeper/contract';
import type { ModelCallRecord } from './model-call.ts';

/** Where calls of models are kept. */
export interface ModelCallStore {
  /** Keeps calls that are over. A call that is kept already is left as it is: a batch may be stored twice. */
  add(calls: readonly ModelCallRecord[]): Promise<void>;
  /** The latest first. */
  list(tenantId: TenantId, query: ListModelCalls): Promise<readonly ModelCallView[]>;
  costs(tenantId: TenantId, query: ModelCostsQuery): Promise<readonly ModelCost[]>;
}
