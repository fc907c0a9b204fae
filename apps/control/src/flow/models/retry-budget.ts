const perCall = 0.2;
const most = 10;

/**
 * How many calls may be made again: one for every five that were made, and ten at once at most. An outage of everything
 * costs its providers no more than 1.2 times the calls, and ten.
 */
export class RetryBudget {
  #left = most;

  /** Counts a call. */
  earn(): void {
    this.#left = Math.min(most, this.#left + perCall);
  }

  /** Takes one more try; false where there is none. */
  take(): boolean {
    if (this.#left < 1) return false;
    this.#left -= 1;
    return true;
  }
}
