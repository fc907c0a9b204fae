import type { JsonObject } from '@hivekeeper/contract';
import type { Clock, Log, Timer } from '@hivekeeper/kernel';
import type { OutboxEntry, OutboxStore } from './outbox-store.ts';

/** What others are told. */
export interface Announcement {
  readonly subject: string;
  /** The same for the same thing: whoever hears it twice can tell. */
  readonly id: string;
  readonly body: JsonObject;
}

/** What {@link Relay} needs. */
export interface RelayOptions<Told> {
  readonly store: Pick<OutboxStore, 'take'>;
  readonly kinds: readonly OutboxEntry['kind'][];
  /** What an entry is about; undefined where that is not there any more. */
  readonly describe: (entry: OutboxEntry) => Promise<Told | undefined>;
  /** Resolves when the broker has it. */
  readonly publish: (told: Told) => Promise<void>;
  readonly isConnected: () => boolean;
  readonly clock: Clock;
  readonly log: Log;
}

const intervalMs = 500;
const page = 100;

/** Empties the outbox into a broker, while one is there. What is not told stays, and holds up nothing behind it. */
export class Relay<Told> implements AsyncDisposable {
  readonly #options: RelayOptions<Told>;
  readonly #timer: Timer;
  #underWay: Promise<void> | undefined;

  constructor(options: RelayOptions<Told>) {
    this.#options = options;
    this.#timer = options.clock.every(intervalMs, () => this.#look());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#timer.cancel();
    await this.#underWay;
  }

  #look(): void {
    const { isConnected, log } = this.#options;
    if (!isConnected()) return;
    this.#underWay ??= this.#empty()
      .catch((error: unknown) => log.warn({ err: error }, 'the outbox could not be emptied; it is tried again'))
      .finally(() => (this.#underWay = undefined));
  }

  async #empty(): Promise<void> {
    const { store, kinds, isConnected } = this.#options;
    while (isConnected() && (await store.take({ kinds, most: page }, (entries) => this.#tell(entries))) === page);
  }

  /** Returns those that are told. */
  async #tell(entries: readonly OutboxEntry[]): Promise<readonly OutboxEntry[]> {
    const { describe, publish, log } = this.#options;
    const failures: unknown[] = [];
    const told = await Promise.all(
      entries.map(async (entry) => {
        try {
          const about = await describe(entry);
          if (about !== undefined) await publish(about);
          return [entry];
        } catch (error) {
          failures.push(error);
          return [];
        }
      }),
    );
    const [err] = failures;
    if (failures.length > 0) log.warn({ err, untold: failures.length }, 'what happened could not be told to the broker; it is told later');
    return told.flat();
  }
}
