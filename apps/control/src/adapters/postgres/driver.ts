import type { RunId } from '@hivekeeper/contract';
import { Alarm, type Clock, type Log } from '@hivekeeper/kernel';
import type { Driver, RunStore } from '../../flow/runs/index.ts';

/** What the driver needs. */
export interface DriverOptions {
  readonly store: RunStore;
  readonly clock: Clock;
  readonly log: Log;
  readonly wake: (runId: RunId) => Promise<void>;
  /** Told after every look for due runs, whatever it found. */
  readonly onLook?: () => void;
}

const batch = 500;
// A due time another control plane stored is found at the latest this late, also when its notification was lost.
const longestSleepMs = 5_000;

/** Wakes runs by the due times stored with them: one timer, set to the earliest. */
export function postgresDriver({ store, clock, log, wake, onLook = () => undefined }: DriverOptions): Driver {
  const look = async (): Promise<number> => {
    try {
      const { runIds, nextAtMs = Number.POSITIVE_INFINITY } = await store.due(clock.nowMs(), batch);
      const woken = await Promise.all(runIds.map(tryWake));
      const delayMs = nextAtMs - clock.nowMs();
      // What cannot be woken stays due: asking for it again at once would never end.
      return woken.includes(false) && delayMs <= 0 ? longestSleepMs : delayMs;
    } catch (error) {
      log.warn({ err: error }, 'due runs could not be read; trying again');
      return longestSleepMs;
    } finally {
      onLook();
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

  const alarm = new Alarm({ clock, look, longestSleepMs });
  return {
    wake: (runId) => void tryWake(runId),
    wakeAt: (_runId, atMs) => alarm.ring(atMs - clock.nowMs()),
    [Symbol.asyncDispose]: () => alarm[Symbol.asyncDispose](),
  };
}
