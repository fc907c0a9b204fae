/** A no-op step. Calling it is the proof that the engine did the work: the workloads count the calls. */
export type Step = () => void;

/** What an engine is given: an empty directory that unprivileged servers can enter, and the step its workflows run. */
export interface EngineStart {
  readonly directory: string;
  readonly step: Step;
}

/** A running engine. Both verbs resolve when the engine has recorded the end of the workflow. */
export interface Engine {
  /** The setting that decides what survives a power cut, in the engine's own words. */
  readonly durability: string;
  /** One workflow of `stepCount` steps, each of which needs the one before. */
  runSequence(stepCount: number): Promise<void>;
  /** One workflow of `width` independent steps and a join that needs them all. */
  runFanOut(width: number): Promise<void>;
  stop(): Promise<void>;
}

/** What a module in `peers/` exports as `engine`. */
export interface EngineDefinition {
  readonly name: string;
  readonly version: string;
  /** `workflows`: the engine itself knows steps and joins; `jobs`: a queue on which the benchmark chains them. */
  readonly kind: 'workflows' | 'jobs';
  /** Whether an acknowledged step survives a power cut in that setting. */
  readonly isDurable: boolean;
  /** What a reader must know to compare the row, e.g. how a fan-out is expressed. */
  readonly remark?: string;
  start(options: EngineStart): Promise<Engine>;
}

/** A promise and the means to settle it from elsewhere: how in-process clients wait for a workflow's end. */
export class Waiters {
  readonly #resolvers = new Map<string, () => void>();
  #count = 0;

  /** A new key, and the promise that {@link Waiters.settle} resolves. */
  open(): { readonly key: string; readonly settled: Promise<void> } {
    const key = `${process.pid}-${++this.#count}`;
    return { key, settled: new Promise((resolve) => this.#resolvers.set(key, resolve)) };
  }

  settle(key: string): void {
    this.#resolvers.get(key)?.();
    this.#resolvers.delete(key);
  }
}
