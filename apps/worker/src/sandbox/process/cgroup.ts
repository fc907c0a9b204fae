import { readFileSync, readdirSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Clock, pause } from '@hivekeeper/kernel';
import type { CommandLimits } from './command.ts';

/** A control group made for one command. */
export interface Cgroup {
  /** A single-threaded process joins by writing 0 into each. */
  readonly joinFiles: readonly string[];
  /** True where the kernel killed a member because the memory limit was reached. */
  hadMemoryKill(): boolean;
  killAll(): void;
  /** Gone when it resolves; a group that the kernel holds on to for longer is left to the next start's sweep. */
  remove(): Promise<void>;
}

/** A place in the hierarchy where this process may make groups. */
export interface CgroupSite {
  readonly version: 'v1' | 'v2';
  create(limits: Pick<CommandLimits, 'memoryBytes' | 'cpuCores' | 'maxProcesses'>): Cgroup;
  /** Names of the groups there. */
  list(): readonly string[];
  /** A group that exists. */
  open(name: string): Cgroup;
}

/** Added to `maxProcesses`: bubblewrap's own two, and the threads that a runtime such as V8 starts on its own. */
export const taskAllowance = 32;

/** Names for this process's groups: they tell whose they are, so that the groups of the dead can be swept. */
export function groupNames(clock: Clock): () => string {
  const prefix = `hive-${process.pid}-${clock.nowMs().toString(36)}`;
  let count = 0;
  return () => `${prefix}-${count++}`;
}

/** The process that made a group of that name, where it was one of ours. */
export function ownerOfGroup(name: string): number | undefined {
  const pid = /^hive-(\d+)-[0-9a-z]+-\d+$/.exec(name)?.[1];
  return pid === undefined ? undefined : Number(pid);
}

/** Writes one control file; where it does not exist or refuses, the error says which. */
export const control = (directory: string, file: string, value: string | number): void =>
  writeFileSync(join(directory, file), String(value));

/** One number of a `name value` file such as memory.events; 0 where there is none. */
export function counterOf(directory: string, file: string, name: string): number {
  try {
    const line = readFileSync(join(directory, file), 'utf8')
      .split('\n')
      .find((candidate) => candidate.startsWith(`${name} `));
    return Number(line?.split(' ')[1] ?? 0);
  } catch {
    return 0;
  }
}

/** The directories below one. */
export function childrenOf(directory: string): readonly string[] {
  try {
    return readdirSync(directory, { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map((entry) => entry.name);
  } catch {
    return [];
  }
}

// A group stays busy until the kernel has reaped its dead: measured under 1 ms, seldom 20 ms, so about a second in all.
const busyDelaysMs = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512];

/** Removes a group that holds no living process; gives up on one that stays busy. */
export async function removeGroup(directory: string, clock: Clock): Promise<void> {
  for (const delayMs of busyDelaysMs) {
    try {
      return rmdirSync(directory);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EBUSY') return;
      await pause(clock, delayMs);
    }
  }
}
