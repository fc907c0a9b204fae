import type { TenantId } from '@hivekeeper/contract';

/** Something that happened, and that others are told: the id of the run that ended, or of the approval that was requested. `task.ended`: the run was that of a task over MQTT. */
export interface OutboxEntry {
  readonly seq: string;
  readonly tenantId: TenantId;
  readonly kind: 'run.completed' | 'approval.requested' | 'task.ended';
  readonly about: string;
}

/** The port to the database. Entries are written by the commits that they are about, from the first {@link OutboxStore.open} on. */
export interface OutboxStore {
  /** From now on, what happens is put into the outbox. Idempotent. */
  open(name: string): Promise<void>;
  /**
   * Hands the oldest entries of these kinds to `tell`, and deletes those that it returns: at least once, also over crashes. Entries that
   * another control plane is telling are left to it. Returns how many were deleted.
   */
  take(
    which: { readonly kinds: readonly OutboxEntry['kind'][]; readonly most: number },
    tell: (entries: readonly OutboxEntry[]) => Promise<readonly OutboxEntry[]>,
  ): Promise<number>;
}
