import type { BreakerView } from '@hivekeeper/contract';
import { durationText } from './words.ts';

/** Where a breaker stands, and what it waits for. */
export function breakerText({ state, failureCount, nextTrialAtMs }: BreakerView, nowMs: number): string {
  if (nextTrialAtMs !== undefined)
    return nextTrialAtMs > nowMs ? `${state}, trial in ${durationText(nextTrialAtMs - nowMs)}` : `${state}, trial due`;
  return failureCount === 0 ? state : `${state}, ${failureCount} failed`;
}
