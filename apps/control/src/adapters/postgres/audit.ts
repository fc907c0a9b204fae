import type { TenantId } from '@hivekeeper/contract';
import type { Sql } from './connection.ts';

/** One thing somebody did. */
export interface AuditEntry {
  readonly tenantId: TenantId;
  readonly actor: string;
  readonly action: string;
  readonly object: string;
  /** Covered by the entry's digest, not stored in the log. */
  readonly payload: unknown;
}

/** Appends an entry in the transaction of the change it tells of: no change without its entry. */
export async function audit(sql: Sql, { tenantId, actor, action, object, payload }: AuditEntry): Promise<void> {
  await sql`
    SELECT append_audit(ARRAY[${tenantId}], ARRAY[extract(epoch FROM now()) * 1000]::double precision[], ARRAY[${actor}], ARRAY[${action}], ARRAY[${object}],
      ARRAY[${JSON.stringify(payload)}]::json[])`;
}
