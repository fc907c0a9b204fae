import type { Clock, Log } from '@hivekeeper/kernel';
import type { Postmaster, PostmasterExit } from './postmaster.ts';

/** What a {@link Supervisor} needs. */
export interface SupervisorOptions {
  /** Makes the cluster free of leftovers and starts one postmaster. */
  readonly start: () => Promise<Postmaster>;
  readonly clock: Pick<Clock, 'monotonicMs'>;
  /** Between two attempts; rejects when the signal aborts. Must keep the process alive: no child does meanwhile. */
  readonly wait: (delayMs: number, signal: AbortSignal) => Promise<void>;
  readonly log: Log;
  readonly onExit: (exit: PostmasterExit) => void;
  readonly onRestart: () => void;
}

const minBackoffMs = 50;
const maxBackoffMs = 2_000;
// A server that lived this long was well: when it ends, it is started again at once.
const healthyMs = 250;

/**
 * Keeps one postmaster running until it is stopped.
 *
 *   running --ended unasked--> restarting --started--> running
 *                              restarting --failed, back-off--> restarting
 *   running | restarting --stop()--> stopped
 */
export class Supervisor {
  readonly #options: SupervisorOptions;
  readonly #stopping = new AbortController();
  #postmaster: Postmaster;
  #kept: Promise<void>;

  private constructor(postmaster: Postmaster, options: SupervisorOptions) {
    this.#postmaster = postmaster;
    this.#options = options;
    this.#kept = this.#keep();
  }

  /** The first start is the caller's: it rejects when the server cannot run at all. */
  static async start(options: SupervisorOptions): Promise<Supervisor> {
    return new Supervisor(await options.start(), options);
  }

  /** Of the current postmaster, or of the last one while there is none. */
  get pid(): number {
    return this.#postmaster.pid;
  }

  /** Ends the server and waits for it; also in the middle of a restart. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#postmaster.stop();
    await this.#kept;
  }

  async #keep(): Promise<void> {
    const { clock, log, onExit, onRestart } = this.#options;
    let backoffMs = minBackoffMs;
    while (!this.#stopping.signal.aborted) {
      const startedAtMs = clock.monotonicMs();
      const exit = await this.#postmaster.exited;
      if (this.#stopping.signal.aborted) return;
      log.error(exit, 'PostgreSQL ended unasked, starting it again');
      onExit(exit);
      if (clock.monotonicMs() - startedAtMs > healthyMs) backoffMs = minBackoffMs;
      backoffMs = await this.#restart(backoffMs);
      if (!this.#stopping.signal.aborted) onRestart();
    }
  }

  /** Tries until it runs or we are stopped; returns the back-off for the next time. */
  async #restart(firstBackoffMs: number): Promise<number> {
    const { start, wait, log } = this.#options;
    const { signal } = this.#stopping;
    for (let backoffMs = firstBackoffMs; ; backoffMs = Math.min(backoffMs * 2, maxBackoffMs)) {
      await wait(backoffMs, signal).catch(() => {});
      if (signal.aborted) return backoffMs;
      try {
        this.#postmaster = await start();
        if (signal.aborted) await this.#postmaster.stop();
        return Math.min(backoffMs * 2, maxBackoffMs);
      } catch (error) {
        log.error({ err: error, backoffMs }, 'PostgreSQL does not start');
      }
    }
  }
}
