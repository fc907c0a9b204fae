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
  const looking = new Set<Promise<void>>();

  const set = (atMs: number) => {
    if (isClosed || atMs >= dueAtMs) return;
    dueAtMs = atMs;
    timer?.cancel();
    timer = clock.after(Math.max(0, Math.min(atMs - clock.nowMs(), longestSleepMs)), () => {
      dueAtMs = Number.POSITIVE_INFINITY;
      const look = lookAndSet().finally(() => looking.delete(look));
      looking.add(look);
    });
  };

  const lookAndSet = async () => {
    const soonestMs = clock.nowMs() + longestSleepMs;
    try {
      const { runIds, nextAtMs = soonestMs } = await store.due(clock.nowMs(), batch);
      const woken = await Promise.all(runIds.map(tryWake));
      // What cannot be woken stays due: asking for it again at once would never end.
      set(woken.includes(false) && nextAtMs <= clock.nowMs() ? soonestMs : nextAtMs);
    } catch (error) {
      log.warn({ err: error }, 'due runs could not be read; trying again');
      set(soonestMs);
    }
  };

  const tryWake = (runId: RunId): Promise<boolean> =>
    wake(runId).then(
      () => true,
      (error: unknown) => {
        log.warn({ err: error, runId }, 'a run could not be woken; trying again');
        return false;
      },
    );

  set(clock.nowMs());
  return {
    wake: (runId) => void tryWake(runId),
    wakeAt: (_runId, atMs) => set(atMs),
    [Symbol.asyncDispose]: async () => {
      isClosed = true;
      timer?.cancel();
      await Promise.all(looking);
    },
  };
}
