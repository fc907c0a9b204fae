import type { Clock } from '@hivekeeper/kernel';

/** Calls with a signal that aborts after `delayMs`. */
export async function withDeadline<T>(clock: Clock, delayMs: number, call: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const controller = new AbortController();
  const timer = clock.after(delayMs, () => controller.abort());
  try {
    return await call(controller.signal);
  } finally {
    timer.cancel();
  }
}
