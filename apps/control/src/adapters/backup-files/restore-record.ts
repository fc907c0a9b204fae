import { open, readFile, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { HiveError } from '@hivekeeper/contract';
import { z } from 'zod';

const recordSchema = z.strictObject({ epoch: z.int().min(1), backup: z.string(), atMs: z.int() });

/** Which restore a data directory saw last. Written before the restore begins, so it knows of one that did not finish. */
export type RestoreRecord = z.infer<typeof recordSchema>;

const pathIn = (dataDirectory: string): string => join(dataDirectory, 'restore.json');

/** The record; undefined where nothing was ever restored. @throws HiveError RESTORE_UNFINISHED where it cannot be read */
export async function readRestoreRecord(dataDirectory: string): Promise<RestoreRecord | undefined> {
  try {
    return recordSchema.parse(JSON.parse(await readFile(pathIn(dataDirectory), 'utf8')));
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw new HiveError('RESTORE_UNFINISHED', `${pathIn(dataDirectory)} cannot be read`, { cause });
  }
}

/** On disk when it resolves. */
export async function writeRestoreRecord(dataDirectory: string, record: RestoreRecord): Promise<void> {
  const path = pathIn(dataDirectory);
  const file = await open(`${path}.new`, 'w', 0o600);
  try {
    await file.writeFile(`${JSON.stringify(record)}\n`);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(`${path}.new`, path);
  const directory = await open(dataDirectory, 'r');
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}

/** @throws HiveError RESTORE_UNFINISHED where the database is older than the last restore */
export function requireFinished(record: RestoreRecord | undefined, epoch: number): void {
  if (record === undefined || epoch >= record.epoch) return;
  throw new HiveError(
    'RESTORE_UNFINISHED',
    `The restore of ${record.backup}, begun ${new Date(record.atMs).toISOString()}, was to give epoch ${record.epoch}; the database has ${epoch}.`,
  );
}
