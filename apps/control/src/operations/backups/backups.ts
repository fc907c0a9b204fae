import { type BackupVerification, type BackupView, HiveError } from '@hivekeeper/contract';
import { type Clock, type Log, pause } from '@hivekeeper/kernel';
import { type Manifest, type ManifestPart, sealManifest } from './manifest.ts';
import { backupNameAt } from './name.ts';
import type { BackupDraft, BackupShelf, BackupSource, Snapshot } from './ports.ts';
import { surplus } from './retention.ts';
import { manifestOf, verifyBackup } from './verify.ts';

/** What backups are made of. */
export interface BackupsOptions {
  readonly source: BackupSource;
  readonly shelf: BackupShelf;
  readonly clock: Clock;
  readonly log: Log;
  readonly productVersion: string;
}

interface Writing {
  readonly name: string;
  error: HiveError | undefined;
  isOver: boolean;
  readonly done: Promise<void>;
}

/**
 * The backups of this control plane. One is written at a time:
 *
 *   (asked for) → WRITING → COMPLETE | FAILED
 *
 * COMPLETE ones lie on the shelf. A FAILED one is remembered until the next is asked for, and nothing of it is left; one that a crash cut
 * off is forgotten.
 */
export class Backups implements AsyncDisposable {
  readonly #options: BackupsOptions;
  readonly #ending = new AbortController();
  #last: Writing | undefined;

  constructor(options: BackupsOptions) {
    this.#options = options;
  }

  /** Begins one and gives what it is called. @throws HiveError BACKUP_RUNNING */
  create({ keep, by }: { readonly keep: number | undefined; readonly by: string }): BackupView {
    if (this.#last?.isOver === false) throw new HiveError('BACKUP_RUNNING', `${this.#last.name} is being written`);
    const name = backupNameAt(this.#options.clock.nowMs());
    const done = this.#write({ name, keep, by })
      .catch((error: unknown) => {
        this.#options.log.error({ err: error, name }, 'the backup was not written');
        writing.error = asNotWritten(error);
      })
      .then(() => void (writing.isOver = true));
    const writing: Writing = { name, error: undefined, isOver: false, done };
    this.#last = writing;
    return this.#viewOfWriting(writing);
  }

  /** Gives up what is being written. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#ending.abort(new HiveError('SHUTTING_DOWN', 'the backup was given up: the process ends'));
    await this.#last?.done;
  }

  /** Newest first. */
  async list(): Promise<BackupView[]> {
    const names = await this.#options.shelf.names();
    const last = this.#last;
    const views = await Promise.all(names.map((name) => this.#viewOf(name)));
    if (last !== undefined && !names.includes(last.name)) views.push(this.#viewOfWriting(last));
    return views.reverse();
  }

  /** One of them; where it is being written, once it is or after `waitMs`. @throws HiveError NOT_FOUND */
  async get(name: string, waitMs: number): Promise<BackupView> {
    const last = this.#last?.name === name ? this.#last : undefined;
    if (last !== undefined && !last.isOver && waitMs > 0) {
      const enough = new AbortController();
      await Promise.race([last.done, pause(this.#options.clock, waitMs, enough.signal).catch(() => {})]);
      enough.abort();
    }
    if (last !== undefined && (!last.isOver || last.error !== undefined)) return this.#viewOfWriting(last);
    await this.#mustExist(name);
    return this.#viewOf(name);
  }

  /** @throws HiveError NOT_FOUND, BACKUP_INVALID where the manifest cannot be read */
  async verify(name: string): Promise<BackupVerification> {
    await this.#mustExist(name);
    return verifyBackup(this.#options.shelf.open(name));
  }

  async #mustExist(name: string): Promise<void> {
    if (!(await this.#options.shelf.names()).includes(name)) throw new HiveError('NOT_FOUND', `there is no ${name}`);
  }

  async #write({ name, keep, by }: { readonly name: string; readonly keep: number | undefined; readonly by: string }): Promise<void> {
    const { source, shelf, productVersion } = this.#options;
    const draft = await shelf.draft(name);
    try {
      const manifest = await source.snapshot((snapshot) => writeParts(snapshot, { draft, productVersion, signal: this.#ending.signal }));
      await draft.seal(sealManifest(manifest));
    } catch (error) {
      await draft.discard();
      throw error;
    }
    await source.audit({ by, action: 'backup.created', name });
    for (const old of surplus(await shelf.names(), keep)) {
      await source.audit({ by, action: 'backup.removed', name: old });
      await shelf.remove(old);
    }
  }

  #viewOfWriting({ name, error, isOver }: Writing): BackupView {
    return {
      name,
      state: !isOver ? 'WRITING' : error === undefined ? 'COMPLETE' : 'FAILED',
      path: this.#options.shelf.open(name).path,
      ...(error !== undefined && { error: { code: error.code, message: error.message } }),
    };
  }

  async #viewOf(name: string): Promise<BackupView> {
    const stored = this.#options.shelf.open(name);
    try {
      return { name, state: 'COMPLETE', path: stored.path, ...factsOf(await manifestOf(stored)) };
    } catch (error) {
      if (!HiveError.is(error)) throw error;
      return { name, state: 'DAMAGED', path: stored.path, error: { code: error.code, message: error.message } };
    }
  }
}

interface Writer {
  readonly draft: BackupDraft;
  readonly productVersion: string;
  readonly signal: AbortSignal;
}

async function writeParts(snapshot: Snapshot, { draft, productVersion, signal }: Writer): Promise<Manifest> {
  const parts: ManifestPart[] = [];
  for (const { table, columns, rows } of snapshot.tables) {
    const file = `${table}.copy.gz`;
    parts.push({ table, columns: [...columns], file, ...(await draft.write(file, rows(), signal)) });
  }
  const { createdAtMs, epoch, migrations, sequences } = snapshot;
  return { format: 1, productVersion, createdAtMs, epoch, migrations, parts, sequences: [...sequences] };
}

const factsOf = ({ createdAtMs, parts, migrations, productVersion, epoch }: Manifest) => ({
  createdAtMs,
  sizeBytes: parts.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
  rowCount: parts.reduce((sum, { rowCount }) => sum + rowCount, 0),
  schemaVersion: migrations.length,
  productVersion,
  epoch,
});

const asNotWritten = (error: unknown): HiveError =>
  HiveError.is(error)
    ? error
    : error instanceof Error && HiveError.is(error.cause)
      ? error.cause
      : new HiveError('BACKUP_NOT_WRITTEN', error instanceof Error ? error.message : String(error), { cause: error });
