import { createHash } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { mkdir, open, readdir, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { constants, createGunzip, createGzip } from 'node:zlib';
import { type BackupDraft, type BackupShelf, lineEndsIn, type StoredBackup } from '../../operations/backups/index.ts';

const manifestFile = 'manifest.json';
// Hidden, so that nobody takes it for a backup.
const draftPrefix = '.writing-';
// What is saved by a higher level is not worth the cpu that runs need meanwhile.
const level = constants.Z_BEST_SPEED;

/** Backups as directories below one. A backup gets its name by a rename, when all of it is on disk. */
export const diskBackupShelf = (directory: string): BackupShelf => ({
  async draft(name) {
    await mkdir(directory, { recursive: true, mode: 0o700 });
    await removeAbandoned(directory);
    const path = join(directory, draftPrefix + name);
    await mkdir(path, { mode: 0o700 });
    return draftIn(path, { directory, name });
  },

  async names() {
    const entries = await readdir(directory, { withFileTypes: true }).catch(ifAbsent([]));
    return entries
      .filter((entry) => entry.isDirectory() && /^backup-[\d-]+$/.test(entry.name))
      .map(({ name }) => name)
      .sort();
  },

  open: (name) => storedBackupAt(join(directory, name)),

  async remove(name) {
    // A crash in the middle must not leave half a backup under its name.
    const doomed = join(directory, `${draftPrefix}removed-${name}`);
    await rename(join(directory, name), doomed);
    await rm(doomed, { recursive: true });
  },
});

/** The backup in a directory, wherever that is. */
export const storedBackupAt = (path: string): StoredBackup => ({
  path,
  readManifest: () => readFile(join(path, manifestFile), 'utf8'),
  readPart: (file) => createReadStream(join(path, file)),
  readRows: (file) => {
    const rows = createGunzip();
    createReadStream(join(path, file))
      .on('error', (error) => rows.destroy(error))
      .pipe(rows);
    return rows;
  },
});

function draftIn(path: string, { directory, name }: { readonly directory: string; readonly name: string }): BackupDraft {
  return {
    async write(file, rows, signal) {
      const hash = createHash('sha256');
      let sizeBytes = 0;
      let rowCount = 0;
      const count = passing((chunk) => (rowCount += lineEndsIn(chunk)));
      const measure = passing((chunk) => {
        hash.update(chunk);
        sizeBytes += chunk.length;
      });
      const target = createWriteStream(join(path, file), { flags: 'wx', mode: 0o600, flush: true });
      await pipeline(rows, count, createGzip({ level }), measure, target, { signal });
      return { rowCount, sizeBytes, sha256: hash.digest('hex') };
    },

    async seal(manifest) {
      const file = await open(join(path, manifestFile), 'wx', 0o600);
      try {
        await file.writeFile(manifest);
        await file.sync();
      } finally {
        await file.close();
      }
      await syncDirectory(path);
      await rename(path, join(directory, name));
      await syncDirectory(directory);
    },

    discard: () => rm(path, { recursive: true, force: true }),
  };
}

const passing = (look: (chunk: Buffer) => void) =>
  new Transform({
    transform(chunk: Buffer, _encoding, done) {
      look(chunk);
      done(undefined, chunk);
    },
  });

/** What a crash cut off. One control plane at a time writes into a directory of backups. */
async function removeAbandoned(directory: string): Promise<void> {
  const names = await readdir(directory);
  for (const name of names.filter((each) => each.startsWith(draftPrefix)))
    await rm(join(directory, name), { recursive: true, force: true });
}

async function syncDirectory(path: string): Promise<void> {
  const handle = await open(path, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

const ifAbsent =
  <T>(instead: T) =>
  (error: unknown): T => {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return instead;
    throw error;
  };
