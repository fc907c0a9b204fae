import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Migration, pendingMigrations, readMigrations } from './migrations.ts';

describe('migration files', () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'migrations-'));
  });
  afterEach(() => rm(folder, { recursive: true, force: true }));

  const read = () => readMigrations(pathToFileURL(`${folder}/`));

  it('are read in the order of their numbers', async () => {
    await writeFile(join(folder, '0002_more.sql'), 'SELECT 2;');
    await writeFile(join(folder, '0001_first.sql'), 'SELECT 1;');
    await writeFile(join(folder, 'README.md'), 'not a migration');
    expect((await read()).map(({ version, name, statements }) => ({ version, name, statements }))).toEqual([
      { version: 1, name: 'first', statements: 'SELECT 1;' },
      { version: 2, name: 'more', statements: 'SELECT 2;' },
    ]);
  });

  it.each(['0002_gap.sql', '1_short.sql', '0001-dash.sql', '0000_zero.sql'])('are refused when one is named %s', async (file) => {
    await writeFile(join(folder, file), 'SELECT 1;');
    await expect(read()).rejects.toMatchObject({ code: 'DATABASE_MIGRATION', message: expect.stringContaining(file) });
  });

  it('are refused when two have the same number', async () => {
    await writeFile(join(folder, '0001_one.sql'), 'SELECT 1;');
    await writeFile(join(folder, '0001_other.sql'), 'SELECT 1;');
    await expect(read()).rejects.toMatchObject({ code: 'DATABASE_MIGRATION' });
  });

  it('have the same checksum with Windows line ends, and another one with another text', async () => {
    const checksumOf = async (text: string) => {
      await writeFile(join(folder, '0001_first.sql'), text);
      return (await read())[0]?.checksum;
    };
    const checksum = await checksumOf('SELECT 1;\nSELECT 2;\n');
    expect(await checksumOf('SELECT 1;\r\nSELECT 2;\r\n')).toBe(checksum);
    expect(await checksumOf('SELECT 1;\nSELECT 3;\n')).not.toBe(checksum);
  });
});

describe('what is left to apply', () => {
  const shipped: Migration[] = ['one', 'two', 'three'].map((name, index) => ({
    version: index + 1,
    name,
    checksum: `sum-${name}`,
    statements: '',
  }));

  it('is what follows the last applied one', () => {
    expect(pendingMigrations(shipped, []).map(({ version }) => version)).toEqual([1, 2, 3]);
    expect(pendingMigrations(shipped, shipped.slice(0, 2)).map(({ version }) => version)).toEqual([3]);
    expect(pendingMigrations(shipped, shipped)).toEqual([]);
  });

  it.each([
    ['a database that is newer', [...shipped, { version: 4, name: 'four', checksum: 'sum-four' }], 'written by a newer one'],
    ['a gap', [shipped[0]!, shipped[2]!], 'has migration 3 but not 2'],
    ['a file that was changed after it was applied', [{ ...shipped[0]!, checksum: 'other' }], 'was changed afterwards'],
  ])('is refused for %s', (_, applied, message) => {
    expect(() => pendingMigrations(shipped, applied)).toThrow(message);
  });
});
