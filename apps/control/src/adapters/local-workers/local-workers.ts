import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
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
  readonly logLevel: string;
  readonly clock: Clock;
  readonly log: Log;
  /** What the workers see besides: PATH, and what agents may declare. */
  readonly environment: Readonly<Record<string, string | undefined>>;
}

const respawnAfterMs = 500;
const killAfterMs = 30_000;

/** Worker processes that live no longer than this one: they end when their channel to it closes. One that ends unasked is started again. */
export class LocalWorkers implements AsyncDisposable {
  readonly #options: LocalWorkersOptions;
  readonly #children = new Set<ChildProcess>();
  readonly #timers = new Set<Timer>();
  #isStopping = false;

  constructor(options: LocalWorkersOptions) {
    this.#options = options;
    for (let number = 1; number <= options.count; number += 1) this.#start(number);
  }

  #start(number: number): void {
    const { entry, url, token, roots, logLevel, log, environment } = this.#options;
    const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', entry, '--name', `local-${number}`], {
      env: { ...environment, HIVE_URL: url, HIVE_TOKEN: token, HIVE_ROOTS: roots, HIVE_LOG_LEVEL: logLevel },
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    });
    this.#children.add(child);
    child.once('error', (error) => log.error({ err: error, number }, 'a worker could not be started'));
    child.once('exit', (exitCode, signal) => {
      this.#children.delete(child);
      if (this.#isStopping) return;
      log.warn({ number, exitCode, signal }, 'a worker ended; starting it again');
      const timer = this.#options.clock.after(respawnAfterMs, () => {
        this.#timers.delete(timer);
        this.#start(number);
      });
      this.#timers.add(timer);
    });
  }

  /** Lets every worker finish what it holds (SIGTERM), for 30 s at most. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#isStopping = true;
    for (const timer of this.#timers) timer.cancel();
    await Promise.all(
      [...this.#children].map(async (child) => {
        const exited = once(child, 'exit');
        child.kill('SIGTERM');
        const killer = this.#options.clock.after(killAfterMs, () => child.kill('SIGKILL'));
        await exited;
        killer.cancel();
      }),
    );
  }
}
