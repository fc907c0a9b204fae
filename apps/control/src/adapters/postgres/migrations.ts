import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { HiveError } from '@hivekeeper/contract';

/** A step of the schema, as shipped. */
export interface Migration {
  readonly version: number;
  readonly name: string;
  /** SHA-256 of the file, with line ends as \n: a checkout that converts them changes nothing. */
  readonly checksum: string;
  readonly statements: string;
}

/** A step that the database remembers. */
export type AppliedMigration = Pick<Migration, 'version' | 'name' | 'checksum'>;

/** Reads NNNN_name.sql, numbered 1, 2, 3 … without a gap. */
export async function readMigrations(directory: URL): Promise<readonly Migration[]> {
  const files = (await readdir(directory)).filter((file) => file.endsWith('.sql')).sort();
  return Promise.all(
    files.map(async (file, index) => {
      const [, digits, name] = /^(\d{4})_([a-z0-9_]+)\.sql$/.exec(file) ?? [];
      if (Number(digits) !== index + 1 || name === undefined) {
        throw new HiveError(
          'DATABASE_MIGRATION',
          `Migration file ${file} should be number ${String(index + 1).padStart(4, '0')}: NNNN_name.sql, counted without a gap.`,
        );
      }
      const statements = (await readFile(new URL(file, directory), 'utf8')).replaceAll('\r\n', '\n');
      return { version: index + 1, name, checksum: createHash('sha256').update(statements).digest('hex'), statements };
    }),
  );
}

/** What is left to apply. Refuses a history that is not the beginning of what is shipped. */
export function pendingMigrations(shipped: readonly Migration[], applied: readonly AppliedMigration[]): readonly Migration[] {
  for (const [index, { version, name, checksum }] of applied.entries()) {
    const expected = shipped[index];
    if (version !== index + 1) throw new HiveError('DATABASE_MIGRATION', `The database has migration ${version} but not ${index + 1}.`);
    if (expected === undefined)
      throw new HiveError(
        'DATABASE_MIGRATION',
        `The database has migration ${version} (${name}), this version knows ${shipped.length}: it was written by a newer one.`,
      );
    if (expected.checksum !== checksum)
      throw new HiveError(
        'DATABASE_MIGRATION',
        `Migration ${version} (${expected.name}) is not the one that was applied: its file was changed afterwards.`,
      );
  }
  return shipped.slice(applied.length);
}
