import { lstatSync } from 'node:fs';
import { dirname } from 'node:path';
import type { VisiblePath } from './command.ts';

/** Who a command is outside its sandbox. Inside it is always {@link agentIdentity}. */
export interface Identity {
  readonly uid: number;
  readonly gid: number;
}

/** What permission bits are judged by. */
export interface Ownership extends Identity {
  readonly mode: number;
  readonly isDirectory: boolean;
}

/** The `nonroot` of container images: no account of a distribution has it, so it owns nothing. */
export const agentIdentity: Identity = { uid: 65_532, gid: 65_532 };
const root: Identity = { uid: 0, gid: 0 };

/**
 * Chooses the identity, outside, of a command that root starts: the first that can reach and use every path the command
 * is to see, of {@link agentIdentity}, the owners of those paths, and root without capabilities.
 *
 * Why not always the first: permission bits stay what they are inside a mount namespace. A directory that root keeps to
 * itself (0700, as `mkdtemp` makes them) or that root owns and the agent may write to works for root only, and changing
 * owners of what a person granted is not ours to do. Why the switch comes before bubblewrap and not after: bubblewrap
 * needs a user namespace to forbid further ones, and one that root makes maps the agent to outer uid 0 (measured), which
 * makes it the owner of root's files in whatever it can see. Undefined where nobody can: a person's private directory
 * beside a program in root's. A new directory binds nobody: it will belong to whoever is chosen.
 */
export function chooseIdentity(
  paths: readonly VisiblePath[],
  ownershipOf: (path: string) => Ownership = readOwnership,
): Identity | undefined {
  const known = new Map<string, Ownership>();
  const look = (path: string): Ownership => {
    const found = known.get(path) ?? ownershipOf(path);
    known.set(path, found);
    return found;
  };
  const owners = paths.map(({ path }) => look(path)).filter(({ uid }) => uid !== root.uid);
  return [agentIdentity, ...owners, root].find((identity) => paths.every((visible) => mayUse(identity, visible, look)));
}

/** Of paths that no single account can use, the one to blame: which nobody but its owner can, else which the agent's own cannot. */
export function culpritAmong(
  paths: readonly VisiblePath[],
  ownershipOf: (path: string) => Ownership = readOwnership,
): VisiblePath | undefined {
  const isRefused = (identity: Identity) => (visible: VisiblePath) => !mayUse(identity, visible, ownershipOf);
  return (
    paths.find((visible) => [agentIdentity, root].every((identity) => isRefused(identity)(visible))) ?? paths.find(isRefused(agentIdentity))
  );
}

function mayUse(identity: Identity, { path, access, isNew }: VisiblePath, look: (path: string) => Ownership): boolean {
  const target = look(path);
  const wanted = (access === 'write' ? 0o6 : 0o4) | (target.isDirectory ? 0o1 : 0);
  return (
    (isNew === true || allows(target, identity, wanted)) && ancestorsOf(path).every((ancestor) => allows(look(ancestor), identity, 0o1))
  );
}

/** The kernel's rule for a process without capabilities: the first class that fits decides, even to its harm. */
function allows({ uid, gid, mode }: Ownership, identity: Identity, wanted: number): boolean {
  const shift = identity.uid === uid ? 6 : identity.gid === gid ? 3 : 0;
  return ((mode >> shift) & wanted) === wanted;
}

function ancestorsOf(path: string): readonly string[] {
  const parent = dirname(path);
  return parent === path ? [] : [parent, ...ancestorsOf(parent)];
}

function readOwnership(path: string): Ownership {
  const { uid, gid, mode } = lstatSync(path);
  return { uid, gid, mode, isDirectory: (mode & 0o170000) === 0o040000 };
}
