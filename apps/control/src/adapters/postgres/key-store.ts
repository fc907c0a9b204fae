import { HiveError, type KeyRole, type KeyView, type TenantId } from '@hivekeeper/contract';
import { type KeyCall, type KeyStore, nameIsTaken, type NewKey } from '../../records/keys/index.ts';
import { audit } from './audit.ts';
import { inTransaction, type Pool, type Sql, withTenant } from './connection.ts';

interface KeyRow {
  readonly id: string;
  readonly name: string;
  readonly role: KeyRole;
  readonly created_at: Date;
  readonly created_by: string;
  readonly expires_at: Date | null;
  readonly replaced_at: Date | null;
  readonly revoked_at: Date | null;
  readonly last_used_at: Date | null;
  readonly is_expired: boolean;
}

const mostListed = 1_000;

/** API keys in PostgreSQL. They are looked up before the tenant is known, hence on the engine's pool; people's calls are confined to theirs. */
export const postgresKeyStore = (engine: Pool, requests: Pool, newId: () => string): KeyStore => ({
  ...engineCalls(engine, newId),
  ...personCalls(requests, newId),
});

type PersonCalls = Pick<KeyStore, 'replace' | 'revoke' | 'list'>;

const engineCalls = (engine: Pool, newId: () => string): Omit<KeyStore, keyof PersonCalls> => ({
  async find(keySha256) {
    const [row] = await engine<{ id: string; tenant_id: TenantId; name: string; role: KeyRole }[]>`
      SELECT id, tenant_id, name, role FROM api_keys
      WHERE key_sha256 = ${keySha256} AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > now())`;
    return row === undefined ? undefined : { keyId: row.id, tenantId: row.tenant_id, role: row.role, subject: `key:${row.name}` };
  },

  async isKnown(keySha256) {
    return (await engine`SELECT FROM api_keys WHERE key_sha256 = ${keySha256}`).length > 0;
  },

  add: (key) =>
    inTransaction(engine, async (sql) => {
      // One that has expired gives its name free.
      await sql`
        UPDATE api_keys SET replaced_at = expires_at
        WHERE tenant_id = ${key.tenantId} AND name = ${key.name} AND revoked_at IS NULL AND replaced_at IS NULL AND expires_at <= now()`;
      if (key.endsEarlier === true)
        await sql`
          UPDATE api_keys SET revoked_at = now()
          WHERE tenant_id = ${key.tenantId} AND name = ${key.name} AND revoked_at IS NULL AND replaced_at IS NULL`;
      const view = await insert(sql, newId(), key);
      if (view === undefined) throw nameIsTaken(key.name);
      await audit(sql, entryOf('key.issued', key, view));
      return view;
    }),

  async used(keyIds) {
    await engine`UPDATE api_keys SET last_used_at = now() WHERE id = ANY (${[...keyIds]})`;
  },
});

const personCalls = (requests: Pool, newId: () => string): PersonCalls => ({
  replace: ({ id, overlapMs, ...key }) =>
    withTenant(requests, key.tenantId, async (sql) => {
      const [old] = await sql<KeyRow[]>`
        UPDATE api_keys SET replaced_at = now(), expires_at = least(expires_at, now() + ${`${overlapMs} ms`}::interval)
        WHERE tenant_id = ${key.tenantId} AND id = ${id} AND revoked_at IS NULL AND replaced_at IS NULL
        RETURNING *, false AS is_expired`;
      if (old === undefined) throw noSuch(id, 'active key');
      const view = await insert(sql, newId(), { ...key, name: old.name, role: old.role });
      if (view === undefined) throw nameIsTaken(old.name);
      await audit(sql, entryOf('key.rotated', key, view));
      return view;
    }),

  revoke: (call) =>
    withTenant(requests, call.tenantId, async (sql) => {
      const changed = await sql<KeyRow[]>`
        UPDATE api_keys SET revoked_at = now() WHERE tenant_id = ${call.tenantId} AND id = ${call.id} AND revoked_at IS NULL
        RETURNING *, false AS is_expired`;
      const [row] =
        changed.length > 0
          ? changed
          : await sql<KeyRow[]>`
        SELECT *, false AS is_expired FROM api_keys WHERE tenant_id = ${call.tenantId} AND id = ${call.id}`;
      if (row === undefined) throw noSuch(call.id, 'key');
      const view = viewOf(row);
      if (changed.length > 0) await audit(sql, entryOf('key.revoked', call, view));
      return view;
    }),

  list: (tenantId) =>
    withTenant(requests, tenantId, async (sql) => {
      const rows = await sql<KeyRow[]>`
        SELECT *, coalesce(expires_at <= now(), false) AS is_expired FROM api_keys WHERE tenant_id = ${tenantId}
        ORDER BY created_at DESC, id DESC LIMIT ${mostListed}`;
      return rows.map(viewOf);
    }),
});

async function insert(sql: Sql, id: string, { tenantId, name, role, keySha256, expiresInMs, by }: NewKey): Promise<KeyView | undefined> {
  const expiresIn = expiresInMs === undefined ? null : `${expiresInMs} ms`;
  const [row] = await sql<KeyRow[]>`
    INSERT INTO api_keys (id, tenant_id, name, role, key_sha256, created_by, expires_at)
    VALUES (${id}, ${tenantId}, ${name}, ${role}, ${keySha256}, ${by}, now() + ${expiresIn}::interval)
    ON CONFLICT (tenant_id, name) WHERE revoked_at IS NULL AND replaced_at IS NULL DO NOTHING RETURNING *, false AS is_expired`;
  return row === undefined ? undefined : viewOf(row);
}

const entryOf = (action: string, { tenantId, by: actor }: Pick<KeyCall, 'tenantId' | 'by'>, { id: object, name, role }: KeyView) => ({
  ...{ tenantId, actor, action, object },
  payload: { name, role },
});

const noSuch = (id: string, what: string): HiveError => new HiveError('NOT_FOUND', `there is no ${what} ${id}`);

const viewOf = (row: KeyRow): KeyView => ({
  ...{ id: row.id, name: row.name, role: row.role, state: stateOf(row), createdAtMs: row.created_at.getTime(), createdBy: row.created_by },
  ...(row.expires_at !== null && { expiresAtMs: row.expires_at.getTime() }),
  ...(row.revoked_at !== null && { revokedAtMs: row.revoked_at.getTime() }),
  ...(row.last_used_at !== null && { lastUsedAtMs: row.last_used_at.getTime() }),
});

function stateOf({ revoked_at, is_expired, replaced_at }: KeyRow): KeyView['state'] {
  if (revoked_at !== null) return 'revoked';
  if (is_expired) return 'expired';
  return replaced_at === null ? 'active' : 'replaced';
}
