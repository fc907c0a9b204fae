import { lstat, realpath } from 'node:fs/promises';
import { dirname, isAbsolute, join, relative, sep } from 'node:path';
import { HiveError } from '@hivekeeper/contract';

/**
 * Where `file` really lies, after every symbolic link on the way: an absolute path below the target, whose last part
 * need not exist yet.
 *
 * @throws PATH_NOT_ALLOWED where the name or a link leads out of the target or into its `.git`, NOT_FOUND where the
 * target is not a directory.
 */
export async function confinedPath(target: string, file: string): Promise<string> {
  refuseSuspectName(file);
  const root = await realDirectory(target);
  const path = await realWhereItExists(join(root, file));
  const inside = relative(root, path);
  if (inside === '' || inside.split(sep)[0] === '..' || isAbsolute(inside)) throw refusal(file, 'leads out of the target');
  // What lies there is run by git: writing it would be running it.
  if (inside.split(sep).some((part) => part.toLowerCase() === '.git')) throw refusal(file, 'lies in .git');
  return path;
}

/** The name is judged as it was given: `a/../b` is no mistake that anybody makes honestly. */
function refuseSuspectName(file: string): void {
  // NUL ends a path early for the system; a line break would forge a line of the diff.
  if (/[\u0000-\u001f\u007f]/.test(file)) throw refusal(file, 'holds a control character');
  if (isAbsolute(file) || /^[A-Za-z]:|^\\/.test(file)) throw refusal(file, 'is absolute; give it relative to the target');
  if (file.split(/[/\\]/).includes('..')) throw refusal(file, 'goes up with ".."');
}

async function realDirectory(target: string): Promise<string> {
  try {
    const root = await realpath(target);
    if ((await lstat(root)).isDirectory()) return root;
  } catch (cause) {
    throw new HiveError('NOT_FOUND', `target ${target} cannot be read`, { cause });
  }
  throw new HiveError('NOT_FOUND', `target ${target} is not a directory`);
}

/** Resolves links in the part that exists; what does not exist yet cannot be a link. A link to nothing is refused. */
async function realWhereItExists(path: string): Promise<string> {
  try {
    return await realpath(path);
  } catch (cause) {
    if (!isMissing(cause)) throw new HiveError('PATH_NOT_ALLOWED', `${path} cannot be resolved`, { cause });
    if (await isThere(path)) throw new HiveError('PATH_NOT_ALLOWED', `${path} is a symbolic link to nothing`);
    return join(await realWhereItExists(dirname(path)), path.slice(dirname(path).length));
  }
}

async function isThere(path: string): Promise<boolean> {
  try {
    await lstat(path);
    return true;
  } catch (error) {
    if (isMissing(error)) return false;
    throw error;
  }
}

const isMissing = (error: unknown): boolean => error instanceof Error && 'code' in error && error.code === 'ENOENT';

const refusal = (file: string, reason: string): HiveError => new HiveError('PATH_NOT_ALLOWED', `file ${JSON.stringify(file)} ${reason}`);
