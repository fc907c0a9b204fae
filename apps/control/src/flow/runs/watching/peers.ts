import type { RunId } from '@hivekeeper/contract';
import type { Clock, Log, Timer } from '@hivekeeper/kernel';
import { LRUCache } from 'lru-cache';

/** What control planes on one database say to each other: which runs they watch, that such a run has news, which keys have room. */
export interface PeerMessage {
  readonly watched: readonly RunId[];
  readonly moved: readonly RunId[];
  /** Keys of throttles, each with its tenant. */
  readonly roomy: readonly string[];
}

/** The port to the other control planes. They may hear it, and may not. */
export interface PeerLine {
  /** Says it to all of them but this one. Rejects where nobody can have heard it. */
  say(message: PeerMessage): Promise<void>;
}

/** What {@link Peers} needs. */
export interface PeersOptions {
  readonly line: PeerLine;
  readonly clock: Clock;
  readonly log: Log;
  /** A run that is not named again for so long is watched by nobody elsewhere. */
  readonly forgottenAfterMs: number;
}

// The news of a run that moves fast share messages: a watcher cannot read faster, and its reading costs the database.
const restMs = 50;
const mostWatched = 10_000;

/**
 * The other control planes on this database. They hear of runs that they said they watch, so that nothing is sent where
 * nobody watches. Best effort: nobody waits for what is said here, and whoever watches reads the journal now and then.
 */
export class Peers {
  readonly #options: PeersOptions;
  /** Watched elsewhere. */
  readonly #watched: LRUCache<RunId, true>;
  #watchedHere = new Set<RunId>();
  #moved = new Set<RunId>();
  #roomy = new Set<string>();
  #isSaying = false;
  #isOver = false;
  #rest: Timer | undefined;

  constructor(options: PeersOptions) {
    this.#options = options;
    const perf = { now: () => options.clock.monotonicMs() };
    this.#watched = new LRUCache({ max: mostWatched, ttl: options.forgottenAfterMs, ttlResolution: 0, perf });
  }

  /** Says that these runs are watched here. To be said again, or it is forgotten. */
  announce(runIds: Iterable<RunId>): void {
    for (const runId of runIds) this.#watchedHere.add(runId);
    this.#saySoon();
  }

  /** Says that a run has news, if anybody watches it. */
  tell(runId: RunId): void {
    if (!this.#watched.has(runId)) return;
    this.#moved.add(runId);
    this.#saySoon();
  }

  /** Says that a key may have room. */
  tellRoom(fullKey: string): void {
    this.#roomy.add(fullKey);
    this.#saySoon();
  }

  /** A run is watched elsewhere. The first time, its watcher is told to look: what was stored until now it was not told of. */
  heard(runId: RunId): void {
    const isNew = !this.#watched.has(runId);
    this.#watched.set(runId, true);
    if (isNew) this.tell(runId);
  }

  [Symbol.dispose](): void {
    this.#isOver = true;
    this.#rest?.cancel();
  }

  #saySoon(): void {
    if (this.#isOver || this.#isSaying || this.#watchedHere.size + this.#moved.size + this.#roomy.size === 0) return;
    this.#isSaying = true;
    // What is said in the same turn shares the message.
    queueMicrotask(() => void this.#say());
  }

  async #say(): Promise<void> {
    const { line, clock, log } = this.#options;
    const message = { watched: [...this.#watchedHere], moved: [...this.#moved], roomy: [...this.#roomy] };
    this.#watchedHere = new Set();
    this.#moved = new Set();
    this.#roomy = new Set();
    await line.say(message).catch((error: unknown) => log.warn({ err: error }, 'other control planes could not be told of watched runs'));
    if (this.#isOver) return;
    this.#rest = clock.after(restMs, () => {
      this.#isSaying = false;
      this.#saySoon();
    });
  }
}
