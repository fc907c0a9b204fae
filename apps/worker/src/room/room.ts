import { chmodSync, lstatSync, mkdirSync, mkdtempSync, readdirSync, realpathSync, rmSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, sep } from 'node:path';
import { isProcessAlive } from '@hivekeeper/kernel';

/** Where this worker keeps one directory for each agent at work, for one purpose. */
export interface Room extends Disposable {
  /** Makes an empty directory for one agent; it is the agent's alone. */
  makePlace(): Place;
  /** Whether places of agents could be reached through a path: it must not be granted to any. */
  holds(path: string): boolean;
}

/** One agent's directory. Disposing it removes it, at once or, where much may lie in it, beside other work. */
export interface Place extends Disposable, AsyncDisposable {
  readonly directory: string;
}

/** A room's name on disk is `hive-<purpose>-<pid>-…`, so that one whose process is dead is known. */
const prefixOf = (purpose: string): string => `hive-${purpose}-`;

/** Makes the room of this process, and removes those of this account's processes that are no longer alive: a killed worker leaves its own. */
export function openRoom(purpose: string, base: string): Room {
  const prefix = prefixOf(purpose);
  for (const name of readdirSync(base))
    if (isOfDead(name, prefix) && isOwn(join(base, name))) rmSync(join(base, name), { recursive: true, force: true });
  const room = mkdtempSync(join(base, `${prefix}${process.pid}-`));
  // Others may pass, not look: an agent may run as somebody else, and each place in here is closed to all but its own.
  chmodSync(room, 0o711);
  let count = 0;
  return {
    makePlace: () => {
      count += 1;
      const directory = join(room, String(count));
      mkdirSync(directory, { mode: 0o700 });
      const how = { recursive: true, force: true, maxRetries: 3 };
      return { directory, [Symbol.dispose]: () => rmSync(directory, how), [Symbol.asyncDispose]: () => rm(directory, how) };
    },
    holds: (path) => path === '/' || `${base}${sep}`.startsWith(`${path}${sep}`) || path.split(sep).some((part) => part.startsWith(prefix)),
    [Symbol.dispose]: () => rmSync(room, { recursive: true, force: true }),
  };
}

/** The system's directory for what does not last, in its canonical form. */
export const temporaryBase = (): string => realpathSync(tmpdir());

function isOfDead(name: string, prefix: string): boolean {
  const pid = name.startsWith(prefix) ? /^(\d+)-/.exec(name.slice(prefix.length))?.[1] : undefined;
  return pid !== undefined && !isProcessAlive(Number(pid));
}

/** What another account's worker left may not be removed by this one. */
const isOwn = (path: string): boolean => lstatSync(path, { throwIfNoEntry: false })?.uid === process.getuid?.();
