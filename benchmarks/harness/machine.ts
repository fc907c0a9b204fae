import { readFileSync } from 'node:fs';
import { cpus, loadavg, release, totalmem } from 'node:os';
import { setTimeout as pause } from 'node:timers/promises';

/** Where the figures come from. */
export interface Machine {
  readonly coreCount: number;
  readonly cpuModel: string;
  readonly kernel: string;
  readonly memoryMebibytes: number;
  readonly nodeVersion: string;
  /** Of 1, 5 and 15 minutes, before anything was measured. */
  readonly loadAverage: readonly number[];
}

export const describeMachine = (): Machine => ({
  coreCount: cpus().length,
  cpuModel: cpus()[0]?.model.trim() ?? 'unknown',
  kernel: release(),
  memoryMebibytes: Math.round(totalmem() / 1_048_576),
  nodeVersion: process.version,
  loadAverage: loadavg().map((load) => Number(load.toFixed(2))),
});

const watchMs = 400;

/**
 * The share (0–1) of all cores that somebody else uses right now. Taken before each measurement, while nothing of ours
 * runs: a load average would also count the measurement before.
 */
export async function othersCpuShare(): Promise<number> {
  const before = readCpuTimes();
  await pause(watchMs);
  const after = readCpuTimes();
  return 1 - (after.idle - before.idle) / Math.max(1, after.total - before.total);
}

function readCpuTimes(): { readonly idle: number; readonly total: number } {
  const times = (/^cpu +(.+)$/m.exec(readFileSync('/proc/stat', 'utf8'))?.[1] ?? '').split(' ').map(Number);
  // user nice system idle iowait irq softirq steal; guest times are part of user's.
  const [idle = 0, iowait = 0] = times.slice(3, 5);
  return { idle: idle + iowait, total: times.slice(0, 8).reduce((sum, time) => sum + time, 0) };
}
