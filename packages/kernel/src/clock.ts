/** A timer that can be taken back. */
export interface Timer extends Disposable {
  cancel(): void;
}

/** Time as a parameter: production passes {@link systemClock}, tests pass a fake that they advance. */
export interface Clock {
  /** Milliseconds since the epoch, by the wall clock. For people and records, never for measuring. */
  nowMs(): number;
  /** Milliseconds of a clock that never jumps. For measuring. */
  monotonicMs(): number;
  /** Calls back once after `delayMs`. The timer does not keep the process alive. */
  after(delayMs: number, callback: () => void): Timer;
  /** Calls back every `intervalMs`. The timer does not keep the process alive. */
  every(intervalMs: number, callback: () => void): Timer;
}

const timerOf = (cancel: () => void): Timer => ({ cancel, [Symbol.dispose]: cancel });

/** The machine's clock. */
export const systemClock: Clock = {
  nowMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  after: (delayMs, callback) => {
    const handle = setTimeout(callback, delayMs);
    handle.unref();
    return timerOf(() => clearTimeout(handle));
  },
  every: (intervalMs, callback) => {
    const handle = setInterval(callback, intervalMs);
    handle.unref();
    return timerOf(() => clearInterval(handle));
  },
};

/** Resolves after `delayMs` of the given clock; rejects with the signal's reason when it aborts first. */
export function pause(clock: Clock, delayMs: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason);
    const timer = clock.after(delayMs, () => {
      signal?.removeEventListener('abort', stop);
      resolve();
    });
    const stop = () => {
      timer.cancel();
      reject(signal?.reason);
    };
    signal?.addEventListener('abort', stop, { once: true });
  });
}
