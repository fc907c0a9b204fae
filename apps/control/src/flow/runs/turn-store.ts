import type { RunId, TenantId } from '@hivekeeper/contract';

/** Runs of one key, as far as they matter to who goes next. */
export interface TurnQueue {
  /** Runs that were given a turn and have not ended, the oldest first. */
  readonly holders: readonly {
    readonly runId: RunId;
    /** False until the run's own journal knows of its turn. */ readonly isBegun: boolean;
  }[];
  /** Runs that may be given one: the first by priority and age, and of those that do not simply wait the newest. */
  readonly waiting: readonly Waiter[];
}

/** A run that waits for its turn. */
export interface Waiter {
  readonly runId: RunId;
  /** So many runs with its key are enough for it. */
  readonly limit: number;
  readonly overlap?: 'skip' | 'replace' | undefined;
  readonly priority: number;
}

/** Whose turns they are: a tenant's runs with one key. */
export interface TurnKey {
  readonly tenantId: TenantId;
  readonly key: string;
}

/** Who is given a turn, and who is to end. */
export interface TurnDecision {
  readonly given: readonly RunId[];
  readonly ended: readonly {
    readonly runId: RunId;
    readonly reason: string;
    /** Only where it has not begun. */ readonly isSkip: boolean;
  }[];
}

/** The port to the database. A run waits for its turn from the commit that queues it on. */
export interface TurnStore {
  /**
   * Shows one key's runs to `decide`, and stores the turns it gives, in one transaction that no other of that key is
   * beside: whoever asks, on whichever control plane, sees every turn given before.
   */
  settle(key: TurnKey, decide: (queue: TurnQueue) => TurnDecision): Promise<TurnQueue & TurnDecision>;
  /** Keys at which something was left undone, or waits. */
  unsettled(): Promise<readonly TurnKey[]>;
  /** Who has a turn, the oldest first. */
  holders(key: TurnKey, most: number): Promise<readonly RunId[]>;
}
