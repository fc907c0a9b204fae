import { type AuditEntry, type AuditHead, type ChainReport, verifyChain } from '../../records/audit/index.ts';
import { rowsOf } from './copy-text.ts';
import { type Manifest, type ManifestPart, manifestPart } from './manifest.ts';
import type { StoredBackup } from './ports.ts';

type Row = Readonly<Record<string, string | null>>;

/** What the pass found; a fault names the part it lies in. */
export interface AuditPass extends Omit<ChainReport, 'faults'> {
  readonly faults: readonly { readonly part: string; readonly message: string }[];
}

/** Checks the audit chain of a backup against itself and the journal. */
export async function passAudit(stored: StoredBackup, { parts }: Manifest): Promise<AuditPass> {
  const partOf = (name: string) => parts.find(({ table }) => table === name);
  const [heads, log, journal] = [partOf('audit_heads'), partOf('audit_log'), partOf('run_journal')];
  if (heads === undefined || log === undefined || journal === undefined)
    return { faults: [{ part: manifestPart, message: 'names no audit log or no journal' }], entryCount: 0, unprovenCount: 0 };
  const rows = (part: ManifestPart) => rowsOf(stored.readRows(part.file), part.columns);
  const commits = new Commits(rows(journal));
  const report = await verifyChain({
    heads: await headsOf(rows(heads)),
    entries: entriesOf(rows(log)),
    commitOf: (runId, nth) => commits.take(runId, nth),
  });
  const orphans = await commits.left();
  return {
    ...report,
    faults: [
      ...report.faults.map(({ tenantId, seq, message }) => ({ part: log.file, message: `entry ${seq} of ${tenantId}: ${message}` })),
      ...orphans.map((key) => ({ part: journal.file, message: `commit ${key} has no audit entry` })),
    ],
  };
}

async function headsOf(rows: AsyncIterable<Row>): Promise<AuditHead[]> {
  const heads: AuditHead[] = [];
  for await (const row of rows) heads.push(headOf(row));
  return heads;
}

const headOf = (row: Row): AuditHead => ({
  tenantId: row['tenant_id'] ?? '',
  seq: Number(row['seq']),
  hash: hexOf(row['hash']),
  // Absent before payloads were kept: then nothing has one.
  provenFrom: Number(row['proven_from'] ?? Number.POSITIVE_INFINITY),
});

async function* entriesOf(rows: AsyncIterable<Row>): AsyncGenerator<AuditEntry, void> {
  for await (const row of rows)
    yield {
      tenantId: row['tenant_id'] ?? '',
      seq: Number(row['seq']),
      atMs: Math.round(Date.parse(`${(row['at'] ?? '').replace(' ', 'T')}:00`)),
      actor: row['actor'] ?? '',
      action: row['action'] ?? '',
      object: row['object'] ?? '',
      payload: row['payload'] ?? undefined,
      hash: hexOf(row['hash']),
    };
}

const hexOf = (bytes: string | null | undefined): string => (bytes ?? '').replace(/^\\x/, '');

/** The journal's rows by run and version, read as far as they are asked for. Both lie about in the order of commits, so few wait. */
class Commits {
  readonly #rows: AsyncIterator<Row>;
  readonly #waiting = new Map<string, string>();

  constructor(rows: AsyncIterator<Row>) {
    this.#rows = rows;
  }

  async take(runId: string, nth: number): Promise<string | undefined> {
    const key = `${runId}@${nth}`;
    while (!this.#waiting.has(key) && (await this.#readOne()));
    const events = this.#waiting.get(key);
    this.#waiting.delete(key);
    return events;
  }

  /** What nobody took. */
  async left(): Promise<readonly string[]> {
    while (await this.#readOne());
    return [...this.#waiting.keys()];
  }

  async #readOne(): Promise<boolean> {
    const { done, value } = await this.#rows.next();
    if (done) return false;
    this.#waiting.set(`${value['run_id']}@${value['version']}`, value['events'] ?? '');
    return true;
  }
}
