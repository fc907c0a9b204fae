import { createHash } from 'node:crypto';
import { type BackupVerification, HiveError } from '@hivekeeper/contract';
import { passAudit } from './audit-pass.ts';
import { lineEndsIn } from './copy-text.ts';
import { type Manifest, type ManifestPart, manifestPart, parseManifest } from './manifest.ts';
import type { StoredBackup } from './ports.ts';

const maxFaults = 100;

/** The manifest of a backup. @throws HiveError BACKUP_INVALID */
export async function manifestOf(stored: StoredBackup): Promise<Manifest> {
  const text = await stored.readManifest().catch((cause: unknown) => {
    throw new HiveError('BACKUP_INVALID', `${manifestPart}: ${reasonOf(cause)}`, { cause });
  });
  return parseManifest(text);
}

/** Reads a backup from end to end: digests, sizes, rows, and the audit chain where all parts are as they were written. */
export async function verifyBackup(stored: StoredBackup): Promise<BackupVerification> {
  const manifest = await manifestOf(stored);
  const faults: BackupVerification['faults'] = [];
  for (const part of manifest.parts) {
    const fault = await faultOf(stored, part);
    if (fault !== undefined) faults.push({ part: part.file, message: fault });
  }
  const audit = faults.length === 0 ? await passAudit(stored, manifest) : { faults: [], entryCount: 0, unprovenCount: 0 };
  const all = [...faults, ...audit.faults];
  return {
    isSound: all.length === 0,
    faults: all.slice(0, maxFaults),
    partCount: manifest.parts.length,
    rowCount: manifest.parts.reduce((sum, { rowCount }) => sum + rowCount, 0),
    auditEntryCount: audit.entryCount,
    unprovenEntryCount: audit.unprovenCount,
  };
}

/** @throws HiveError BACKUP_INVALID naming the parts at fault */
export async function requireSound(stored: StoredBackup): Promise<Manifest> {
  const { isSound, faults } = await verifyBackup(stored);
  if (isSound) return manifestOf(stored);
  throw new HiveError('BACKUP_INVALID', faults.map(({ part, message }) => `${part}: ${message}`).join('; '), {
    issues: faults.map(({ part, message }) => ({ path: `/${part}`, message })),
  });
}

async function faultOf(stored: StoredBackup, { file, sizeBytes, sha256, rowCount }: ManifestPart): Promise<string | undefined> {
  try {
    const hash = createHash('sha256');
    let foundBytes = 0;
    for await (const chunk of stored.readPart(file) as AsyncIterable<Buffer>) {
      hash.update(chunk);
      foundBytes += chunk.length;
    }
    if (foundBytes !== sizeBytes) return `has ${foundBytes} bytes, ${sizeBytes} were written`;
    if (hash.digest('hex') !== sha256) return 'was changed: its SHA-256 is another';
    const found = await countLines(stored.readRows(file));
    return found === rowCount ? undefined : `has ${found} rows, the manifest says ${rowCount}`;
  } catch (error) {
    return reasonOf(error);
  }
}

async function countLines(bytes: AsyncIterable<Buffer>): Promise<number> {
  let count = 0;
  for await (const chunk of bytes) count += lineEndsIn(chunk);
  return count;
}

const reasonOf = (error: unknown): string =>
  (error as NodeJS.ErrnoException).code === 'ENOENT'
    ? 'is missing'
    : `cannot be read (${error instanceof Error ? error.message : String(error)})`;
