/** What waits to be sent. */
interface Waiting<Call> {
  readonly call: Call;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/** What {@link Batches} needs. */
export interface BatchesOptions<Call> {
  readonly send: (calls: readonly Call[]) => Promise<void>;
  readonly laneOf: (call: Call) => string;
  /** True of an error that no single call is the cause of: none is sent again alone. */
  readonly isEverybodys: (error: unknown) => boolean;
}

const mostCalls = 256;

/**
 * Group commit: calls that arrive while a batch is under way share the next one, so that they share its
 * round trips and its fsync. Calls on one lane are never in one batch and keep their order.
 */
export class Batches<Call> {
  readonly #send: (calls: readonly Call[]) => Promise<void>;
  readonly #laneOf: (call: Call) => string;
  readonly #isEverybodys: (error: unknown) => boolean;
  #queue: Waiting<Call>[] = [];
  #isUnderWay = false;

  constructor({ send, laneOf, isEverybodys }: BatchesOptions<Call>) {
    this.#send = send;
    this.#laneOf = laneOf;
    this.#isEverybodys = isEverybodys;
  }

  /** Resolves when a batch with the call was sent. @throws whatever sending it threw */
  submit(call: Call): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#queue.push({ call, resolve, reject });
      if (!this.#isUnderWay) void this.#run();
    });
  }

  async #run(): Promise<void> {
    this.#isUnderWay = true;
    // What arrives in this turn of the event loop goes along.
    await new Promise(setImmediate);
    while (this.#queue.length > 0) await this.#sendTogether(this.#take());
    this.#isUnderWay = false;
  }

  #take(): readonly Waiting<Call>[] {
    const lanes = new Set<string>();
    const taken: Waiting<Call>[] = [];
    const left: Waiting<Call>[] = [];
    for (const waiting of this.#queue) {
      const lane = this.#laneOf(waiting.call);
      const isFree = taken.length < mostCalls && !lanes.has(lane);
      lanes.add(lane);
      (isFree ? taken : left).push(waiting);
    }
    this.#queue = left;
    return taken;
  }

  async #sendTogether(batch: readonly Waiting<Call>[]): Promise<void> {
    try {
      await this.#send(batch.map(({ call }) => call));
      for (const { resolve } of batch) resolve();
    } catch (error) {
      if (batch.length === 1 || this.#isEverybodys(error)) for (const { reject } of batch) reject(error);
      // One of them is the cause: it must not harm the others.
      else for (const waiting of batch) await this.#sendTogether([waiting]);
    }
  }
}
