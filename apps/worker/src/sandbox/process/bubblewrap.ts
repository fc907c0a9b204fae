import { lstatSync, readlinkSync, realpathSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Command, VisiblePath } from './command.ts';
import { agentIdentity } from './identity.ts';

/** What bubblewrap of this machine can do, found once by the probe. */
export interface BubblewrapFeatures {
  /** The command cannot make user namespaces of its own, which are most of the kernel's attack surface. */
  readonly canForbidUserNamespaces: boolean;
  /** It mounts what a descriptor names and nothing that was put in its place since (bubblewrap 0.10, and Debian's 0.8). */
  readonly canBindDescriptors: boolean;
}

/** The first descriptor of a granted path in bubblewrap; 3 carries its report. */
const firstPathDescriptor = 4;

/** A child comes after its parent, or the parent would be mounted over it. Descriptors are passed in this order. */
export const inMountOrder = (paths: readonly VisiblePath[]): readonly VisiblePath[] =>
  paths.toSorted((left, right) => (left.path < right.path ? -1 : 1));

/** Ready-made arguments for the parts of the system that every command sees. */
export interface SystemView {
  readonly always: readonly string[];
  readonly withNetwork: readonly string[];
  readonly withoutNetwork: readonly string[];
}

/** Files of ours that stand in for the host's, so that no account or host name of it is seen. They must be readable. */
export const etcDirectory = fileURLToPath(new URL('etc', import.meta.url));

const systemDirectories = ['/bin', '/sbin', '/lib', '/lib32', '/lib64', '/libx32'];
// Loader, alternatives, certificates; no directory that holds private keys.
const systemFiles = [
  '/etc/ld.so.cache',
  '/etc/ld.so.conf',
  '/etc/ld.so.conf.d',
  '/etc/alternatives',
  '/etc/ssl/certs',
  '/etc/ssl/openssl.cnf',
  '/etc/ca-certificates',
  '/etc/pki/tls/certs',
  '/etc/pki/ca-trust/extracted',
  '/etc/crypto-policies',
  '/etc/mime.types',
];

/** Looks at the machine once: where /bin and its like are links into /usr they become links inside as well. */
export function viewSystem(): SystemView {
  const own = (name: string) => ['--ro-bind', `${etcDirectory}/${name}`, `/etc/${name}`];
  // Often a link to where a resolver keeps it: the file itself is shown under the usual name.
  const host = (name: string) => {
    const target = resolved(`/etc/${name}`);
    return target === undefined ? [] : ['--ro-bind', target, `/etc/${name}`];
  };
  return {
    always: [
      ...['--ro-bind', '/usr', '/usr'],
      ...systemDirectories.flatMap(directoryArguments),
      ...systemFiles.flatMap((path) => ['--ro-bind-try', path, path]),
      ...['passwd', 'group', 'nsswitch.conf'].flatMap(own),
    ],
    withNetwork: ['resolv.conf', 'hosts'].flatMap(host),
    withoutNetwork: own('hosts'),
  };
}

function directoryArguments(path: string): readonly string[] {
  const stat = lstatSync(path, { throwIfNoEntry: false });
  if (stat === undefined) return [];
  return stat.isSymbolicLink() ? ['--symlink', readlinkSync(path), path] : ['--ro-bind', path, path];
}

function resolved(path: string): string | undefined {
  try {
    return realpathSync(path);
  } catch {
    return undefined;
  }
}

/**
 * The arguments that confine a command: every namespace its own, no capability, a root made of nothing but what is named
 * here and read-only itself, and a private /tmp half as large as the memory limit (it counts towards it where there is a
 * memory group). Order matters: a granted path below /tmp must come after /tmp.
 */
export function confinementArguments(command: Command, system: SystemView, features: BubblewrapFeatures): readonly string[] {
  const scratchBytes = String(Math.floor(command.limits.memoryBytes / 2));
  return [
    '--unshare-all',
    ...['--unshare-user', '--uid', String(agentIdentity.uid), '--gid', String(agentIdentity.gid)],
    ...(features.canForbidUserNamespaces ? ['--disable-userns'] : []),
    ...(command.network ? ['--share-net', ...system.withNetwork] : system.withoutNetwork),
    ...['--cap-drop', 'ALL', '--die-with-parent', '--new-session', '--hostname', 'agent'],
    ...system.always,
    ...['--proc', '/proc', '--dev', '/dev', '--size', scratchBytes, '--tmpfs', '/dev/shm', '--remount-ro', '/dev'],
    ...['--size', scratchBytes, '--tmpfs', '/tmp'],
    ...mountArguments(command, features),
    ...command.hiddenPaths.flatMap((path) => ['--remount-ro', path]),
    ...['--remount-ro', '/', '--chdir', command.workingDirectory],
  ];
}

/** What is hidden comes before what is granted inside of it, and after what it lies in. */
function mountArguments({ visiblePaths, hiddenPaths }: Command, { canBindDescriptors }: BubblewrapFeatures): readonly string[] {
  const shown = inMountOrder(visiblePaths).map(({ path, access }, index) => {
    const option = access === 'write' ? '--bind' : '--ro-bind';
    return { path, mount: canBindDescriptors ? [`${option}-fd`, String(firstPathDescriptor + index), path] : [option, path, path] };
  });
  const hidden = hiddenPaths.map((path) => ({ path, mount: ['--tmpfs', path] }));
  return [...hidden, ...shown].toSorted((left, right) => (left.path < right.path ? -1 : 1)).flatMap(({ mount }) => mount);
}
