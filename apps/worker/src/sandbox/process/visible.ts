import { closeSync, constants, fchmodSync, fchownSync, openSync, readlinkSync } from 'node:fs';
import type { VisiblePath } from './command.ts';
import { agentIdentity, type Identity } from './identity.ts';

/** Names a file without opening it, so that neither permission nor a fifo stands in the way. Not among Node's constants. */
const pathOnly = 0o10000000;

/**
 * Opens granted paths by name only. Between the look at a path and its mount an agent that may write beside it could put a
 * link to something else there; a descriptor stays what it was, and one that is not what its name says is refused.
 */
export function openPaths(paths: readonly VisiblePath[]): Disposable & { readonly descriptors: readonly number[] } {
  const descriptors: number[] = [];
  const close = () => {
    for (const descriptor of descriptors.splice(0)) closeSync(descriptor);
  };
  try {
    for (const { path } of paths) descriptors.push(openExactly(path, pathOnly));
  } catch (error) {
    close();
    throw error;
  }
  return { descriptors, [Symbol.dispose]: close };
}

/**
 * Gives a new directory to whoever the command runs as. One that is not private keeps this process's group and lets it
 * write, so that a later command that must run as root without capabilities can use it as well.
 */
export function giveAway({ path, isPrivate }: VisiblePath, { uid }: Identity): void {
  const descriptor = openExactly(path, constants.O_DIRECTORY);
  try {
    fchownSync(descriptor, uid, process.getgid?.() ?? uid);
    fchmodSync(descriptor, isPrivate === true ? 0o700 : 0o775);
  } finally {
    closeSync(descriptor);
  }
}

/** The same for what runs as {@link agentIdentity} whatever it is to see. Who may give nothing away keeps it. */
export function giveToAgent(visible: VisiblePath): void {
  if (process.getuid?.() === 0) giveAway(visible, agentIdentity);
}

function openExactly(path: string, flags: number): number {
  const descriptor = openSync(path, flags | constants.O_NOFOLLOW);
  const name = readlinkSync(`/proc/self/fd/${descriptor}`);
  if (name === path) return descriptor;
  closeSync(descriptor);
  throw new RangeError(`${path} became ${name} while it was looked at`);
}
