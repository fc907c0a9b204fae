import { execFile } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';
import type { Clock, Log } from '@hivekeeper/kernel';
import { type BubblewrapFeatures, viewSystem } from './bubblewrap.ts';
import { findCgroupSite, readCgroupView, sweepDeadGroups } from './cgroup-site.ts';
import type { CgroupSite } from './cgroup.ts';
import type { Command, Runner } from './command.ts';
import { type Confinement, newConfinedRunner } from './confined.ts';
import { agentIdentity } from './identity.ts';

/** What this machine can confine a command with. */
export type SandboxProbe = SandboxReport & ({ readonly available: true; readonly runner: Runner } | { readonly available: false });

/** The part of {@link SandboxProbe} that is for people. */
export interface SandboxReport {
  readonly mechanism: 'bubblewrap' | 'none';
  /** What enforces memory, processes and cpu for a whole command; with `none` each process is bounded by itself. */
  readonly cgroup: 'v1' | 'v2' | 'none';
  /** What is missing, or weaker than it could be. */
  readonly reasons: readonly string[];
}

/** What the probe needs. */
export interface ProbeOptions {
  readonly clock: Clock;
  readonly log: Log;
  /** PATH, for bubblewrap itself; of the command's programs nothing is looked up here. */
  readonly searchPath: string;
}

/**
 * Runs one real command in each confinement that could work, the strictest first, and keeps the first that does. A
 * weaker one is never a silent choice: `reasons` names what it lacks.
 */
export async function probeSandbox({ clock, log, searchPath }: ProbeOptions): Promise<SandboxProbe> {
  const find = (program: string) => findProgram(program, searchPath);
  const bubblewrapPath = find('bwrap');
  if (bubblewrapPath === undefined)
    return { available: false, mechanism: 'none', cgroup: 'none', reasons: ['bubblewrap (bwrap) is not on the PATH'] };
  const isRoot = process.getuid?.() === 0;
  const cgroups = findCgroupSite(readCgroupView(), clock);
  if (cgroups !== undefined) await sweepDeadGroups(cgroups);
  const prlimitPath = find('prlimit');
  const least: Confinement = {
    ...{ clock, log, bubblewrapPath, system: viewSystem() },
    features: await featuresOf(bubblewrapPath),
    ...(prlimitPath !== undefined && { prlimitPath }),
  };
  const faults: string[] = [];
  for (const confinement of strictestFirst(least, cgroups, isRoot ? find('setpriv') : undefined)) {
    const runner = newConfinedRunner(confinement);
    const fault = await faultOf(runner);
    if (fault !== undefined) {
      faults.push(fault);
      continue;
    }
    const reasons = [...faults, ...weaknessesOf(confinement, isRoot)];
    return { available: true, mechanism: 'bubblewrap', cgroup: confinement.cgroups?.version ?? 'none', reasons, runner };
  }
  return { available: false, mechanism: 'none', cgroup: 'none', reasons: [...new Set(faults)] };
}

function strictestFirst(least: Confinement, cgroups: CgroupSite | undefined, setprivPath: string | undefined): readonly Confinement[] {
  const bounds = cgroups === undefined ? [{}] : [{ cgroups }, {}];
  const identities = setprivPath === undefined ? [{}] : [{ setprivPath }, {}];
  return bounds.flatMap((bound) => identities.map((identity) => ({ ...least, ...bound, ...identity })));
}

function weaknessesOf({ cgroups, prlimitPath, setprivPath, features }: Confinement, isRoot: boolean): readonly string[] {
  const bound =
    prlimitPath === undefined
      ? 'nothing bounds memory and processes'
      : 'memory and processes are bounded by prlimit, memory for each process by itself';
  return [
    ...(cgroups === undefined ? [`no control group can be made here: ${bound}, cpu is not bounded`] : []),
    ...(isRoot && setprivPath === undefined
      ? ['agents run as root without capabilities, because setpriv is missing or unprivileged user namespaces are refused']
      : []),
    ...(features.canBindDescriptors
      ? []
      : ['this bubblewrap cannot mount by descriptor (0.10 can): an agent could swap a directory beside another agent’s start']),
    ...(features.canForbidUserNamespaces ? [] : ['this bubblewrap cannot forbid further user namespaces (0.8 can)']),
  ];
}

/** Why a confinement does not work here, or does not confine. */
async function faultOf(runner: Runner): Promise<string | undefined> {
  const result = await runner.run(trial, { signal: new AbortController().signal });
  if (result.kind !== 'exited' || result.exitCode !== 0)
    return `a trial command failed (${result.kind}): ${'reason' in result ? result.reason : result.stderrTail.trim()}`;
  const [uid, descriptors = ''] = result.stdout.toString().trim().split('\n');
  if (uid !== String(agentIdentity.uid)) return `a trial command ran as uid ${uid}`;
  // 3 is the listing's own.
  const inherited = descriptors.split(' ').filter((descriptor) => Number(descriptor) > 3);
  return inherited.length > 0 ? `a trial command inherited the descriptors ${inherited.join(', ')}` : undefined;
}

const trial: Command = {
  file: '/bin/sh',
  args: ['-c', 'id -u && cd /proc/self/fd && echo *'],
  environment: { PATH: '/usr/bin:/bin' },
  workingDirectory: '/',
  stdin: '',
  visiblePaths: [],
  hiddenPaths: [],
  network: false,
  limits: { memoryBytes: 64 * 1024 * 1024, cpuCores: 1, maxProcesses: 8, outputBytes: 4_096, wallTimeMs: 10_000, graceMs: 100 },
};

/** The first file of that name on a PATH that this process may execute. */
export function findProgram(program: string, searchPath: string): string | undefined {
  return searchPath
    .split(delimiter)
    .filter((directory) => directory.startsWith('/'))
    .map((directory) => join(directory, program))
    .find(isExecutable);
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

async function featuresOf(bubblewrapPath: string): Promise<BubblewrapFeatures> {
  const { stdout: help } = await promisify(execFile)(bubblewrapPath, ['--help'], { env: {} }).catch(() => ({ stdout: '' }));
  return { canForbidUserNamespaces: help.includes('--disable-userns'), canBindDescriptors: help.includes('--ro-bind-fd') };
}
