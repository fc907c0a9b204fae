import type { Random } from '@hivekeeper/kernel';

const firstDelayMs = 250;
const maxDelayMs = 10_000;

/** How long to wait after so many failures in a row: doubling, and spread so that a fleet does not return as one. */
export const backoffMs = (failureCount: number, random: Random): number =>
  Math.min(maxDelayMs, firstDelayMs * 2 ** Math.max(0, failureCount - 1)) * (0.5 + random.next() / 2);
