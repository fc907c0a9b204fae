import type { ApprovalId, LinkId, TenantId } from '@hivekeeper/contract';
import type { LinkStore } from '../../records/links/index.ts';
import { audit } from './audit.ts';
import { inTransaction, type Pool } from './connection.ts';

interface LinkRow {
  readonly id: LinkId;
  readonly tenant_id: TenantId;
  readonly approval_id: ApprovalId;
  readonly input_sha256: string;
  readonly expires_at: Date;
  readonly created_by: string;
  readonly seal: Uint8Array;
}

/** Links to approvals in PostgreSQL. Looked up before the tenant is known, hence on the engine's pool. */
export const postgresLinkStore = (sql: Pool): LinkStore => ({
  put: ({ id, tenantId, approvalId, inputSha256, expiresAtMs, createdBy, seal }) =>
    inTransaction(sql, async (transaction) => {
      await transaction`
        INSERT INTO approval_links (id, tenant_id, approval_id, input_sha256, expires_at, created_by, seal)
        VALUES (${id}, ${tenantId}, ${approvalId}, ${inputSha256}, ${new Date(expiresAtMs)}, ${createdBy}, ${seal})`;
      const payload = { linkId: id, inputSha256, expiresAtMs };
      await audit(transaction, { tenantId, actor: createdBy, action: 'approval.link.made', object: approvalId, payload });
    }),

  async find(id) {
    const [row] = await sql<LinkRow[]>`SELECT * FROM approval_links WHERE id = ${id}`;
    return row === undefined
      ? undefined
      : {
          id: row.id,
          tenantId: row.tenant_id,
          approvalId: row.approval_id,
          inputSha256: row.input_sha256,
          expiresAtMs: row.expires_at.getTime(),
          createdBy: row.created_by,
          seal: row.seal,
        };
  },
});
