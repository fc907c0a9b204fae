import type { Readable } from 'node:stream';
import type { ManifestContents, ManifestSequence } from './manifest.ts';

/** A table of the snapshot, still to be read. */
export interface SnapshotTable {
  readonly table: string;
  readonly columns: readonly string[];
  /** Rows in PostgreSQL's COPY text format. Read each before the next is asked for. */
  rows(): Readable;
}

/** The database at one moment. */
export interface Snapshot extends Pick<ManifestContents, 'createdAtMs' | 'epoch' | 'migrations'> {
  /** In an order in which they can be loaded: what is referred to comes before what refers. */
  readonly tables: readonly SnapshotTable[];
  readonly sequences: readonly ManifestSequence[];
}

/** The database that is backed up. */
export interface BackupSource {
  /** Work goes on meanwhile; only migrations wait. @throws HiveError DATABASE_UNAVAILABLE */
  snapshot<T>(work: (snapshot: Snapshot) => Promise<T>): Promise<T>;
  /** Writes down who did what with a backup. */
  audit(entry: { readonly by: string; readonly action: 'backup.created' | 'backup.removed'; readonly name: string }): Promise<void>;
}

/** A part as it lies on the shelf. */
export interface WrittenPart {
  /** Lines that were stored. */
  readonly rowCount: number;
  readonly sizeBytes: number;
  /** Of the file as it lies there. */
  readonly sha256: string;
}

/** A backup that is being written. Nobody sees it before it is sealed, also when the machine fails. */
export interface BackupDraft {
  /** Compresses and stores a part; on disk when it resolves. Rejects when `signal` aborts. */
  write(file: string, rows: Readable, signal: AbortSignal): Promise<WrittenPart>;
  /** Stores the manifest and gives the backup its name, once everything is on disk. */
  seal(manifest: string): Promise<void>;
  discard(): Promise<void>;
}

/** A backup as it lies on a shelf. */
export interface StoredBackup {
  readonly path: string;
  readManifest(): Promise<string>;
  /** The file as it lies there. Fails while it is read, where it cannot be. */
  readPart(file: string): Readable;
  /** What was compressed. */
  readRows(file: string): Readable;
}

/** Where backups lie. */
export interface BackupShelf {
  draft(name: string): Promise<BackupDraft>;
  /** Of whole backups, oldest first. */
  names(): Promise<readonly string[]>;
  open(name: string): StoredBackup;
  remove(name: string): Promise<void>;
}
