import { seededRandom } from '@hivekeeper/testkit';
import { describe, expect, it } from 'vitest';
import { type AuditEntry, type AuditHead, digestOf, verifyChain } from './chain.ts';

const tenantId = 'ten_00000000000000000000000000';
const runId = 'run_01JD0000000000000000000000';
const genesis = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855';

interface Log {
  readonly heads: readonly AuditHead[];
  readonly entries: readonly AuditEntry[];
  readonly journal: readonly string[];
}

/** A log of `count` entries, every second one a commit of the run. */
function logOf(count: number): Log {
  const entries: AuditEntry[] = [];
  const journal: string[] = [];
  let hash = genesis;
  for (let seq = 1; seq <= count; seq += 1) {
    const text = `{"n": ${seq}}`;
    const isCommit = seq % 2 === 0;
    if (isCommit) journal.push(text);
    const entry = {
      tenantId,
      seq,
      atMs: 1_700_000_000_000 + seq,
      actor: 'key:admin',
      action: 'did',
      object: isCommit ? runId : `thing-${seq}`,
    };
    const payload = isCommit ? undefined : text;
    hash = digestOf(hash, { ...entry, payload }, text);
    entries.push({ ...entry, payload, hash });
  }
  return { heads: [{ tenantId, seq: count, hash, provenFrom: 1 }], entries, journal };
}

const check = ({ heads, entries, journal }: Log) =>
  verifyChain({
    heads,
    entries: (async function* () {
      yield* entries;
    })(),
    commitOf: async (_runId, nth) => journal[nth - 1],
  });
const faultsOf = async (log: Log) => (await check(log)).faults.map(({ seq, message }) => `${seq} ${message}`);

describe('the audit chain', () => {
  it('is sound where nothing was changed, in whatever order the entries come', async () => {
    const log = logOf(20);
    expect(await check(log)).toEqual({ faults: [], entryCount: 20, unprovenCount: 0 });
    expect(await faultsOf({ ...log, entries: log.entries.toReversed() })).toEqual([]);
    expect(await faultsOf(logOf(0))).toEqual([]);
  });

  // Computed by PostgreSQL's append_audit: SELECT encode(hash, 'hex') FROM audit_log.
  it('has the digests that the database computes', () => {
    const entry = { tenantId, seq: 1, atMs: 1_700_000_000_000, actor: 'a', action: 'b', object: 'c', payload: undefined };
    expect(digestOf(genesis, entry, '{"x": "ü"}')).toBe('408b37f08b76e44a2ba63aa71c9b1a66d69afcf06e6fd41e04060d4702f6f323');
  });

  it.each<[string, (log: Log) => Log, string]>([
    ['an entry that is gone', (log) => ({ ...log, entries: log.entries.toSpliced(6, 1) }), '7 the entry is missing'],
    ['an end that is gone', (log) => ({ ...log, entries: log.entries.slice(0, -2) }), '19 the log ends here, its head is at 20'],
    ['an end that was added', (log) => ({ ...log, heads: logOf(18).heads }), '20 the head is not that of the last entry'],
    [
      'another head',
      (log) => ({ ...log, heads: log.heads.map((head) => ({ ...head, hash: genesis })) }),
      '20 the head is not that of the last entry',
    ],
    [
      'a number that is there twice',
      (log) => ({ ...log, entries: [...log.entries, ...log.entries.slice(0, 1)] }),
      '1 the number is there twice',
    ],
    [
      'a commit that the journal lacks',
      (log) => ({ ...log, journal: log.journal.slice(0, -1) }),
      `20 the journal has no such commit of ${runId}`,
    ],
    [
      'a commit that the journal has otherwise',
      (log) => ({ ...log, journal: log.journal.with(2, '{}') }),
      `6 did of ${runId} was changed, here or in the journal`,
    ],
    ['a tenant without a head', (log) => ({ ...log, heads: [], entries: log.entries.slice(0, 1) }), '1 the tenant has no head'],
    ['a payload that was taken away', (log) => change(log, 4, { payload: undefined }), '5 the payload of did is missing'],
  ])('finds %s, and nothing else', async (_name, tamper, fault) => {
    expect(await faultsOf(tamper(logOf(20)))).toEqual([fault]);
  });

  it('tells the first and the last of entries that are gone, and after them the later commits of their runs', async () => {
    const log = logOf(12);
    expect(await faultsOf({ ...log, entries: log.entries.toSpliced(6, 3) })).toEqual([
      '7 entries up to 9 are missing',
      `12 did of ${runId} was changed, here or in the journal`,
    ]);
  });

  it('finds and locates every one of 10,000 changed fields', { timeout: 60_000 }, async () => {
    const log = logOf(40);
    const random = seededRandom(7);
    const changes: ((entry: AuditEntry) => Partial<AuditEntry>)[] = [
      ({ atMs }) => ({ atMs: atMs + 1 }),
      ({ actor }) => ({ actor: `${actor}x` }),
      ({ action }) => ({ action: action.slice(1) }),
      ({ object }) => ({ object: `${object}x` }),
      ({ payload }) => ({ payload: `${payload ?? ''} ` }),
      ({ hash }) => ({ hash: (hash.startsWith('0') ? '1' : '0') + hash.slice(1) }),
    ];
    for (let round = 0; round < 10_000; round += 1) {
      const at = Math.floor(random.next() * log.entries.length);
      const made = changes[Math.floor(random.next() * changes.length)]?.(log.entries[at] as AuditEntry) ?? {};
      const [first] = (await check(change(log, at, made))).faults;
      expect([round, first?.seq]).toEqual([round, at + 1]);
    }
  });

  it('takes the hash of an entry from before payloads were kept, and says how many those are', async () => {
    const log = logOf(20);
    const old = { ...change(log, 4, { payload: undefined }), heads: log.heads.map((head) => ({ ...head, provenFrom: 6 })) };
    expect(await check(old)).toEqual({ faults: [], entryCount: 20, unprovenCount: 1 });
  });
});

const change = (log: Log, at: number, changes: Partial<AuditEntry>): Log => ({
  ...log,
  entries: log.entries.map((entry, index) => (index === at ? { ...entry, ...changes } : entry)),
});
