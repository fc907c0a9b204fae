/** The composition root of what is done without a running control plane: restoring a backup, and trying whether one can be restored. */
import { chmod, mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises'; // unlike the kernel's, it keeps the process alive
import type { BackupVerification } from '@hivekeeper/contract';
import { startEmbeddedPostgres } from '@hivekeeper/embedded-postgres';
import { type Log, systemClock } from '@hivekeeper/kernel';
import { storedBackupAt } from './adapters/backup-files/backup-files.ts';
import { readRestoreRecord, writeRestoreRecord } from './adapters/backup-files/restore-record.ts';
import { type RestoredDatabase, restoreDatabase } from './adapters/postgres/index.ts';
import type { ControlConfig } from './config.ts';
import { epochAfter, epochTickMs, manifestOf, requireSound, verifyBackup } from './operations/backups/index.ts';

/** What a restore did. */
export interface Restored extends RestoredDatabase {
  readonly path: string;
  readonly dataDirectory: string;
  readonly epochBefore: number;
  readonly epoch: number;
}

/** Restores the backup at `path` into the database of the configuration, which must be empty. */
export async function restoreBackup(
  path: string,
  config: Pick<ControlConfig, 'dataDirectory' | 'databaseUrl'>,
  log: Log,
): Promise<Restored> {
  const beganMs = systemClock.monotonicMs();
  const stored = storedBackupAt(resolve(path));
  const manifest = await requireSound(stored);
  const dataDirectory = resolve(config.dataDirectory);
  await mkdir(dataDirectory, { recursive: true });
  const record = await readRestoreRecord(dataDirectory);
  const atMs = systemClock.nowMs();
  const epoch = epochAfter(atMs, [manifest.epoch, ...(record === undefined ? [] : [record.epoch])]);
  await using place = await openPlace(config, dataDirectory, log);
  const restored = await restoreDatabase({
    url: place.url,
    stored,
    manifest,
    epoch,
    log,
    onEmpty: () => writeRestoreRecord(dataDirectory, { epoch, backup: stored.path, atMs }),
  });
  // No second restore, of whatever backup and wherever, is given the same epoch by this clock.
  await wait(Math.max(0, epochTickMs - (systemClock.monotonicMs() - beganMs)));
  return { ...restored, path: stored.path, dataDirectory, epochBefore: manifest.epoch, epoch };
}

/** Checks the backup at `path`; with `isDeep` also restores it into a server of its own that is thrown away. */
export async function tryBackup(path: string, { isDeep }: { readonly isDeep: boolean }, log: Log): Promise<BackupVerification> {
  const stored = storedBackupAt(resolve(path));
  const found = await verifyBackup(stored);
  if (!isDeep || !found.isSound) return found;
  const directory = await mkdtemp(join(tmpdir(), 'hive-trial-'));
  try {
    // The server runs as another user where we are root.
    await chmod(directory, 0o711);
    await using postgres = await startEmbeddedPostgres({ directory: join(directory, 'postgres'), log, fast: true });
    const manifest = await manifestOf(stored);
    await restoreDatabase({ url: postgres.url('app', 'socket'), stored, manifest, epoch: manifest.epoch + 1, log });
    return found;
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

async function openPlace(
  { databaseUrl }: Pick<ControlConfig, 'databaseUrl'>,
  dataDirectory: string,
  log: Log,
): Promise<AsyncDisposable & { readonly url: string }> {
  if (databaseUrl !== undefined) return { url: databaseUrl, [Symbol.asyncDispose]: async () => {} };
  const postgres = await startEmbeddedPostgres({ directory: join(dataDirectory, 'postgres'), log });
  return { url: postgres.url('app', 'socket'), [Symbol.asyncDispose]: () => postgres.stop() };
}
