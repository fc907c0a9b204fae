import { existsSync, mkdirSync, readFileSync, rmdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Clock } from '@hivekeeper/kernel';
import { type Cgroup, type CgroupSite, childrenOf, control, counterOf, groupNames, removeGroup, taskAllowance } from './cgroup.ts';

const periodUs = 100_000;
const needed = ['memory', 'pids', 'cpu'];

/** The unified hierarchy, at the first place that can hand all three controllers to its children. */
export function cgroupV2(places: readonly string[], clock: Clock): CgroupSite | undefined {
  const nextName = groupNames(clock);
  const base = places.find((place) => canHandOnControllers(place, nextName()));
  if (base === undefined) return undefined;
  return {
    version: 'v2',
    list: () => childrenOf(base),
    open: (name) => groupAt(join(base, name), clock),
    create: (limits) => {
      const directory = join(base, nextName());
      mkdirSync(directory);
      control(directory, 'memory.max', limits.memoryBytes);
      // Absent where the kernel was built without swap.
      if (existsSync(join(directory, 'memory.swap.max'))) control(directory, 'memory.swap.max', 0);
      // A command that lost one process to the limit is lost: better all of it than a parent that waits for ever.
      control(directory, 'memory.oom.group', 1);
      control(directory, 'pids.max', limits.maxProcesses + taskAllowance);
      control(directory, 'cpu.max', `${Math.max(1_000, Math.round(limits.cpuCores * periodUs))} ${periodUs}`);
      return groupAt(directory, clock);
    },
  };
}

function groupAt(directory: string, clock: Clock): Cgroup {
  return {
    joinFiles: [join(directory, 'cgroup.procs')],
    hadMemoryKill: () => counterOf(directory, 'memory.events', 'oom_kill') > 0,
    killAll: () => {
      try {
        control(directory, 'cgroup.kill', 1);
      } catch {
        // ENOENT: the group is gone.
      }
    },
    remove: () => removeGroup(directory, clock),
  };
}

/** Only trying tells: ownership, read-only mounts, namespaces and processes in the group all have a say. */
function canHandOnControllers(place: string, name: string): boolean {
  const attempt = join(place, name);
  try {
    const words = (file: string) => readFileSync(join(place, file), 'utf8').split(/\s+/);
    const offered = words('cgroup.controllers');
    if (!needed.every((controller) => offered.includes(controller))) return false;
    const missing = needed.filter((controller) => !words('cgroup.subtree_control').includes(controller));
    if (missing.length > 0) control(place, 'cgroup.subtree_control', missing.map((controller) => `+${controller}`).join(' '));
    mkdirSync(attempt);
    rmdirSync(attempt);
    return true;
  } catch {
    return false;
  }
}
