import { chmodSync, lstatSync, mkdirSync, mkdtempSync, readdirSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, sep } from 'node:path';

/** Where the sockets of this worker's agents lie. */
export interface SocketRoom extends Disposable {
  /** Makes an empty directory for one agent; it is the agent's alone. */
  makePlace(): SocketPlace;
  /** Whether sockets of agents could be reached through a path: it must not be granted to any. */
  holds(path: string): boolean;
}

/** One agent's directory, and the socket in it. */
export interface SocketPlace extends Disposable {
  readonly directory: string;
  readonly path: string;
}

const prefix = 'hive-sockets-';
/** The kernel takes 107 bytes for a socket's path; the rest is for our own names. */
const longestBaseBytes = 60;

/** Makes the room of this process, and removes those of this account's processes that are no longer alive: a killed worker leaves its own. */
export function openSocketRoom(base: string = baseDirectory()): SocketRoom {
  for (const name of readdirSync(base))
    if (isOfDead(name) && isOwn(join(base, name))) rmSync(join(base, name), { recursive: true, force: true });
  const room = mkdtempSync(join(base, `${prefix}${process.pid}-`));
  // Others may pass, not look: an agent may run as somebody else, and each place in here is closed to all but its own.
  chmodSync(room, 0o711);
  let count = 0;
  return {
    makePlace: () => {
      count += 1;
      const directory = join(room, String(count));
      mkdirSync(directory, { mode: 0o700 });
      const remove = () => rmSync(directory, { recursive: true, force: true });
      return { directory, path: join(directory, 'hive.sock'), [Symbol.dispose]: remove };
    },
    holds: (path) => path === '/' || `${base}${sep}`.startsWith(`${path}${sep}`) || path.split(sep).some((part) => part.startsWith(prefix)),
    [Symbol.dispose]: () => rmSync(room, { recursive: true, force: true }),
  };
}

const baseDirectory = (): string => {
  const own = realpathSync(tmpdir());
  return Buffer.byteLength(own) <= longestBaseBytes ? own : realpathSync('/tmp');
};

function isOfDead(name: string): boolean {
  const pid = /^hive-sockets-(\d+)-/.exec(name)?.[1];
  return pid !== undefined && !isAlive(Number(pid));
}

/** What another account's worker left may not be removed by this one. */
const isOwn = (path: string): boolean => lstatSync(path, { throwIfNoEntry: false })?.uid === process.getuid?.();

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
