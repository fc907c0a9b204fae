import type { RunId } from '@hivekeeper/contract';
import type { Clock, Log, Timer } from '@hivekeeper/kernel';
import type { Driver, RunStore } from '../../flow/runs/index.ts';

/** What the driver needs. */
export interface DriverOptions {
  readonly store: RunStore;
  readonly clock: Clock;
  readonly log: Log;
  readonly wake: (runId: RunId) => Promise<void>;
}

const batch = 500;
// A due time another control plane stored is found at the latest this late, also when its notification was lost.
const longestSleepMs = 5_000;

/** Wakes runs by the due times stored with them: one timer, set to the earliest. */
export function postgresDriver({ store, clock, log, wake }: DriverOptions): Driver {
  let timer: Timer | undefined;
  let dueAtMs = Number.POSITIVE_INFINITY;
  let isClosed = false;

  const set = (atMs: number) => {
    if (isClosed || atMs >= dueAtMs) return;
    dueAtMs = atMs;
    timer?.cancel();
    timer = clock.after(Math.max(0, Math.min(atMs - clock.nowMs(), longestSleepMs)), () => void look());
  };

  const look = async () => {
    dueAtMs = Number.POSITIVE_INFINITY;
    try {
      const { runIds, nextAtMs } = await store.due(clock.nowMs(), batch);
      await Promise.all(runIds.map(tryWake));
      set(runIds.length === batch ? clock.nowMs() : (nextAtMs ?? clock.nowMs() + longestSleepMs));
    } catch (error) {
      log.warn({ err: error }, 'due runs could not be read; trying again');
      set(clock.nowMs() + longestSleepMs);
    }
  };

  const tryWake = (runId: RunId) => wake(runId).catch((error: unknown) => log.warn({ err: error, runId }, 'a run could not be woken; trying again'));

  set(clock.nowMs());
  return {
    wake: (runId) => void tryWake(runId),
    wakeAt: (_runId, atMs) => set(atMs),
    [Symbol.asyncDispose]: async () => {
      isClosed = true;
      timer?.cancel();
    },
  };
}
