import type { Clock } from '@hivekeeper/kernel';

/**
 * Time in which this process could hear. Whoever stood still (a long computation, a stopped process, a sleeping machine), or was too
 * busy to come round, heard nobody, so that time proves nothing about others: from one look to the next at most `mostMs` count. A timer
 * looks, and nobody else: between two of its looks the event loop came by every socket that had something to say.
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

  /** Counts what has passed since the last look. */
  look(): void {
    const atMs = this.#clock.monotonicMs();
    const passedMs = atMs - this.#lookedAtMs;
    this.#lookedAtMs = atMs;
    this.#heedfulMs += Math.min(passedMs, this.#mostMs);
    this.#lostMs += Math.max(0, passedMs - this.#mostMs);
  }

  /** Milliseconds of attention from the beginning to the last look; never decreases. */
  nowMs(): number {
    return this.#heedfulMs;
  }

  /** Milliseconds that did not count. */
  get lostMs(): number {
    return this.#lostMs;
  }
}
