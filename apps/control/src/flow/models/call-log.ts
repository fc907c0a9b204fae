import type { Clock, Log, Timer } from '@hivekeeper/kernel';
import type { ModelCallRecord } from './model-call.ts';
import type { ModelCallStore } from './model-call-store.ts';

const intervalMs = 250;
const mostPerBatch = 500;
/** While the database is away; what comes then is in the log only. */
const mostWaiting = 20_000;

/** What {@link CallLog} needs. */
export interface CallLogOptions {
  readonly store: Pick<ModelCallStore, 'add'>;
  readonly clock: Clock;
  readonly log: Log;
}

/** Stores calls that are over in batches, so that no caller waits for it. A crash loses those of the last quarter of a second. */
export class CallLog implements AsyncDisposable {
  readonly #options: CallLogOptions;
  readonly #timer: Timer;
  #waiting: ModelCallRecord[] = [];
  #underWay: Promise<void> | undefined;

  constructor(options: CallLogOptions) {
    this.#options = options;
    this.#timer = options.clock.every(intervalMs, () => void this.#store());
  }

  add(call: ModelCallRecord): void {
    if (this.#waiting.length < mostWaiting) this.#waiting.push(call);
    else this.#options.log.warn({ ...call }, 'a call of a model is not stored: too many wait for the database');
  }

  /** Stores what waits. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#timer.cancel();
    await this.#underWay;
    await this.#store();
  }

  #store(): Promise<void> {
    this.#underWay ??= this.#empty()
      .catch((error: unknown) => this.#options.log.warn({ err: error }, 'calls of models could not be stored; they are stored later'))
      .finally(() => (this.#underWay = undefined));
    return this.#underWay;
  }

  async #empty(): Promise<void> {
    while (this.#waiting.length > 0) {
      const batch = this.#waiting.slice(0, mostPerBatch);
      await this.#options.store.add(batch);
      this.#waiting.splice(0, batch.length);
    }
  }
}
