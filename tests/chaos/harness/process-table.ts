import { readdirSync, readFileSync } from 'node:fs';

const read = (path: string): string => {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return '';
  }
};

/** The state letter of /proc/<pid>/stat; '' where there is no such process. */
export const stateOf = (pid: number): string => read(`/proc/${pid}/stat`).split(') ').at(-1)?.[0] ?? '';

/** True while the process exists and is no zombie. */
export const isAlive = (pid: number): boolean => !['', 'Z', 'X'].includes(stateOf(pid));

/** Every process below this one, nearest first. */
export function below(pid: number): readonly number[] {
  const children = childrenOf(pid);
  return [...children, ...children.flatMap((child) => [...below(child)])];
}

/** The program's name as the kernel has it: of a script, the script's. */
export const nameOf = (pid: number): string => read(`/proc/${pid}/comm`).trim();

/** What it was started with, the program first. */
export const commandLineOf = (pid: number): readonly string[] => read(`/proc/${pid}/cmdline`).split('\0');

function childrenOf(pid: number): readonly number[] {
  return threadsOf(pid).flatMap((thread) =>
    read(`/proc/${pid}/task/${thread}/children`)
      .split(' ')
      .filter((word) => word !== '')
      .map(Number),
  );
}

function threadsOf(pid: number): readonly string[] {
  try {
    return readdirSync(`/proc/${pid}/task`);
  } catch {
    return [];
  }
}
