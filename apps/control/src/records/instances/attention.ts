import type { Clock } from '@hivekeeper/kernel';

/**
 * Time in which this process could hear. Whoever stood still (a long computation, a stopped process, a sleeping machine) heard
 * nobody, so that time proves nothing about others: between two looks at the clock at most `mostMs` count. It must be looked at
 * more often than that, by a timer.
 */
export class Attention {
  readonly #clock: Clock;
  readonly #mostMs: number;
  #lookedAtMs: number;
  #heedfulMs = 0;
  #lostMs = 0;

  constructor(clock: Clock, mostMs: number) {
    this.#clock = clock;
    this.#mostMs = mostMs;
    this.#lookedAtMs = clock.monotonicMs();
  }

  /** Milliseconds of attention since the beginning; never decreases. */
  nowMs(): number {
    const atMs = this.#clock.monotonicMs();
    const passedMs = atMs - this.#lookedAtMs;
    this.#lookedAtMs = atMs;
    this.#heedfulMs += Math.min(passedMs, this.#mostMs);
    this.#lostMs += Math.max(0, passedMs - this.#mostMs);
    return this.#heedfulMs;
  }

  /** Milliseconds that did not count. */
  get lostMs(): number {
    return this.#lostMs;
  }
}
