import { chmodSync, lstatSync, mkdirSync, realpathSync } from 'node:fs';
import { dirname, isAbsolute, join, resolve, sep } from 'node:path';
import { type AgentManifest, HiveError, type JsonObject } from '@hivekeeper/contract';
import type { VisiblePath } from '../../sandbox/process/index.ts';
import { type Workspace, isBelow, isProtected } from './workspace.ts';

/** These are made of other things inside the sandbox; a grant must not put the host's over them. */
const reserved = ['/proc', '/dev', '/sys', '/usr', '/bin', '/sbin', '/lib', '/lib32', '/lib64', '/libx32', '/etc'];

/** What the grants of one ticket come to. */
export interface Granted {
  readonly visiblePaths: readonly VisiblePath[];
  /** The input with each granted path in its canonical form: inside the sandbox it has no other name. */
  readonly input: JsonObject;
}

/**
 * The paths that the manifest's grants and the input together make visible. A field the input lacks grants nothing. A
 * directory to write that does not exist yet is made, one level at a time from the nearest that exists below a root.
 *
 * @throws HiveError PATH_NOT_ALLOWED naming the field: not an absolute path, not there, outside every root, protected.
 */
export function resolveGrants(grants: AgentManifest['grants'], input: JsonObject, workspace: Workspace): Granted {
  const granted = grants.flatMap(({ field, access }) => {
    const value = Object.hasOwn(input, field) ? input[field] : undefined;
    if (value === undefined || value === null) return [];
    if (typeof value !== 'string' || !isAbsolute(value) || value.includes('\0')) throw refusal(field, 'it is not an absolute path');
    return [{ field, visible: { access, ...canonicalOrRefused(field, resolve(value), { access, workspace }) } }];
  });
  return {
    visiblePaths: granted.map(({ visible }) => visible),
    input: { ...input, ...Object.fromEntries(granted.map(({ field, visible }) => [field, visible.path])) },
  };
}

const refusal = (field: string, reason: string) => new HiveError('PATH_NOT_ALLOWED', `The input's ${field} cannot be granted: ${reason}.`);

type Found = Pick<VisiblePath, 'path' | 'isNew'>;

interface Terms {
  readonly access: 'read' | 'write';
  readonly workspace: Workspace;
}

/** Whatever the file system objects to (a link that leads nowhere, no permission, a name too long) is the input's fault. */
function canonicalOrRefused(field: string, path: string, terms: Terms): Found {
  try {
    return canonical(field, path, terms);
  } catch (error) {
    throw HiveError.is(error) ? error : refusal(field, error instanceof Error ? error.message : String(error));
  }
}

function canonical(field: string, path: string, { access, workspace }: Terms): Found {
  const existing = nearestExisting(path);
  const real = realpathSync(existing);
  if (!workspace.roots.some((root) => isBelow(real, root)))
    throw refusal(field, `it lies outside the workspace roots (${workspace.roots.join(', ')}; --root adds one)`);
  if (isProtected(real, workspace))
    throw refusal(field, 'it lies in a directory that is kept from agents (--protect), and in no root inside of that');
  if (reserved.some((directory) => isBelow(real, directory))) throw refusal(field, 'it belongs to the system');
  if (workspace.isSealed(real)) throw refusal(field, 'the sockets of other agents lie there');
  if (existing === path) return { path: real };
  if (access === 'read') throw refusal(field, 'there is no such file or directory');
  const made = makeBelow(real, path.slice(existing.length).split(sep).filter(Boolean));
  // Somebody may have put a link there in the meantime.
  if (!isBelow(made, real) || isProtected(made, workspace)) throw refusal(field, 'it changed while it was made');
  return { path: made, isNew: true };
}

/** The path itself or the deepest ancestor that is there; a dangling link counts as there, and fails to resolve. */
function nearestExisting(path: string): string {
  return lstatSync(path, { throwIfNoEntry: false }) === undefined && dirname(path) !== path ? nearestExisting(dirname(path)) : path;
}

/** Others may pass, whatever this process's umask: the agent may run as somebody else. */
function makeBelow(directory: string, names: readonly string[]): string {
  return names.reduce((parent, name) => {
    const made = join(parent, name);
    if (mkdirSync(made, { recursive: true }) !== undefined) chmodSync(made, 0o755);
    return realpathSync(made);
  }, directory);
}
