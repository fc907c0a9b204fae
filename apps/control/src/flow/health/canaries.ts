import type { CanaryView, Failure } from '@hivekeeper/contract';
import type { Clock, Log, Timer } from '@hivekeeper/kernel';
import type { Sign } from './health.ts';

/** What a canary came to. `unserved`: it ended, and no worker had settled it. */
export type CanaryEnd = { readonly kind: 'settled'; readonly error?: Failure | undefined } | { readonly kind: 'unserved' };

/** What {@link Canaries} needs. */
export interface CanariesOptions {
  /** The queues that workers serve here, now. */
  readonly queues: () => readonly string[];
  /** True where a worker that is connected here could begin a ticket of the queue. */
  readonly hasFreeWorker: (queue: string) => boolean;
  /** Sends one through the queue, all the way; resolves with its end. */
  readonly send: (queue: string) => Promise<CanaryEnd>;
  readonly clock: Clock;
  readonly log: Log;
  /** Between two of one queue; 0: none are sent. */
  readonly intervalMs: number;
}

// One after the other: at once they would open connections that nothing else needs. One that hangs holds the next up no longer.
const patienceMs = 2_000;

interface Flock {
  isUnderWay: boolean;
  settledCount: number;
  last?: { readonly endedAtMs: number; readonly latencyMs: number; readonly error?: Failure | undefined };
}

/**
 * Sends a ticket of ours through each queue, one at a time, on the way that every ticket goes: what it measures is what others meet. A
 * queue that no worker serves any more is forgotten.
 */
export class Canaries implements Disposable {
  readonly #options: CanariesOptions;
  readonly #flocks = new Map<string, Flock>();
  readonly #timer: Timer | undefined;
  #isOver = false;

  constructor(options: CanariesOptions) {
    this.#options = options;
    if (options.intervalMs > 0) this.#timer = options.clock.every(options.intervalMs, () => void this.#sendAll());
  }

  /** Every queue that had one since its workers came, in the order of names. */
  views(): CanaryView[] {
    return [...this.#flocks]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([queue, { isUnderWay, last }]) => {
        if (last === undefined) return { queue, isUnderWay };
        const { endedAtMs, latencyMs, error } = last;
        return {
          queue,
          isUnderWay,
          endedAtMs,
          latencyMs,
          ...(error !== undefined && { error: { code: error.code, message: error.message } }),
        };
      });
  }

  /** One a queue. Where every worker is busy a canary waits like everybody, and is not held against anybody. */
  signs(): Sign[] {
    return [...this.#flocks].map(([queue, { isUnderWay, settledCount }]) => ({
      part: 'canary',
      of: `canary ${queue}`,
      isWanted: isUnderWay && this.#options.hasFreeWorker(queue),
      progress: settledCount,
      detail: `the canary that requires ${queue} is overdue, though a worker has a place`,
    }));
  }

  [Symbol.dispose](): void {
    this.#isOver = true;
    this.#timer?.cancel();
  }

  async #sendAll(): Promise<void> {
    const queues = this.#options.queues();
    for (const queue of this.#flocks.keys()) if (!queues.includes(queue)) this.#flocks.delete(queue);
    for (const queue of queues) {
      if (this.#isOver) return;
      const flock = this.#flocks.get(queue) ?? { isUnderWay: false, settledCount: 0 };
      this.#flocks.set(queue, flock);
      if (!flock.isUnderWay) await this.#endedOrLate(this.#send(queue, flock));
    }
  }

  #endedOrLate(sent: Promise<void>): Promise<void> {
    return new Promise((resolve) => {
      const timer = this.#options.clock.after(patienceMs, resolve);
      void sent.then(() => {
        timer.cancel();
        resolve();
      });
    });
  }

  async #send(queue: string, flock: Flock): Promise<void> {
    const { send, clock, log } = this.#options;
    const beganAtMs = clock.monotonicMs();
    flock.isUnderWay = true;
    try {
      const end = await send(queue);
      if (end.kind === 'unserved') return;
      flock.settledCount += 1;
      flock.last = { endedAtMs: clock.nowMs(), latencyMs: Math.round(clock.monotonicMs() - beganAtMs), error: end.error };
    } catch (error) {
      log.warn({ err: error, queue }, 'a canary could not be sent; the next one is sent in its time');
    } finally {
      flock.isUnderWay = false;
    }
  }
}
