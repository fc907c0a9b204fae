import { HiveError, type JsonValue, type TenantId } from '@hivekeeper/contract';
import { isUniqueViolation } from './connection-errors.ts';
import type { Sql } from './connection.ts';

/** Tells every control plane that an agent or a workflow changed. */
export const registryChannel = 'hive_registry';

/** Runs `work` where no other tenant's rows can be seen. */
export type Within = <T>(tenantId: TenantId, work: (sql: Sql) => Promise<T>) => Promise<T>;

/** The last step of every change. */
export const tell = (sql: Sql) => sql`SELECT pg_notify(${registryChannel}, '')`;

/** @throws HiveError ALREADY_EXISTS where the row would be the second of its name. */
export async function refuseTwins(message: string, insert: () => PromiseLike<unknown>): Promise<void> {
  try {
    await insert();
  } catch (error) {
    if (isUniqueViolation(error)) throw new HiveError('ALREADY_EXISTS', message);
    throw error;
  }
}

export const jsonOrNull = (sql: Sql, value: JsonValue | undefined) => (value === undefined ? null : sql.json(value as never));

/** @throws HiveError NOT_FOUND */
export function mustFind<T>(found: T | undefined, id: string): T {
  if (found === undefined) throw new HiveError('NOT_FOUND', `there is no ${id}`);
  return found;
}
