import { existsSync, mkdirSync, readFileSync, rmdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Clock } from '@hivekeeper/kernel';
import { type Cgroup, type CgroupSite, childrenOf, control, counterOf, groupNames, removeGroup, taskAllowance } from './cgroup.ts';

const periodUs = 100_000;

type Controller = 'memory' | 'pids' | 'cpu';

/** One hierarchy a controller. Memory and pids must be had; cpu is used where it is there. */
export function cgroupV1(places: ReadonlyMap<string, readonly string[]>, clock: Clock): CgroupSite | undefined {
  const nextName = groupNames(clock);
  const base = new Map<Controller, string>();
  for (const controller of ['memory', 'pids', 'cpu'] as const) {
    const place = places.get(controller)?.find((candidate) => canMakeGroups(join(candidate, nextName())));
    if (place !== undefined) base.set(controller, place);
  }
  const [memory, pids] = [base.get('memory'), base.get('pids')];
  if (memory === undefined || pids === undefined) return undefined;
  const directoriesOf = (name: string) => new Map([...base].map(([controller, place]) => [controller, join(place, name)]));
  return {
    version: 'v1',
    list: () => [...new Set([...base.values()].flatMap(childrenOf))],
    open: (name) => groupAt(directoriesOf(name), clock),
    create: (limits) => {
      const name = nextName();
      const directories = directoriesOf(name);
      for (const directory of directories.values()) mkdirSync(directory);
      limitMemory(join(memory, name), limits.memoryBytes);
      control(join(pids, name), 'pids.max', limits.maxProcesses + taskAllowance);
      const cpu = directories.get('cpu');
      if (cpu !== undefined) {
        control(cpu, 'cpu.cfs_period_us', periodUs);
        control(cpu, 'cpu.cfs_quota_us', Math.max(1_000, Math.round(limits.cpuCores * periodUs)));
      }
      return groupAt(directories, clock);
    },
  };
}

function limitMemory(directory: string, memoryBytes: number): void {
  control(directory, 'memory.limit_in_bytes', memoryBytes);
  // Absent where the kernel does not account for swap.
  if (existsSync(join(directory, 'memory.memsw.limit_in_bytes'))) control(directory, 'memory.memsw.limit_in_bytes', memoryBytes);
}

function groupAt(directories: ReadonlyMap<Controller, string>, clock: Clock): Cgroup {
  return {
    // `tasks` and 0: a thread that moves itself spares the kernel the lock that moving a process takes (an RCU grace period).
    joinFiles: [...directories.values()].map((directory) => join(directory, 'tasks')),
    hadMemoryKill: () => counterOf(directories.get('memory') ?? '', 'memory.oom_control', 'oom_kill') > 0,
    killAll: () => killMembers(directories.get('pids') ?? ''),
    remove: async () => {
      await Promise.all([...directories.values()].map((directory) => removeGroup(directory, clock)));
    },
  };
}

/** v1 has no kill switch: first no member may fork any more, then all that are listed are all there are. */
function killMembers(directory: string): void {
  try {
    control(directory, 'pids.max', 0);
    for (const pid of readFileSync(join(directory, 'cgroup.procs'), 'utf8').split('\n').filter(Boolean)) killOne(Number(pid));
  } catch {
    // ENOENT: the group is gone.
  }
}

function killOne(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // ESRCH: it ended by itself.
  }
}

/** Only trying tells: ownership, read-only mounts and namespaces all have a say. */
function canMakeGroups(attempt: string): boolean {
  try {
    mkdirSync(attempt);
    rmdirSync(attempt);
    return true;
  } catch {
    return false;
  }
}
