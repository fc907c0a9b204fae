import type { HealthPart, Readiness } from '@hivekeeper/contract';
import type { Clock, Timer } from '@hivekeeper/kernel';

/**
 * What one part says of itself. A part that is wanted and whose progress stays the same, round after round, is stalled. Progress is any
 * number that changes whenever the part does its work.
 */
export interface Sign {
  readonly part: HealthPart;
  /** Which thing it is about: there is one sign of it at a time. */
  readonly of: string;
  readonly isWanted: boolean;
  readonly progress: number;
  /** What is wrong if it is stalled; told to everybody, so it names nobody. */
  readonly detail: string;
}

/** What {@link Health} needs. */
export interface HealthOptions {
  readonly clock: Clock;
  /** The signs as they are now; where several are stalled the first is the one to look at. */
  readonly signs: () => readonly Sign[];
  readonly leaseMs: number;
}

const roundMs = 1_000;
const leastRounds = 14;

/**
 * After so many rounds without progress a part is stalled: below the fifteen seconds after which it has to be known, and longer than a
 * healthy installation needs to give a ticket to somebody else whose worker was killed (a lease, a sweep, and a first renewal).
 */
export const roundsUntilStalled = (leaseMs: number): number => Math.max(leastRounds, Math.ceil((1.25 * leaseMs + 1_500) / roundMs));

/** What to do about a part. */
export const remedies: Readonly<Record<HealthPart, string>> = {
  database: 'Look at the disk and the log of PostgreSQL. /ready turns true by itself when a write succeeds.',
  lane: 'Restart the control plane: what was acknowledged is stored, and goes on.',
  driver: 'Restart the control plane: due times are stored, and what is overdue is served at the start.',
  desk: 'Restart the control plane: leases and tickets are in the database.',
  scheduler: 'Restart the worker that hive status shows with a place to spare; if that changes nothing, the control plane.',
  worker:
    'Restart the worker that hive status shows as silent, or that holds tickets and is not seen; its tickets go to others when their leases are over.',
  canary: 'See hive status for the queue, and the log of its workers; restart them, then the control plane.',
};

interface Standing {
  readonly sign: Sign;
  /** Rounds in a row in which it was wanted and made no progress. */
  readonly rounds: number;
}

/**
 * Whether work moves. Counts rounds and not time: a second in which this process, or the whole machine, stood still is not held against
 * the others.
 */
export class Health implements Disposable {
  readonly #options: HealthOptions;
  readonly #timer: Timer;
  #standings: ReadonlyMap<string, Standing> = new Map();

  constructor(options: HealthOptions) {
    this.#options = options;
    this.#timer = options.clock.every(roundMs, () => this.#round());
  }

  /** The first part that is stalled. Says nothing of the database: that is asked by a write. */
  readiness(): Readiness {
    const most = roundsUntilStalled(this.#options.leaseMs);
    for (const { sign, rounds } of this.#standings.values()) {
      if (rounds < most) continue;
      const { part, detail } = sign;
      return { ready: false, part, detail: `${detail}, for ${(rounds * roundMs) / 1_000} s`, remedy: remedies[part] };
    }
    return { ready: true };
  }

  [Symbol.dispose](): void {
    this.#timer.cancel();
  }

  #round(): void {
    const before = this.#standings;
    // In the order of the signs, whichever stood still first: a stalled lane stalls all that comes after it.
    this.#standings = new Map(
      this.#options.signs().map((sign) => {
        const key = sign.of;
        const known = before.get(key);
        const stoodStill = sign.isWanted && known?.sign.isWanted === true && known.sign.progress === sign.progress;
        return [key, { sign, rounds: stoodStill ? known.rounds + 1 : 0 }];
      }),
    );
  }
}
