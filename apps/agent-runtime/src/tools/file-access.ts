import { constants } from 'node:fs';
import { type FileHandle, mkdir, open, realpath } from 'node:fs/promises';
import { basename, dirname, isAbsolute, join, relative, resolve, sep } from 'node:path';
import { HiveError } from '@hivekeeper/contract';

/** Directories below which a tool may go; paths that are not absolute are meant from the first one. */
export type Roots = readonly string[];

/** Opens a file for reading. @throws HiveError TOOL_FAILED where it is not there, or leads out of the roots */
export async function openForReading(path: string, roots: Roots): Promise<FileHandle> {
  const real = await canonical(placeOf(path, roots), path);
  assertBelow(real, await canonicalRoots(roots), path);
  return opened(real, constants.O_RDONLY, path);
}

/** Opens a file for writing from its start, made where it is not there, with its directories. @throws HiveError TOOL_FAILED */
export async function openForWriting(path: string, roots: Roots): Promise<FileHandle> {
  const place = placeOf(path, roots);
  const allowed = await canonicalRoots(roots);
  // What exists of the way is looked at before anything is made: a link in it may lead elsewhere.
  assertBelow(await nearestReal(dirname(place)), allowed, path);
  await mkdir(dirname(place), { recursive: true });
  const directory = await canonical(dirname(place), path);
  assertBelow(directory, allowed, path);
  const file = await opened(join(directory, basename(place)), constants.O_WRONLY | constants.O_CREAT, path);
  try {
    // Its other name may lie outside, and whoever reads it there would read what is written here.
    if ((await file.stat()).nlink > 1) throw new HiveError('TOOL_FAILED', `${path}: a file with another name besides (a hard link)`);
    await file.truncate();
    return file;
  } catch (error) {
    await file.close();
    throw HiveError.is(error) ? error : unusable(path, error);
  }
}

/** The last part of a path is never followed where it is a link: it would lead away from what was checked. */
async function opened(real: string, flags: number, path: string): Promise<FileHandle> {
  try {
    return await open(real, flags | constants.O_NOFOLLOW | constants.O_NONBLOCK, 0o600);
  } catch (error) {
    throw unusable(path, error);
  }
}

function placeOf(path: string, [first = '/']: Roots): string {
  if (path.includes('\u0000')) throw new HiveError('TOOL_FAILED', 'a path has no U+0000');
  return isAbsolute(path) ? resolve(path) : resolve(first, path);
}

const canonicalRoots = (roots: Roots): Promise<string[]> => Promise.all(roots.map((root) => canonical(root, root)));

async function canonical(place: string, path: string): Promise<string> {
  try {
    return await realpath(place);
  } catch (error) {
    throw unusable(path, error);
  }
}

async function nearestReal(place: string): Promise<string> {
  for (let current = place; ; current = dirname(current)) {
    const real = await realpath(current).catch(() => undefined);
    if (real !== undefined) return real;
  }
}

function assertBelow(real: string, roots: readonly string[], path: string): void {
  const isBelow = roots.some((root) => {
    const way = relative(root, real);
    return way === '' || (way !== '..' && !way.startsWith(`..${sep}`) && !isAbsolute(way));
  });
  if (!isBelow) throw new HiveError('TOOL_FAILED', `${path} is outside of what this tool may see (allowed_paths)`);
}

const unusable = (path: string, error: unknown): HiveError =>
  new HiveError(
    'TOOL_FAILED',
    `${path}: ${(error as NodeJS.ErrnoException).code === 'ELOOP' ? 'a link' : (error as NodeJS.ErrnoException).code}`,
  );
