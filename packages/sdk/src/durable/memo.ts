import type { MemoEntry, Outcome } from '@hivekeeper/contract';
import { HiveError } from '@hivekeeper/contract/hive-error';
import type { WorkerSocket } from './worker-socket.ts';

interface Page {
  readonly waits: readonly MemoEntry[];
  readonly steps: readonly MemoEntry[];
  readonly next?: string;
}

/** What earlier executions of this agent came to know. Read once, when it is first asked for. */
export class Memo {
  readonly #worker: WorkerSocket;
  #known: Promise<{ readonly steps: ReadonlyMap<string, Outcome>; readonly waits: ReadonlyMap<string, Outcome> }> | undefined;

  constructor(worker: WorkerSocket) {
    this.#worker = worker;
  }

  /** What a step came to. @throws HiveError AGENT_STEPS_MISUSED where the name was that of a wait */
  step(name: string): Promise<Outcome | undefined> {
    return this.#look(name, 'steps', 'waits');
  }

  /** What became of a wait. @throws HiveError AGENT_STEPS_MISUSED where the name was that of a step */
  wait(name: string): Promise<Outcome | undefined> {
    return this.#look(name, 'waits', 'steps');
  }

  async #look(name: string, kind: 'steps' | 'waits', other: 'steps' | 'waits'): Promise<Outcome | undefined> {
    this.#known ??= this.#read();
    const known = await this.#known;
    if (known[other].has(name))
      throw new HiveError(
        'AGENT_STEPS_MISUSED',
        `"${name}" was one of the ${other} of an earlier execution, and is one of the ${kind} now`,
      );
    return known[kind].get(name);
  }

  async #read() {
    const steps = new Map<string, Outcome>();
    const waits = new Map<string, Outcome>();
    for (let query: string | undefined = ''; query !== undefined;) {
      const page: Page = await this.#worker.ask<Page>('GET', `/memo${query}`);
      for (const { step, outcome } of page.steps) steps.set(step, outcome);
      for (const { step, outcome } of page.waits) waits.set(step, outcome);
      query = page.next === undefined ? undefined : `?after=${encodeURIComponent(page.next)}`;
    }
    return { steps, waits };
  }
}
