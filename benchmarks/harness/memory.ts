import { readFileSync, readdirSync } from 'node:fs';

/** Proportional set size, in MiB, of a process and all its descendants; processes that end meanwhile count nothing. */
export function treePssMebibytes(rootPid: number): number {
  const kibibytes = [...descendants(rootPid)].reduce((sum, pid) => sum + pssKibibytes(pid), 0);
  return kibibytes / 1_024;
}

/** The process and everything it started, also across process groups and sessions. */
export function descendants(rootPid: number): ReadonlySet<number> {
  const children = Map.groupBy(processTable(), (row) => row.parentPid);
  const found = new Set([rootPid]);
  for (const pid of found) for (const child of children.get(pid) ?? []) found.add(child.pid);
  return found;
}

function processTable(): { pid: number; parentPid: number }[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map((name) => ({ pid: Number(name), parentPid: parentOf(Number(name)) }));
}

function parentOf(pid: number): number {
  const stat = readIfThere(`/proc/${pid}/stat`);
  // The command, in parentheses, may itself hold spaces and parentheses; state and parent follow the last one.
  return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1] ?? 0);
}

function pssKibibytes(pid: number): number {
  return Number(/^Pss:\s+(\d+) kB/m.exec(readIfThere(`/proc/${pid}/smaps_rollup`))?.[1] ?? 0);
}

function readIfThere(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
