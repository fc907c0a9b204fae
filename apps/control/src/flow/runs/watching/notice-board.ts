import { HiveError, type RunId, runIdOfTicket, type RunNotice } from '@hivekeeper/contract';
import type { Clock, Log } from '@hivekeeper/kernel';
import type { TicketStore } from '../../tickets/index.ts';
import type { LiveRun, LiveRuns } from '../live-runs.ts';
import type { RunStore } from '../run-store.ts';
import { onlyOnceAfter, replay, type RunNews } from './notices.ts';
import type { Peers } from './peers.ts';
import { WatchedRun, type Watcher } from './watched-run.ts';

/** What the board needs. */
export interface BoardOptions {
  readonly store: RunStore;
  readonly tickets: TicketStore;
  readonly runs: LiveRuns;
  readonly peers: Pick<Peers, 'announce' | 'tell'>;
  readonly clock: Clock;
  readonly log: Log;
}

// Runs read in one query.
const mostAtOnce = 500;

/**
 * Tells watchers what happens to runs, whichever control plane commits it. Commits of this one are told as they come;
 * for everything else the journal is read: when a peer says that there is news, when a commit does not follow the last
 * one told, and in each round, so that a lost message costs time and nothing else.
 */
export class NoticeBoard {
  readonly #options: BoardOptions;
  readonly #watched = new Map<RunId, WatchedRun>();
  readonly #wanted = new Set<RunId>();
  #isReading = false;

  constructor(options: BoardOptions) {
    this.#options = options;
  }

  /**
   * Tells a watcher every notice after `lastId`, oldest first, beginning before it returns; then what comes. The returned
   * function ends it. @throws HiveError NOT_FOUND
   */
  async watch({ runId, lastId, onNews }: { runId: RunId; lastId?: string | undefined; onNews: Watcher }): Promise<() => void> {
    const watched = this.#watchedRun(runId);
    // Watched first, read second: what is committed in between comes twice, and is let through once.
    const early: RunNews[] = [];
    let tell: Watcher = (news) => void early.push(...news);
    const leave = watched.add((news) => tell(news));
    const stop = () => {
      leave();
      if (!watched.isWatched && this.#watched.get(runId) === watched) this.#watched.delete(runId);
    };
    try {
      const { run, notices } = await this.#recorded(runId);
      const isFresh = onlyOnceAfter(lastId);
      tell = (news) => onNews(news.filter(isFresh));
      tell([...notices, ...early.filter(({ id }) => id !== undefined), ...watched.progress]);
      watched.begin(run);
      this.#want([runId]);
      return stop;
    } catch (error) {
      stop();
      throw error;
    }
  }

  /** Tells what one commit of this control plane brought. */
  post(run: LiveRun, notices: readonly RunNotice[]): void {
    if (this.#watched.get(run.runId)?.post(run, notices) === false) this.#want([run.runId]);
    this.#options.peers.tell(run.runId);
  }

  /** A running attempt told a worker of this control plane how far it is. */
  progressed(runId: RunId): void {
    this.#want([runId]);
    this.#options.peers.tell(runId);
  }

  /** A peer says that a run has news. */
  moved(runId: RunId): void {
    this.#want([runId]);
  }

  /** Looks for what no message told of, and says again what is watched here. Called on a timer. */
  round(): void {
    if (this.#watched.size === 0) return;
    this.#options.peers.announce(this.#watched.keys());
    this.#want(this.#watched.keys());
  }

  #watchedRun(runId: RunId): WatchedRun {
    const known = this.#watched.get(runId);
    if (known !== undefined) return known;
    const watched = new WatchedRun(runId, this.#options.log);
    this.#watched.set(runId, watched);
    this.#options.peers.announce([runId]);
    return watched;
  }

  async #recorded(runId: RunId): Promise<ReturnType<typeof replay>> {
    const { store, runs } = this.#options;
    const stored = await store.load(runId);
    if (stored === undefined) throw new HiveError('NOT_FOUND', `there is no run ${runId}`);
    return replay(runs.begin(stored), stored.commits);
  }

  /** Reads soon what the named runs have new, where they are watched. */
  #want(runIds: Iterable<RunId>): void {
    for (const runId of runIds) if (this.#watched.has(runId)) this.#wanted.add(runId);
    if (!this.#isReading) void this.#read();
  }

  async #read(): Promise<void> {
    this.#isReading = true;
    while (this.#wanted.size > 0) {
      const runIds = [...this.#wanted].slice(0, mostAtOnce);
      for (const runId of runIds) this.#wanted.delete(runId);
      await this.#readNews(runIds).catch((error: unknown) =>
        this.#options.log.warn({ err: error }, 'news of watched runs could not be read; the next round tries again'),
      );
    }
    this.#isReading = false;
  }

  async #readNews(runIds: readonly RunId[]): Promise<void> {
    const { store, tickets, clock } = this.#options;
    // Progress first: what ended meanwhile is known to have once the journal is read.
    const said = Map.groupBy(await tickets.progressOf(runIds), ({ ticketId }) => runIdOfTicket(ticketId));
    const told = runIds.flatMap((runId) => {
      const version = this.#watched.get(runId)?.version;
      // One that is just being opened reads for itself, and wants more after that.
      return version === undefined ? [] : [{ runId, version }];
    });
    const commits = Map.groupBy(await store.commitsAfter(told), ({ runId }) => runId);
    for (const { runId } of told) {
      const watched = this.#watched.get(runId);
      for (const { version, events } of commits.get(runId) ?? []) watched?.takeIn(version, events);
      watched?.takeProgress(said.get(runId) ?? [], clock.nowMs());
    }
  }
}
