// So that seconds fit the column until 2093.
const beginningMs = Date.UTC(2025, 0, 1);

/** Two restores that began at least this far apart have different epochs. */
export const epochTickMs = 1_000;

/**
 * The epoch a restore gives: larger than any that was ever in use, though neither the backup nor the data directory knows them all, for an
 * older backup may have been restored elsewhere in between. So it is taken from the clock, and from what is known where the clock is behind.
 */
export const epochAfter = (nowMs: number, known: readonly number[]): number =>
  Math.max(Math.floor((nowMs - beginningMs) / epochTickMs), ...known.map((epoch) => epoch + 1));
