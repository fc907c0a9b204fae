import { describe, expect, it } from 'vitest';
import { fieldsOf, lineEndsIn, linesOf } from './copy-text.ts';
import { epochAfter } from './epoch.ts';
import { type Manifest, parseManifest, sealManifest } from './manifest.ts';
import { backupNameAt } from './name.ts';
import { surplus } from './retention.ts';

const manifest: Manifest = {
  format: 1,
  productVersion: '0.1.0',
  createdAtMs: 5,
  epoch: 1,
  migrations: [{ version: 1, name: 'first', checksum: 'a'.repeat(64) }],
  parts: [{ table: 'runs', columns: ['id'], file: 'runs.copy.gz', rowCount: 0, sizeBytes: 20, sha256: 'b'.repeat(64) }],
  sequences: [{ sequence: 'tokens', lastValue: '9223372036854775807', isCalled: true }],
};

describe('the epoch of a restore', () => {
  const nowMs = Date.UTC(2026, 0, 1);

  it('grows with the clock, so that two restores of one backup differ though neither knows of the other', () => {
    expect(epochAfter(nowMs + 1_000, [1])).toBeGreaterThan(epochAfter(nowMs, [1]));
  });

  it('is above every epoch that is known, also where the clock is behind', () => {
    expect(epochAfter(0, [7, 3])).toBe(8);
    expect(epochAfter(nowMs, [2_000_000_000])).toBe(2_000_000_001);
  });

  it('fits its column for a lifetime', () => {
    expect(epochAfter(Date.UTC(2093, 0, 1), [])).toBeLessThan(2 ** 31);
  });
});

describe('a manifest', () => {
  it('is read as it was sealed', () => {
    expect(parseManifest(sealManifest(manifest))).toEqual(manifest);
  });

  it.each([
    ['cut off', (text: string) => text.slice(0, -3), /is no JSON/],
    ['changed', (text: string) => text.replace('"epoch": 1', '"epoch": 2'), /was changed/],
    ['of another format', (text: string) => text.replace('"format": 1', '"format": 2'), /format/],
    ['with a part elsewhere', (text: string) => text.replace('runs.copy.gz', '../runs.copy.gz'), /parts\/0\/file/],
    ['of another shape', () => '[]', /manifest\.json: /],
  ])('that is %s is refused', (_name, change, fault) => {
    expect(() => parseManifest(change(sealManifest(manifest)))).toThrow(
      expect.objectContaining({ code: 'BACKUP_INVALID', message: expect.stringMatching(fault) }),
    );
  });
});

describe('COPY text', () => {
  it('is read with its escapes, and NULL is told from the text', () => {
    expect(fieldsOf('a\\tb\t\\N\t\\\\N\t\tc\\nd\\\\\\r\t\\\\x00ff')).toEqual(['a\tb', null, '\\N', '', 'c\nd\\\r', '\\x00ff']);
  });

  it('is cut into lines wherever the bytes were cut, also inside a letter', async () => {
    const bytes = Buffer.from('ü1\n\nlast ☃\nno end');
    for (let size = 1; size <= bytes.length; size += 1) {
      const chunks = Array.from({ length: Math.ceil(bytes.length / size) }, (_, index) => bytes.subarray(index * size, (index + 1) * size));
      const lines: string[] = [];
      const source = (async function* () {
        yield* chunks;
      })();
      for await (const line of linesOf(source)) lines.push(line);
      expect(lines).toEqual(['ü1', '', 'last ☃', 'no end']);
      expect(chunks.reduce((sum, chunk) => sum + lineEndsIn(chunk), 0)).toBe(3);
    }
  });
});

describe('names and what is kept', () => {
  it('names sort by time', () => {
    const times = [0, 5, 999, 1_000, Date.UTC(2026, 10, 26, 4, 57, 19, 123)];
    const names = times.map(backupNameAt);
    expect(names.toSorted()).toEqual(names);
    expect(names.at(-1)).toBe('backup-20261126-045719-123');
  });

  it('the newest stay', () => {
    expect(surplus(['c', 'a', 'b'], 2)).toEqual(['a']);
    expect(surplus(['a'], 2)).toEqual([]);
    expect(surplus(['a', 'b'], undefined)).toEqual([]);
  });
});
