/**
 * Backups: the whole database at one moment, in a directory that is either whole or not there.
 *
 * backups.ts      what may be asked: create, list, wait, verify
 * manifest.ts     what a backup says of itself, sealed · retention.ts  which are removed · name.ts  how they are called
 * verify.ts       is it what was written? · audit-pass.ts  the audit chain in it · copy-text.ts  rows of PostgreSQL's COPY format
 * epoch.ts        the epoch a restore gives
 * ports.ts        the database that is backed up, and the shelf where backups lie
 */
export { Backups } from './backups.ts';
export { lineEndsIn } from './copy-text.ts';
export { epochAfter, epochTickMs } from './epoch.ts';
export { type Manifest, type ManifestPart, type ManifestSequence } from './manifest.ts';
export type { BackupDraft, BackupShelf, BackupSource, Snapshot, StoredBackup, WrittenPart } from './ports.ts';
export { manifestOf, requireSound, verifyBackup } from './verify.ts';
