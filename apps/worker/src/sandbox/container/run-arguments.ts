import type { VisiblePath } from '../process/index.ts';
import { type Container, ownerLabel } from './container.ts';

/** The user of containers: of no account, as in sandboxes; inside and, without a user namespace, outside. */
const user = '65532:65532';
const mostOpenFiles = 4_096;
/** The kernel counts it over all containers of the user; what bounds one of them is `--pids-limit`. */
const mostProcessesOfAll = 4_096;

/** The arguments of `run`, understood by Podman and Docker alike, for the tightest container that both can make. */
export const runArguments = (
  container: Container,
  { name, owner }: { readonly name: string; readonly owner: string },
): readonly string[] => [
  ...['run', '--interactive', '--name', name, '--label', `${ownerLabel}=${owner}`, '--pull', 'never', '--log-driver', 'none'],
  ...['--read-only', '--cap-drop', 'ALL', '--security-opt', 'no-new-privileges', '--user', user, '--hostname', 'agent'],
  ...(container.network ? [] : ['--network', 'none']),
  ...limitArguments(container),
  ...['--env', 'HOME=/tmp', ...Object.keys(container.environment).flatMap((variable) => ['--env', variable])],
  ...container.mounts.flatMap(mountArguments),
  container.image,
  ...container.command,
];

function limitArguments({ limits: { memoryBytes, cpuCores, maxProcesses } }: Container): readonly string[] {
  const memory = String(memoryBytes);
  return [
    ...['--memory', memory, '--memory-swap', memory, '--cpus', String(cpuCores), '--pids-limit', String(maxProcesses)],
    ...['--ulimit', `nofile=${mostOpenFiles}:${mostOpenFiles}`, '--ulimit', `nproc=${mostProcessesOfAll}:${mostProcessesOfAll}`],
    ...['--ulimit', 'core=0:0', '--tmpfs', `/tmp:rw,nosuid,nodev,mode=1777,size=${Math.floor(memoryBytes / 2)}`],
  ];
}

const mountArguments = ({ path, access }: VisiblePath): readonly string[] => [
  '--mount',
  `type=bind,source=${path},target=${path}${access === 'read' ? ',readonly' : ''}`,
];

/** Commas divide the parts of a mount, so a path has none. */
export const isMountable = (path: string): boolean => !/[,"\n]/.test(path);
