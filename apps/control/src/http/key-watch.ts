import type { ServerResponse } from 'node:http';
import { HiveError } from '@hivekeeper/contract';
import type { Clock, Log, Timer } from '@hivekeeper/kernel';
import type { KeyRing } from '../records/keys/index.ts';

const everyMs = 1_500;

/** Cuts answers that are under way, streams above all, when the key that asked for them ends: 5 s after that at the latest, with what is remembered of keys. */
export class KeyWatch implements Disposable {
  readonly #keys: Pick<KeyRing, 'principalOf'>;
  readonly #log: Log;
  readonly #timer: Timer;
  readonly #open = new Map<ServerResponse, string>();

  constructor({ keys, clock, log }: { readonly keys: Pick<KeyRing, 'principalOf'>; readonly clock: Clock; readonly log: Log }) {
    this.#keys = keys;
    this.#log = log;
    this.#timer = clock.every(everyMs, () => void this.#look());
  }

  [Symbol.dispose](): void {
    this.#timer.cancel();
  }

  /** From now until it is given, the answer is cut where the key ends. */
  follow(answer: ServerResponse, key: string): void {
    this.#open.set(answer, key);
    answer.once('close', () => this.#open.delete(answer));
  }

  async #look(): Promise<void> {
    for (const key of new Set(this.#open.values())) {
      try {
        if ((await this.#keys.principalOf(key)) === undefined) this.#cut(key);
      } catch (error) {
        this.#log.warn({ err: error }, 'whether a key still works could not be looked up');
      }
    }
  }

  #cut(key: string): void {
    for (const [answer, of] of this.#open) if (of === key) answer.destroy(new HiveError('UNAUTHENTICATED'));
  }
}
