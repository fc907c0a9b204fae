import type { Duty, Health } from '@hivekeeper/contract';

const order: readonly Health[] = ['healthy', 'degraded', 'unhealthy', 'gone'];
/** Below it, beats a little late would make somebody unhealthy. */
const leastIntervalMs = 1_000;
const degradedAfterBeats = 2;
const unhealthyAfterBeats = 3.5;
const goneAfterBeats = 30;

/** How somebody fares who promised a beat every `beatIntervalMs` and was silent for `silentMs`. */
export function healthOf(silentMs: number, beatIntervalMs: number): Health {
  const beats = silentMs / Math.max(leastIntervalMs, beatIntervalMs);
  if (beats >= goneAfterBeats) return 'gone';
  if (beats >= unhealthyAfterBeats) return 'unhealthy';
  return beats >= degradedAfterBeats ? 'degraded' : 'healthy';
}

/** The worse of two: what was seen once stays so until the next beat. */
export const worseOf = (one: Health, other: Health): Health => (order.indexOf(one) >= order.indexOf(other) ? one : other);

/** Whether new work may be given to it. */
export const isAvailable = ({ health, duty }: { readonly health: Health; readonly duty: Duty }): boolean =>
  duty === 'active' && (health === 'healthy' || health === 'degraded');
