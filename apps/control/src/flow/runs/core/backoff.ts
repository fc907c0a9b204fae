import type { RetryPolicy, TicketId } from '@hivekeeper/contract';

/** No pause is longer than a day, however often the factor was applied. */
export const maxPauseMs = 86_400_000;

/**
 * The pause after the `failureCount`-th failure of a slot, in milliseconds: `backoffMs · factor^(failureCount − 1)`, at
 * most {@link maxPauseMs}, spread by ± `jitterRatio`. The spread comes from the failed ticket's id, so that tickets that
 * failed together come back apart and the same journal always gives the same times.
 */
export function pauseMsOf(policy: RetryPolicy, failureCount: number, ticketId: TicketId): number {
  const pauseMs = Math.min(policy.backoffMs * policy.factor ** (failureCount - 1), maxPauseMs);
  return Math.round(pauseMs * (1 + policy.jitterRatio * (2 * shareOf(ticketId) - 1)));
}

/** A share in [0, 1) that depends on the text alone: FNV-1a, then a finaliser, since ids of one run differ in their last digits only. */
function shareOf(text: string): number {
  let hash = 0x811c9dc5;
  for (let at = 0; at < text.length; at += 1) hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return ((hash ^ (hash >>> 16)) >>> 0) / 2 ** 32;
}
