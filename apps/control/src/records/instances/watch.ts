import type { InstanceChange, TenantId } from '@hivekeeper/contract';

/** Told of a change. */
export type OnInstanceChange = (change: InstanceChange) => void;

/** Who follows the instances of which tenant. */
export class InstanceWatch {
  readonly #watchers = new Map<OnInstanceChange, TenantId>();

  /** Returns what ends it. */
  add(tenantId: TenantId, onChange: OnInstanceChange): () => void {
    // Wrapped: the same function may watch twice.
    const own: OnInstanceChange = (change) => onChange(change);
    this.#watchers.set(own, tenantId);
    return () => void this.#watchers.delete(own);
  }

  tell(tenantId: TenantId, change: InstanceChange): void {
    for (const [onChange, theirs] of this.#watchers) if (theirs === tenantId) onChange(change);
  }
}
