import type { AttemptProgress, RunEvent, RunId, RunNotice, TicketId } from '@hivekeeper/contract';
import type { Log } from '@hivekeeper/kernel';
import type { TicketProgress } from '../../tickets/index.ts';
import type { RunState } from '../core/index.ts';
import type { LiveRun } from '../live-runs.ts';
import { numberNotices, replay, type RunNews } from './notices.ts';

/** Hears a run's news, in order. */
export type Watcher = (news: readonly RunNews[]) => void;

/**
 * One run as its watchers here know it. They hear every commit once and in order: one that does not follow the last is
 * not told, and whoever brought it reads what is missing from the journal.
 */
export class WatchedRun {
  readonly runId: RunId;
  readonly #log: Log;
  readonly #watchers = new Set<Watcher>();
  /** The run as of the last commit told; undefined while it is read for the first time. */
  #run: LiveRun | undefined;
  #progress: ReadonlyMap<TicketId, AttemptProgress> = new Map();

  constructor(runId: RunId, log: Log) {
    this.runId = runId;
    this.#log = log;
  }

  /** The last commit told; undefined before {@link begin}. */
  get version(): number | undefined {
    return this.#run?.version;
  }

  get isWatched(): boolean {
    return this.#watchers.size > 0;
  }

  /** What running attempts last said. */
  get progress(): readonly RunNews[] {
    return [...this.#progress.values()].map((notice) => ({ notice }));
  }

  /** The returned function ends it. */
  add(watcher: Watcher): () => void {
    this.#watchers.add(watcher);
    return () => void this.#watchers.delete(watcher);
  }

  /** Tells what comes after this state of the run; where it was begun before, nothing changes. */
  begin(run: LiveRun): void {
    this.#run ??= run;
  }

  /** Tells a commit where it follows the last one told. True where nothing before it is missing. */
  post(run: LiveRun, notices: readonly RunNotice[]): boolean {
    if (this.#run === undefined || run.version > this.#run.version + 1) return false;
    if (run.version === this.#run.version + 1) {
      this.#run = run;
      this.#tell(numberNotices(run.version, notices));
    }
    return true;
  }

  /** Tells a commit read from the journal where it follows the last one told. */
  takeIn(version: number, events: readonly RunEvent[]): void {
    if (this.#run?.version !== version - 1) return;
    const { run, notices } = replay(this.#run, [events]);
    this.#run = run;
    this.#tell(notices);
  }

  /** Tells what is new in all that running attempts say now. */
  takeProgress(rows: readonly TicketProgress[], atMs: number): void {
    const before = this.#progress;
    const said = rows.flatMap((row) => progressOf(row, this.#run?.state, atMs));
    this.#progress = new Map(said.map((notice) => [notice.ticketId, notice]));
    const fresh = said.filter(({ ticketId, progress }) => JSON.stringify(before.get(ticketId)?.progress) !== JSON.stringify(progress));
    if (fresh.length > 0) this.#tell(fresh.map((notice) => ({ notice })));
  }

  #tell(news: readonly RunNews[]): void {
    for (const watcher of this.#watchers) {
      try {
        watcher(news);
      } catch (error) {
        // The others must not miss it.
        this.#log.error({ err: error, runId: this.runId }, 'a watcher failed');
      }
    }
  }
}

/** Nothing for a ticket that ended, or that the state does not know yet: what was said of it came out of order. */
function progressOf({ ticketId, progress }: TicketProgress, state: RunState | undefined, atMs: number): AttemptProgress[] {
  const ticket = state?.tickets[Number(ticketId.slice(ticketId.lastIndexOf('.') + 1))];
  if (ticket === undefined || ticket.end !== undefined) return [];
  const { nodeId, slot, attempt } = ticket;
  return [{ type: 'attempt.progressed', atMs, nodeId, slot, attempt, ticketId, progress }];
}
