import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { setTimeout as pause } from 'node:timers/promises';

/** A program to keep running. */
export interface Program {
  readonly args: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  readonly logFile: string;
  /** A program put before Node, for a process that sees another world. */
  readonly wrapper?: readonly string[];
  /** Whether its first line on stdout says that it is ready; else it is so at once. */
  readonly saysReady: boolean;
}

const pauseBeforeRestartMs = 150;

/** A process of the product that is started again whenever it ends, as an operator's service manager would. */
export class KeptProcess {
  readonly #program: Program;
  #child: ChildProcess | undefined;
  #ready: Promise<string> = Promise.reject(new EndedEarly());
  #isReady = false;
  #isStopping = false;
  #life: Promise<void> | undefined;
  startCount = 0;

  constructor(program: Program) {
    this.#program = program;
    this.#ready.catch(() => {});
  }

  /** Of the process that runs now and is ready. */
  get pid(): number | undefined {
    return this.#isReady ? this.#child?.pid : undefined;
  }

  /** Starts it; resolves with its first line, or '' where it says none. */
  async start(): Promise<string> {
    this.#life = this.#live();
    for (;;) {
      const line = await this.#ready.catch(() => undefined);
      if (line !== undefined) return line;
      await pause(20);
    }
  }

  /** Ends it by kill -9, for good. */
  async stop(): Promise<void> {
    this.#isStopping = true;
    this.#child?.kill('SIGKILL');
    await this.#life;
  }

  async #live(): Promise<void> {
    while (!this.#isStopping) {
      const child = this.#spawn();
      this.#child = child;
      const ended = once(child, 'exit');
      this.#ready = this.#becomeReady(child);
      this.#ready.catch(() => {});
      await ended;
      this.#isReady = false;
      if (!this.#isStopping) await pause(pauseBeforeRestartMs);
    }
  }

  #spawn(): ChildProcess {
    const { args, environment, logFile, wrapper = [] } = this.#program;
    const [file = process.execPath, ...words] = [...wrapper, process.execPath, '--disable-warning=ExperimentalWarning', ...args];
    const log = openSync(logFile, 'a');
    this.startCount += 1;
    try {
      return spawn(file, words, {
        // With a channel to us, it ends when we do.
        stdio: ['ignore', 'pipe', log, 'ipc'],
        env: { PATH: process.env['PATH'], HOME: process.env['HOME'], ...environment },
      });
    } finally {
      closeSync(log);
    }
  }

  async #becomeReady(child: ChildProcess): Promise<string> {
    let line = '';
    if (this.#program.saysReady) {
      const said = await Promise.race([once(createInterface({ input: child.stdout! }), 'line'), once(child, 'exit').then(() => undefined)]);
      if (said === undefined) throw new EndedEarly();
      line = said[0] as string;
    } else child.stdout?.resume();
    this.#isReady = true;
    return line;
  }
}

/** A process ended before it was ready; it is started again. */
class EndedEarly extends Error {}
