import type { TenantId } from '@hivekeeper/contract';
import type { KeyStore, Role } from '../../records/keys/index.ts';
import { audit } from './audit.ts';
import { inTransaction, type Pool } from './connection.ts';

/** API keys in PostgreSQL. Looked up before the tenant is known, hence on the engine's pool. */
export function postgresKeyStore(sql: Pool, newId: () => string): KeyStore {
  return {
    async find(keySha256) {
      const [row] = await sql<{ tenant_id: TenantId; name: string; role: Role }[]>`
        SELECT tenant_id, name, role FROM api_keys WHERE key_sha256 = ${keySha256} AND revoked_at IS NULL`;
      return row === undefined ? undefined : { tenantId: row.tenant_id, role: row.role, subject: `key:${row.name}` };
    },

    async put({ tenantId, name, role, keySha256 }) {
      await inTransaction(sql, async (transaction) => {
        const changed = await transaction`
          INSERT INTO api_keys (id, tenant_id, name, role, key_sha256) VALUES (${newId()}, ${tenantId}, ${name}, ${role}, ${keySha256})
          ON CONFLICT (tenant_id, name) DO UPDATE SET role = excluded.role, key_sha256 = excluded.key_sha256, revoked_at = NULL
          WHERE api_keys.key_sha256 <> excluded.key_sha256 OR api_keys.role <> excluded.role OR api_keys.revoked_at IS NOT NULL
          RETURNING id`;
        if (changed.count > 0)
          await audit(transaction, { tenantId, actor: 'platform', action: 'key.issued', object: name, payload: { role } });
      });
    },
  };
}
