import type { NodeStatus } from '@hivekeeper/contract';
import type { Colors } from '../output.ts';

/** A duration for people: `0.8 s`, `12 s`, `3 min 20 s`, `5 h 2 min`. */
export function durationText(durationMs: number): string {
  const seconds = Math.max(0, durationMs) / 1_000;
  if (seconds < 9.95) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  if (whole < 3_600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  if (whole < 172_800) return `${Math.floor(whole / 3_600)} h ${Math.floor((whole % 3_600) / 60)} min`;
  return `${Math.floor(whole / 86_400)} d ${Math.floor((whole % 86_400) / 3_600)} h`;
}

/** How long ago: `now`, `4 min ago`, `3 d ago`. */
export function agoText(atMs: number, nowMs: number): string {
  const seconds = Math.floor((nowMs - atMs) / 1_000);
  if (seconds < 1) return 'now';
  const [size, unit] = seconds < 60 ? [1, 's'] : seconds < 3_600 ? [60, 'min'] : seconds < 86_400 ? [3_600, 'h'] : [86_400, 'd'];
  return `${Math.floor(seconds / Number(size))} ${unit} ago`;
}

/** A size for people: `812 B`, `3.4 MB`. */
export function bytesText(sizeBytes: number): string {
  const [size, unit] = sizeBytes < 1_000 ? [1, 'B'] : sizeBytes < 1e6 ? [1e3, 'kB'] : sizeBytes < 1e9 ? [1e6, 'MB'] : [1e9, 'GB'];
  return `${(sizeBytes / Number(size)).toFixed(size === 1 ? 0 : 1)} ${unit}`;
}

/** Time of day with milliseconds, UTC. */
export const timeText = (atMs: number): string => new Date(atMs).toISOString().slice(11, 23);

/** A status in its colour. */
export function statusText(status: NodeStatus, colors: Colors): string {
  if (status === 'SUCCESS') return colors.green(status);
  if (status === 'FAILED' || status === 'TIMED_OUT') return colors.red(status);
  if (status === 'RUNNING' || status === 'WAITING_APPROVAL') return colors.cyan(status);
  return colors.dim(status);
}

/** One line, cut to a width in characters. */
export function cutText(text: string, maxLength: number): string {
  const line = text.replaceAll(/\s+/g, ' ').trim();
  return line.length <= maxLength ? line : `${line.slice(0, Math.max(0, maxLength - 1))}…`;
}
