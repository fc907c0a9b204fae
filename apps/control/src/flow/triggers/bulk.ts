import {
  type BulkAnswer,
  type BulkFilter,
  type BulkOrder,
  bulkStatuses,
  type BulkVerb,
  HiveError,
  maxBulkRuns,
  type RunId,
  type TenantId,
} from '@hivekeeper/contract';
import type { RunOrders, RunSelection, RunStore } from '../runs/index.ts';
import type { Triggers } from './triggers.ts';

/** Who orders what of many runs. */
export interface BulkCall {
  readonly tenantId: TenantId;
  readonly by: string;
  readonly order: BulkOrder;
}

// As many as the lane puts into one commit.
const atOnce = 256;
const shownRuns = 20;

/** Orders for many runs at once: looked at first, and done only for as many runs as were looked at. */
export class BulkOrders {
  readonly #store: RunStore;
  readonly #orders: RunOrders;
  readonly #triggers: Triggers;

  constructor(options: { readonly store: RunStore; readonly orders: RunOrders; readonly triggers: Triggers }) {
    this.#store = options.store;
    this.#orders = options.orders;
    this.#triggers = options.triggers;
  }

  /**
   * A preview where no count is expected, else done for each run by itself: what refuses is counted by its code, and what was
   * done stays done where a later one meets a fault. Made again it does what is left.
   * @throws HiveError COUNT_CHANGED, DATABASE_UNAVAILABLE
   */
  async give(call: BulkCall): Promise<BulkAnswer> {
    const { verb, filter, expectedCount } = call.order;
    const most = expectedCount === undefined ? shownRuns : maxBulkRuns;
    const { count, runIds } = await this.#store.select(call.tenantId, selectionOf(verb, filter), most);
    const answer = { verb, count, runIds: runIds.slice(0, shownRuns) };
    if (expectedCount === undefined) return { ...answer, isDone: false, outcomes: {} };
    if (count !== expectedCount) throw countChanged(count, expectedCount);
    const outcomes: Record<string, number> = {};
    for (let from = 0; from < runIds.length; from += atOnce) {
      const done = await Promise.all(runIds.slice(from, from + atOnce).map((runId) => this.#outcomeOf(call, runId)));
      for (const outcome of done) outcomes[outcome] = (outcomes[outcome] ?? 0) + 1;
    }
    return { ...answer, isDone: true, outcomes };
  }

  async #outcomeOf(call: BulkCall, runId: RunId): Promise<string> {
    try {
      await this.#do(call, runId);
      return 'DONE';
    } catch (error) {
      if (!HiveError.is(error) || error.entry.consequence === 'retry') throw error;
      return error.code;
    }
  }

  async #do({ tenantId, by, order: { verb, reason } }: BulkCall, runId: RunId): Promise<void> {
    if (verb !== 'retry') return this.#orders[verb]({ tenantId, runId, by, reason });
    // The key lets two bulk orders at the same time retry a run once; later ones do not find it.
    const idempotency = { route: 'bulk retry', key: runId };
    await this.#triggers.rerun({ tenantId, runId, by, rerun: { kind: 'retry', from: 'start' }, idempotency });
  }
}

const selectionOf = (verb: BulkVerb, { status, ...filter }: BulkFilter): RunSelection => ({
  ...filter,
  statuses: status === undefined ? bulkStatuses[verb] : [status],
  ...(verb === 'pause' && { isPaused: false }),
  ...(verb === 'resume' && { isPaused: true }),
  ...(verb === 'retry' && { isUnretried: true }),
});

function countChanged(count: number, expectedCount: number): HiveError {
  const message = `${count} runs match now, not ${expectedCount}`;
  return new HiveError('COUNT_CHANGED', message, { issues: [{ path: '/expectedCount', message }] });
}
