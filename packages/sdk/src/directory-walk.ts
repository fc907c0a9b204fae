import { closeSync, constants, openSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

/** A directory or file that should have been looked at and could not be. */
export interface Skipped {
  /** Below the root, with forward slashes; a directory's ends in one. */
  readonly path: string;
  readonly reason: string;
}

/** Paths below a root, with forward slashes, in no order. */
export interface Walk {
  readonly paths: readonly string[];
  readonly skipped: readonly Skipped[];
}

/** Every file and link below `root`; links are not followed. Folders named in `passedOver` are not entered, wherever they lie. */
export function walk(root: string, passedOver: ReadonlySet<string>): Walk {
  const paths: string[] = [];
  const skipped: Skipped[] = [];
  const folders = [''];
  for (let folder = folders.pop(); folder !== undefined; folder = folders.pop()) {
    const entries = entriesOf(join(root, folder));
    if (!Array.isArray(entries)) {
      skipped.push({ path: folder, reason: entries.reason });
      continue;
    }
    for (const entry of entries) {
      const path = folder + entry.name;
      if (!entry.isDirectory()) paths.push(path);
      else if (!passedOver.has(entry.name)) folders.push(`${path}/`);
    }
  }
  return { paths, skipped };
}

function entriesOf(directory: string) {
  try {
    // A folder that may be listed and not entered would look like one of unreadable files.
    closeSync(openSync(`${directory}/.`, constants.O_RDONLY));
    return readdirSync(directory, { withFileTypes: true });
  } catch (error) {
    return { reason: reasonOf(error) };
  }
}

/** Why a file cannot be read; nothing where it can, is no regular file or has vanished. */
export function refusalOf(root: string, path: string): Skipped | undefined {
  try {
    closeSync(openSync(join(root, path), constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK));
    return undefined;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' && path.includes('\ufffd')) return { path, reason: 'its name is not UTF-8' };
    return code === 'EACCES' || code === 'EPERM' ? { path, reason: reasonOf(error) } : undefined;
  }
}

function reasonOf(error: unknown): string {
  const { code = 'unknown error' } = error as NodeJS.ErrnoException;
  return code === 'EACCES' || code === 'EPERM' ? 'it may not be read' : `it cannot be read (${code})`;
}
