import type { Clock, Timer } from '@hivekeeper/kernel';

interface Alarm {
  dueMs: number;
  readonly sequence: number;
  readonly intervalMs: number | undefined;
  readonly callback: () => void;
}

/**
 * Time that moves when a test says so. Timers fire in the order of their due times, those of the same instant in the
 * order they were set.
 */
export class FakeClock implements Clock {
  readonly #originMs: number;
  #elapsedMs = 0;
  #sequence = 0;
  readonly #alarms = new Set<Alarm>();

  constructor(originMs = 1_700_000_000_000) {
    this.#originMs = originMs;
  }

  nowMs(): number {
    return this.#originMs + this.#elapsedMs;
  }

  monotonicMs(): number {
    return this.#elapsedMs;
  }

  after(delayMs: number, callback: () => void): Timer {
    return this.#set({ dueMs: this.#elapsedMs + Math.max(0, delayMs), intervalMs: undefined, callback });
  }

  every(intervalMs: number, callback: () => void): Timer {
    // As the machine's clock: an interval below 1 ms counts as 1 ms, which also keeps `advance` finite.
    const atLeastMs = Math.max(1, intervalMs);
    return this.#set({ dueMs: this.#elapsedMs + atLeastMs, intervalMs: atLeastMs, callback });
  }

  /** How many timers are set. */
  get pendingTimers(): number {
    return this.#alarms.size;
  }

  /**
   * Moves time and fires what falls due on the way, each at its own instant. Promises get to run before, between and
   * after, so that a timer set in answer to another one fires too; answers of real sockets and files are not waited
   * for.
   */
  async advance(durationMs: number): Promise<void> {
    const untilMs = this.#elapsedMs + durationMs;
    await settle();
    for (let alarm = this.#next(untilMs); alarm !== undefined; alarm = this.#next(untilMs)) {
      this.#elapsedMs = Math.max(this.#elapsedMs, alarm.dueMs);
      if (alarm.intervalMs === undefined) this.#alarms.delete(alarm);
      else alarm.dueMs += alarm.intervalMs;
      alarm.callback();
      await settle();
    }
    this.#elapsedMs = untilMs;
  }

  #set(alarm: Omit<Alarm, 'sequence'>): Timer {
    const added = { ...alarm, sequence: this.#sequence++ };
    this.#alarms.add(added);
    const cancel = () => void this.#alarms.delete(added);
    return { cancel, [Symbol.dispose]: cancel };
  }

  #next(untilMs: number): Alarm | undefined {
    const due = [...this.#alarms].filter((alarm) => alarm.dueMs <= untilMs);
    return due.sort((one, other) => one.dueMs - other.dueMs || one.sequence - other.sequence)[0];
  }
}

// One turn of the event loop: every promise that is ready, and what follows from it, has run.
const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
