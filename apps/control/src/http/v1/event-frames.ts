import type { Clock } from '@hivekeeper/kernel';
import type { NumberedNotice } from '../../flow/runs/index.ts';

/** Bounds on one stream. */
export interface FrameLimits {
  /** A comment goes out after so much silence, so that both ends notice a dead connection. */
  readonly heartbeatMs: number;
  /** A reader that leaves more notices than this unread is dropped: it comes back with Last-Event-ID and misses none. */
  readonly mostUnread: number;
}

/** One notice as an event of the stream. */
export const frameOf = ({ id, notice }: NumberedNotice): string => `id: ${id}\nevent: ${notice.type}\ndata: ${JSON.stringify(notice)}\n\n`;

const opening = 'retry: 1000\n: the events of the run follow\n\n';
const heartbeat = ': still here\n\n';

/**
 * The frames of one stream, in order: what is past, then what is told through `push`, ending after `run.finished`.
 * It is pulled by the connection, so it runs no faster than the reader reads.
 */
export class EventFrames {
  readonly #clock: Clock;
  readonly #limits: FrameLimits;
  readonly #drop: () => void;
  #unread: NumberedNotice[] = [];
  #wake: (() => void) | undefined;
  #isEnded = false;

  constructor(clock: Clock, limits: FrameLimits, drop: () => void) {
    this.#clock = clock;
    this.#limits = limits;
    this.#drop = drop;
  }

  push(notices: readonly NumberedNotice[]): void {
    this.#unread.push(...notices);
    if (this.#unread.length > this.#limits.mostUnread) {
      this.#unread = [];
      this.end();
      this.#drop();
    }
    this.#wake?.();
  }

  /** Ends the stream after what is already under way. */
  end(): void {
    this.#isEnded = true;
    this.#wake?.();
  }

  async *frames(past: readonly NumberedNotice[]): AsyncGenerator<string, void> {
    yield opening;
    for (const notice of past) {
      yield frameOf(notice);
      if (isLast(notice)) return;
    }
    while (!this.#isEnded) {
      const next = this.#unread.shift();
      if (next === undefined) {
        const isSilent = await this.#something();
        if (isSilent) yield heartbeat;
        continue;
      }
      yield frameOf(next);
      if (isLast(next)) return;
    }
  }

  /** Resolves with true where nothing came for a heartbeat's time. */
  #something(): Promise<boolean> {
    return new Promise((resolve) => {
      const timer = this.#clock.after(this.#limits.heartbeatMs, () => finish(true));
      const finish = (isSilent: boolean) => {
        timer.cancel();
        this.#wake = undefined;
        resolve(isSilent);
      };
      this.#wake = () => finish(false);
    });
  }
}

const isLast = ({ notice }: NumberedNotice): boolean => notice.type === 'run.finished';
