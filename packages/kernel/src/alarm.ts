import type { Clock, Timer } from './clock.ts';

/** What an {@link Alarm} needs. */
export interface AlarmOptions {
  readonly clock: Clock;
  /** Looks what is due, deals with it, and gives the milliseconds until the next look is wanted. Must not reject. */
  readonly look: () => Promise<number>;
  /** No look is further away: what nobody told of is found so late at the latest. */
  readonly longestSleepMs: number;
}

/**
 * One timer for many due times, set to the earliest that anybody named. The first look comes at once, and never two are
 * under way.
 */
export class Alarm implements AsyncDisposable {
  readonly #options: AlarmOptions;
  #atMs = Number.POSITIVE_INFINITY;
  #timer: Timer | undefined;
  #isLooking = false;
  #look: Promise<void> = Promise.resolve();
  #isClosed = false;

  constructor(options: AlarmOptions) {
    this.#options = options;
    this.ring(0);
  }

  /** Looks in `delayMs`, where it would not sooner. */
  ring(delayMs: number): void {
    const { clock, longestSleepMs } = this.#options;
    const atMs = clock.monotonicMs() + Math.max(0, Math.min(delayMs, longestSleepMs));
    if (atMs >= this.#atMs) return;
    this.#atMs = atMs;
    if (!this.#isLooking) this.#set();
  }

  /** Resolves when the look under way is done. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosed = true;
    this.#timer?.cancel();
    await this.#look;
  }

  #set(): void {
    const { clock } = this.#options;
    this.#timer?.cancel();
    if (this.#isClosed) return;
    this.#timer = clock.after(Math.max(0, this.#atMs - clock.monotonicMs()), () => {
      this.#isLooking = true;
      this.#atMs = Number.POSITIVE_INFINITY;
      this.#look = this.#lookOnce();
    });
  }

  async #lookOnce(): Promise<void> {
    this.ring(await this.#options.look());
    this.#isLooking = false;
    this.#set();
  }
}
