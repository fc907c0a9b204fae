import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { HiveError } from '@hivekeeper/contract';

/**
 * Takes the directory for this process, or refuses with the pid that has it.
 *
 * Node has no flock; an exclusive SQLite transaction is a lock of the operating system on a file, so it needs no clean-up: the kernel
 * gives it back when the holder dies, however it dies.
 */
export function lockDirectory(directory: string): Disposable {
  const holderFile = join(directory, 'holder.pid');
  const lock = new DatabaseSync(join(directory, 'lock'), { timeout: 0 });
  try {
    lock.exec('BEGIN EXCLUSIVE');
  } catch (cause) {
    lock.close();
    throw new HiveError('DATA_DIRECTORY_IN_USE', `${directory} is held by process ${readHolder(holderFile)}.`, { cause });
  }
  writeFileSync(holderFile, `${process.pid}\n`);
  return { [Symbol.dispose]: () => lock.close() };
}

function readHolder(holderFile: string): string {
  try {
    return readFileSync(holderFile, 'utf8').trim();
  } catch {
    return 'unknown';
  }
}
