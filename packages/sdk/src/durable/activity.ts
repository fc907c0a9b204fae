import { AsyncLocalStorage } from 'node:async_hooks';
import { HiveError } from '@hivekeeper/contract/hive-error';

/**
 * What an agent has under way. An agent that waits is ended, so waiting begins only when nothing else is under way, and
 * from then on nothing begins.
 */
export class Activity {
  readonly #inside = new AsyncLocalStorage<string>();
  #underWay = 0;
  #isEnding = false;
  #whenQuiet: (() => void) | undefined;

  /** Does a step's or effect's work. Never comes back where the agent is about to end. */
  async during<T>(name: string, work: () => Promise<T>): Promise<T> {
    this.mustBeOutside(name);
    if (this.#isEnding) return never();
    this.#underWay += 1;
    try {
      return await this.#inside.run(name, work);
    } finally {
      this.#underWay -= 1;
      if (this.#underWay === 0) this.#whenQuiet?.();
    }
  }

  /** Calls `end` when nothing is under way any more, and never comes back, unless `end` fails. */
  async end(end: () => Promise<unknown>): Promise<never> {
    if (this.#isEnding) return never();
    this.#isEnding = true;
    if (this.#underWay > 0) await new Promise<void>((resolve) => (this.#whenQuiet = resolve));
    await end();
    return never();
  }

  /** @throws HiveError AGENT_STEPS_MISUSED inside of a step or effect: it is repeated as a whole, or not at all */
  mustBeOutside(name: string): void {
    const outer = this.#inside.getStore();
    if (outer !== undefined) throw new HiveError('AGENT_STEPS_MISUSED', `"${name}" is called inside of "${outer}"`);
  }
}

const never = (): Promise<never> => new Promise(() => undefined);
