import type { Random } from '@hivekeeper/kernel';

const firstMs = 50;
const longestMs = 2_000;

/** How long to wait before the `attempt`th try in a row (from 1): doubling, capped at two seconds, and each half of it random. */
export function backoffMs(attempt: number, random: Random): number {
  const boundMs = Math.min(longestMs, firstMs * 2 ** Math.min(attempt - 1, 10));
  return Math.round(boundMs / 2 + (random.next() * boundMs) / 2);
}
