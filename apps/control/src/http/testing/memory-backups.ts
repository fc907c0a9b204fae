import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import type { Clock, Log } from '@hivekeeper/kernel';
import { Backups, type BackupShelf, type BackupSource, lineEndsIn } from '../../operations/backups/index.ts';

const tenant = 'ten_00000000000000000000000000';
const genesis = createHash('sha256').update('').digest('hex');
const tables: Readonly<Record<string, { readonly columns: readonly string[]; readonly rows: readonly string[] }>> = {
  audit_heads: { columns: ['tenant_id', 'seq', 'hash', 'proven_from'], rows: [`${tenant}\t0\t\\\\x${genesis}\t1`] },
  audit_log: { columns: ['tenant_id', 'seq', 'at', 'actor', 'action', 'object', 'hash', 'payload'], rows: [] },
  run_journal: { columns: ['run_id', 'version', 'events'], rows: [] },
};

/** Backups of a small database that never changes, on a shelf in memory. */
export const memoryBackups = ({ clock, log }: { readonly clock: Clock; readonly log: Log }): Backups =>
  new Backups({ source: smallDatabase(() => clock.nowMs()), shelf: memoryShelf(), clock, log, productVersion: '0.0.0-test' });

const smallDatabase = (nowMs: () => number): BackupSource => ({
  snapshot: (work) =>
    work({
      createdAtMs: nowMs(),
      epoch: 1,
      migrations: [{ version: 1, name: 'first', checksum: '0'.repeat(64) }],
      sequences: [],
      tables: Object.entries(tables).map(([table, { columns, rows }]) => ({
        table,
        columns,
        rows: () => Readable.from([Buffer.from(rows.map((row) => `${row}\n`).join(''))]),
      })),
    }),
  audit: async () => {},
});

function memoryShelf(): BackupShelf {
  const backups = new Map<string, Map<string, Buffer>>();
  const fileOf = (name: string, file: string): Buffer => backups.get(name)?.get(file) ?? Buffer.alloc(0);
  return {
    async draft(name) {
      const files = new Map<string, Buffer>();
      return {
        async write(file, rows) {
          const content = await buffer(rows);
          files.set(file, content);
          return { rowCount: lineEndsIn(content), sizeBytes: content.length, sha256: createHash('sha256').update(content).digest('hex') };
        },
        async seal(manifest) {
          backups.set(name, files.set('manifest.json', Buffer.from(manifest)));
        },
        discard: async () => {},
      };
    },
    names: async () => [...backups.keys()].sort(),
    open: (name) => ({
      path: `/backups/${name}`,
      readManifest: async () => fileOf(name, 'manifest.json').toString(),
      readPart: (file) => Readable.from([fileOf(name, file)]),
      readRows: (file) => Readable.from([fileOf(name, file)]),
    }),
    remove: async (name) => void backups.delete(name),
  };
}
