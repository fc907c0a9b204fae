import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { HiveError } from '@hivekeeper/contract';

// SQLite's number for a lock that somebody else has.
const busy = 5;

/**
 * Takes the directory for this process, or refuses with the pid that has it.
 *
 * Node has no flock; an exclusive SQLite transaction is a lock of the operating system on a file, so it needs no clean-up: the kernel
 * gives it back when the holder dies, however it dies.
 */
export function lockDirectory(directory: string): Disposable {
  let lock: DatabaseSync | undefined;
  try {
    lock = new DatabaseSync(join(directory, 'lock'), { timeout: 0 });
    lock.exec('BEGIN EXCLUSIVE');
    writeFileSync(join(directory, 'holder.pid'), `${process.pid}\n`);
  } catch (error) {
    lock?.close();
    throw refusalOf(directory, error);
  }
  const held = lock;
  return { [Symbol.dispose]: () => held.close() };
}

function refusalOf(directory: string, cause: unknown): HiveError {
  if (cause instanceof Error && 'errcode' in cause && cause.errcode === busy) {
    return new HiveError('DATA_DIRECTORY_IN_USE', `${directory} is held by process ${readHolder(directory)}.`, { cause });
  }
  return new HiveError(
    'CONFIGURATION_INVALID',
    `${directory} cannot be used: ${String(cause)}. It must belong to the user that starts the server.`,
    { cause },
  );
}

function readHolder(directory: string): string {
  try {
    return readFileSync(join(directory, 'holder.pid'), 'utf8').trim();
  } catch {
    return 'unknown';
  }
}
