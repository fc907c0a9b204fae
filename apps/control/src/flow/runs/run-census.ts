import type { RunId, TenantId } from '@hivekeeper/contract';

/** How many runs there are, of one moment. */
export interface RunCounts {
  /** Ever accepted, by the journal: each has a first commit. */
  readonly accepted: number;
  /** By the rows that list them. */
  readonly byStatus: Readonly<Record<string, number>>;
}

/** Counts a tenant's runs, and finds those that nothing moves. */
export interface RunCensus {
  counts(tenantId: TenantId): Promise<RunCounts>;
  /**
   * The oldest unfinished runs that nothing will move, and those that what should have moved them has not for `overdueMs`.
   * There must be none.
   */
  stuck(tenantId: TenantId, overdueMs: number): Promise<readonly RunId[]>;
}

// A turn that nobody was told of waits so long for a sweep, and a due time less.
const leastOverdueMs = 20_000;

/** After so long what should have moved a run is overdue: two leases, and no less than sweeps need. */
export const overdueAfterMs = (leaseMs: number): number => Math.max(2 * leaseMs, leastOverdueMs);

/** What was accepted less what ended and what is in flight; anything but 0 means that a run was lost or counted twice. */
export const imbalanceOf = ({ accepted, byStatus }: RunCounts): number =>
  accepted - Object.values(byStatus).reduce((sum, count) => sum + count, 0);
