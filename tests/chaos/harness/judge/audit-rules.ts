import { createHash } from 'node:crypto';
import type postgres from 'postgres';
import type { Finding } from './findings.ts';

interface AuditRow {
  readonly tenant_id: string;
  readonly seq: string;
  readonly at_ms: string;
  readonly actor: string;
  readonly action: string;
  readonly object: string;
  readonly hash: Buffer;
}

/** Verifies numbers and chain of the audit log with code of its own: what is hashed is recomputed from the journal. */
export async function judgeAudit(sql: postgres.Sql): Promise<readonly Finding[]> {
  const rows = await sql<AuditRow[]>`
    SELECT tenant_id, seq, (round(extract(epoch FROM at) * 1000))::text AS at_ms, actor, action, object, hash FROM audit_log ORDER BY tenant_id, seq`;
  const commits = await sql<{ run_id: string; events: string }[]>`
    SELECT run_id, events::text AS events FROM run_journal ORDER BY run_id, version, transaction`;
  const payloads = Map.groupBy(commits, ({ run_id }) => run_id);
  const heads = await sql<{ tenant_id: string; seq: string; hash: Buffer }[]>`SELECT tenant_id, seq, hash FROM audit_heads`;
  return [
    ...heads.flatMap((head) =>
      judgeChain(
        rows.filter(({ tenant_id }) => tenant_id === head.tenant_id),
        head,
        payloads,
      ),
    ),
    ...judgeCoverage(rows, payloads),
  ];
}

type Payloads = ReadonlyMap<string, readonly { readonly events: string }[]>;

function judgeChain(rows: readonly AuditRow[], head: { readonly seq: string; readonly hash: Buffer }, payloads: Payloads): Finding[] {
  const found: Finding[] = [];
  const seen = new Map<string, number>();
  let before: Buffer = createHash('sha256').digest();
  for (const [index, row] of rows.entries()) {
    if (Number(row.seq) !== index + 1)
      return [...found, { promise: 'the audit log has no gaps', detail: `entry ${index + 1} has number ${row.seq}` }];
    const nth = seen.get(row.object) ?? 0;
    seen.set(row.object, nth + 1);
    const payload = payloads.get(row.object)?.[nth]?.events;
    // What changed the registry is hashed over what is not kept; such an entry is bound by the entry after it.
    if (payload !== undefined && !row.hash.equals(link(before, row, payload)))
      found.push({ promise: 'the audit chain is right', detail: `entry ${row.seq} (${row.action} ${row.object})` });
    before = row.hash;
  }
  if (Number(head.seq) !== rows.length || !head.hash.equals(before))
    found.push({ promise: 'the audit chain is right', detail: `its head is ${head.seq}, its last entry ${rows.length}` });
  return found;
}

const link = (before: Buffer, { tenant_id, seq, at_ms, actor, action, object }: AuditRow, payload: string): Buffer =>
  createHash('sha256').update(before).update([tenant_id, seq, at_ms, actor, action, object, payload].join('\x1f')).digest();

/** Every commit of every run has its entry. */
function judgeCoverage(rows: readonly AuditRow[], payloads: Payloads): Finding[] {
  const entries = Map.groupBy(rows, ({ object }) => object);
  return [...payloads].flatMap(([runId, commits]) =>
    entries.get(runId)?.length === commits.length
      ? []
      : [{ promise: 'every commit is audited', detail: `${runId}: ${commits.length} commits, ${entries.get(runId)?.length ?? 0} entries` }],
  );
}
