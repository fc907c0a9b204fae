import { createHash } from 'node:crypto';
import { runIdSchema } from '@hivekeeper/contract';

/** An entry as it is stored. */
export interface AuditEntry {
  readonly tenantId: string;
  /** 1, 2, 3 … per tenant. */
  readonly seq: number;
  readonly atMs: number;
  readonly actor: string;
  readonly action: string;
  readonly object: string;
  /** Kept JSON text; absent for a commit of a run, whose payload is the journal's row, and for entries older than `provenFrom`. */
  readonly payload: string | undefined;
  /** SHA-256, 64 hexadecimal digits. */
  readonly hash: string;
}

/** Where a tenant's chain ends. */
export interface AuditHead {
  readonly tenantId: string;
  readonly seq: number;
  readonly hash: string;
  /** Entries before it that are no commits of runs have no payload: their hash is taken as it is. */
  readonly provenFrom: number;
}

/** One place where the log is not what was written. */
export interface AuditFault {
  readonly tenantId: string;
  /** The entry, or the first of those that are missing. */
  readonly seq: number;
  readonly message: string;
}

/** What a check found. */
export interface ChainReport {
  readonly faults: readonly AuditFault[];
  readonly entryCount: number;
  /** Entries of which only the place in the chain could be checked. */
  readonly unprovenCount: number;
}

/** What is checked. */
export interface ChainSource {
  readonly heads: readonly AuditHead[];
  /** In any order; about ascending takes the least memory. */
  readonly entries: AsyncIterable<AuditEntry>;
  /** JSON text of the events of a run's n-th commit, n counted from 1; undefined where there is none. */
  readonly commitOf: (runId: string, nth: number) => Promise<string | undefined>;
}

const genesis = createHash('sha256').update('').digest('hex');
const separator = '\u001f';

/** SHA-256(hash of the entry before ‖ fields), as `append_audit` in the migrations computes it. Fields are joined by U+001F. */
export function digestOf(
  previous: string,
  { tenantId, seq, atMs, actor, action, object }: Omit<AuditEntry, 'hash'>,
  payload: string,
): string {
  return createHash('sha256')
    .update(Buffer.from(previous, 'hex'))
    .update([tenantId, seq, atMs, actor, action, object, payload].join(separator))
    .digest('hex');
}

/** Recomputes every tenant's chain. A fault does not hide the next: the check goes on from the hash that is stored. */
export async function verifyChain({ heads, entries, commitOf }: ChainSource): Promise<ChainReport> {
  const chains = new Map(heads.map((head) => [head.tenantId, new Chain(head, commitOf)]));
  const strangers: AuditFault[] = [];
  for await (const entry of entries) {
    const chain = chains.get(entry.tenantId);
    if (chain === undefined) strangers.push({ tenantId: entry.tenantId, seq: entry.seq, message: 'the tenant has no head' });
    else await chain.take(entry);
  }
  for (const chain of chains.values()) await chain.end();
  const all = [...chains.values()];
  return {
    faults: [...strangers, ...all.flatMap(({ faults }) => faults)],
    entryCount: strangers.length + all.reduce((sum, { entryCount }) => sum + entryCount, 0),
    unprovenCount: all.reduce((sum, { unprovenCount }) => sum + unprovenCount, 0),
  };
}

/** The chain of one tenant. Entries that come before their turn wait. */
class Chain {
  readonly faults: AuditFault[] = [];
  entryCount = 0;
  unprovenCount = 0;
  readonly #head: AuditHead;
  readonly #commitOf: ChainSource['commitOf'];
  readonly #early = new Map<number, AuditEntry>();
  readonly #commitCounts = new Map<string, number>();
  #nextSeq = 1;
  #hash = genesis;

  constructor(head: AuditHead, commitOf: ChainSource['commitOf']) {
    this.#head = head;
    this.#commitOf = commitOf;
  }

  async take(entry: AuditEntry): Promise<void> {
    this.entryCount += 1;
    if (entry.seq < this.#nextSeq || this.#early.has(entry.seq)) return this.#fault(entry.seq, 'the number is there twice');
    this.#early.set(entry.seq, entry);
    await this.#goOn();
  }

  async end(): Promise<void> {
    while (this.#early.size > 0) {
      const found = Math.min(...this.#early.keys());
      this.#fault(this.#nextSeq, found - this.#nextSeq === 1 ? 'the entry is missing' : `entries up to ${found - 1} are missing`);
      this.#nextSeq = found;
      // What came before is not known, so this entry's own hash cannot be recomputed.
      this.#hash = '';
      await this.#goOn();
    }
    const { seq, hash } = this.#head;
    const lastSeq = this.#nextSeq - 1;
    if (lastSeq < seq) this.#fault(lastSeq + 1, `the log ends here, its head is at ${seq}`);
    else if (lastSeq > seq || this.#hash !== hash) this.#fault(lastSeq, 'the head is not that of the last entry');
  }

  async #goOn(): Promise<void> {
    for (let entry = this.#early.get(this.#nextSeq); entry !== undefined; entry = this.#early.get(this.#nextSeq)) {
      this.#early.delete(entry.seq);
      await this.#check(entry);
      this.#hash = entry.hash;
      this.#nextSeq += 1;
    }
  }

  async #check(entry: AuditEntry): Promise<void> {
    const isCommit = entry.payload === undefined && runIdSchema.safeParse(entry.object).success;
    const payload = isCommit ? await this.#nextCommit(entry.object) : entry.payload;
    if (payload !== undefined) {
      if (this.#hash !== '' && digestOf(this.#hash, entry, payload) !== entry.hash)
        this.#fault(entry.seq, `${entry.action} of ${entry.object} was changed${isCommit ? ', here or in the journal' : ''}`);
    } else if (isCommit) this.#fault(entry.seq, `the journal has no such commit of ${entry.object}`);
    else if (entry.seq >= this.#head.provenFrom) this.#fault(entry.seq, `the payload of ${entry.action} is missing`);
    else this.unprovenCount += 1;
  }

  #nextCommit(runId: string): Promise<string | undefined> {
    const nth = (this.#commitCounts.get(runId) ?? 0) + 1;
    this.#commitCounts.set(runId, nth);
    return this.#commitOf(runId, nth);
  }

  #fault(seq: number, message: string): void {
    this.faults.push({ tenantId: this.#head.tenantId, seq, message });
  }
}
