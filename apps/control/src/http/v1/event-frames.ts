import type { StreamEnded } from '@hivekeeper/contract';
import type { Clock, Timer } from '@hivekeeper/kernel';
import type { RunNews } from '../../flow/runs/index.ts';

/** Bounds on one stream. */
export interface FrameLimits {
  /** A comment goes out after so much silence, so that both ends notice a dead connection. */
  readonly heartbeatMs: number;
  /** A reader that leaves more than this unread gets what there is, and the end: it comes back with Last-Event-ID and misses none. */
  readonly unreadLimitBytes: number;
  /** A stream that was ended is read to its end within this time, or cut. */
  readonly farewellMs: number;
}

/** What a stream is made of. */
export interface FramesOptions {
  readonly clock: Clock;
  readonly limits: FrameLimits;
  /** Breaks the connection. */
  readonly cut: () => void;
}

interface Frame {
  readonly text: string;
  readonly sizeBytes: number;
}

/** Something watchers are told as an event of the stream. */
export const frameOf = ({ id, notice }: RunNews | { readonly id?: undefined; readonly notice: StreamEnded }): string =>
  `${id === undefined ? '' : `id: ${id}\n`}event: ${notice.type}\ndata: ${JSON.stringify(notice)}\n\n`;

const opening = 'retry: 1000\n: the events of the run follow\n\n';
const heartbeat = ': still here\n\n';

/**
 * The frames of one stream, in order, ending after `run.finished`. They are pulled by the connection, so they run no
 * faster than the reader reads; what waits for it is bounded, and of what an attempt says of its progress only the last.
 *
 *   open --run.finished, finish()--> closed --read--> over
 *   open --too much unread, close()--> closed, with stream.ended last --read, or farewellMs over--> over
 *   any --leave()--> over
 */
export class EventFrames {
  readonly #options: FramesOptions;
  readonly #closing = new AbortController();
  readonly #unread = new Map<string, Frame>();
  #unreadBytes = 0;
  #wake: (() => void) | undefined;
  #farewell: Timer | undefined;

  constructor(options: FramesOptions) {
    this.#options = options;
  }

  /** Aborts as soon as nothing more is taken. */
  get closed(): AbortSignal {
    return this.#closing.signal;
  }

  push(news: readonly RunNews[]): void {
    for (const told of news) {
      if (this.closed.aborted) break;
      const name = told.id ?? `${told.notice.type} ${told.notice.ticketId}`;
      const othersBytes = this.#unreadBytes - (this.#unread.get(name)?.sizeBytes ?? 0);
      if (othersBytes < this.#options.limits.unreadLimitBytes) this.#put(name, frameOf(told));
      // Progress that finds no room is not missed: the next tells more.
      else if (told.id !== undefined) this.close('unread');
      if (told.notice.type === 'run.finished') this.finish();
    }
    this.#wake?.();
  }

  /** Nothing more will come. */
  finish(): void {
    this.#closing.abort();
    this.#wake?.();
  }

  /** Ends the stream before the run's end, and tells the reader so. */
  close(reason: StreamEnded['reason']): void {
    if (this.closed.aborted) return;
    const { clock, limits, cut } = this.#options;
    this.#put('end', frameOf({ notice: { type: 'stream.ended', atMs: Math.floor(clock.nowMs()), reason } }));
    this.#farewell = clock.after(limits.farewellMs, cut);
    this.finish();
  }

  /** The reader is gone. */
  leave(): void {
    this.#farewell?.cancel();
    this.#unread.clear();
    this.finish();
  }

  async *frames(): AsyncGenerator<string, void> {
    yield opening;
    for (;;) {
      const next = this.#take();
      if (next !== undefined) yield next;
      else if (this.closed.aborted) return;
      else if (await this.#isSilent()) yield heartbeat;
    }
  }

  /** A frame of the same name that is still unread is replaced, in its place. */
  #put(name: string, text: string): void {
    const sizeBytes = Buffer.byteLength(text);
    this.#unreadBytes += sizeBytes - (this.#unread.get(name)?.sizeBytes ?? 0);
    this.#unread.set(name, { text, sizeBytes });
  }

  #take(): string | undefined {
    const [first] = this.#unread;
    if (first === undefined) return undefined;
    const [name, { text, sizeBytes }] = first;
    this.#unread.delete(name);
    this.#unreadBytes -= sizeBytes;
    return text;
  }

  /** Resolves with true where nothing came for a heartbeat's time. */
  #isSilent(): Promise<boolean> {
    return new Promise((resolve) => {
      const timer = this.#options.clock.after(this.#options.limits.heartbeatMs, () => finish(true));
      const finish = (isSilent: boolean) => {
        timer.cancel();
        this.#wake = undefined;
        resolve(isSilent);
      };
      this.#wake = () => finish(false);
    });
  }
}
