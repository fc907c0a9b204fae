import { type ChildProcess, spawn } from 'node:child_process';
import type { Clock, Log, Timer } from '@hivekeeper/kernel';

/** How to run workers on this machine. */
export interface LocalWorkersOptions {
  readonly count: number;
  /** The worker's main file. */
  readonly entry: string;
  readonly url: string;
  /** A key with the role `worker`; travels by the environment, never by the command line. */
  readonly token: string;
  readonly roots: string;
  /** What no agent may see though it lies below a root, separated by colons. */
  readonly protectedDirectories: string;
  readonly logLevel: string;
  /** How long workers may take to finish what they hold. */
  readonly drainMs: number;
  readonly clock: Clock;
  readonly log: Log;
  /** What the workers see besides: PATH, and what agents may declare. */
  readonly environment: Readonly<Record<string, string | undefined>>;
}

const respawnAfterMs = 500;
// Workers end by themselves when their time is over; these only meet one that does not.
const hurryAfterMs = 2_000;
const killAfterMs = 2_000;

/** Worker processes that live no longer than this one: they end when their channel to it closes. One that ends unasked is started again. */
export class LocalWorkers implements AsyncDisposable {
  readonly #options: LocalWorkersOptions;
  readonly #children = new Map<ChildProcess, Promise<void>>();
  readonly #timers = new Set<Timer>();
  #isStopping = false;

  constructor(options: LocalWorkersOptions) {
    this.#options = options;
    for (let number = 1; number <= options.count; number += 1) this.#start(number);
  }

  #start(number: number): void {
    const { entry, url, token, roots, protectedDirectories, logLevel, environment } = this.#options;
    const own = { HIVE_URL: url, HIVE_TOKEN: token, HIVE_ROOTS: roots, HIVE_PROTECTED: protectedDirectories, HIVE_LOG_LEVEL: logLevel };
    const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', entry, '--name', `local-${number}`], {
      env: { ...environment, ...own },
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    });
    const ended = new Promise<void>((resolve) => {
      const finish = (how: object) => {
        if (this.#children.delete(child)) this.#startAgain(number, how);
        resolve();
      };
      // A process that could not be started never exits.
      child.on('error', (error) =>
        child.pid === undefined ? finish({ err: error }) : this.#options.log.warn({ err: error, number }, 'a worker cannot be reached'),
      );
      child.once('exit', (exitCode, signal) => finish({ exitCode, signal }));
    });
    this.#children.set(child, ended);
  }

  #startAgain(number: number, how: object): void {
    if (this.#isStopping) return;
    this.#options.log.warn({ number, ...how }, 'a worker ended; starting it again');
    const timer = this.#options.clock.after(respawnAfterMs, () => {
      this.#timers.delete(timer);
      this.#start(number);
    });
    this.#timers.add(timer);
  }

  /** Lets every worker finish what it holds (SIGTERM) for `drainMs`, then ends it. */
  async [Symbol.asyncDispose](): Promise<void> {
    const { clock, drainMs } = this.#options;
    this.#isStopping = true;
    for (const timer of this.#timers) timer.cancel();
    await Promise.all(
      [...this.#children].map(async ([child, ended]) => {
        child.kill('SIGTERM');
        // A second SIGTERM makes a worker end at once, with its agents; a killed one leaves them to its sandbox.
        const hurrier = clock.after(drainMs + hurryAfterMs, () => child.kill('SIGTERM'));
        const killer = clock.after(drainMs + hurryAfterMs + killAfterMs, () => child.kill('SIGKILL'));
        await ended;
        hurrier.cancel();
        killer.cancel();
      }),
    );
  }
}
