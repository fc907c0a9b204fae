import type { Clock } from '@hivekeeper/kernel';

/** Bounds on one stream. */
export interface ChangeLimits {
  /** A comment goes out after so much silence, so that both ends notice a dead connection. */
  readonly heartbeatMs: number;
  /** A reader that leaves more than this unread is cut off: it connects again, and is told everything there is. */
  readonly unreadLimitBytes: number;
}

const heartbeat = ': still here\n\n';

/** Server-Sent Events of a stream that begins with everything there is: what is missed is told by connecting again. */
export class ChangeFrames {
  readonly #clock: Clock;
  readonly #limits: ChangeLimits;
  readonly #unread: string[] = ['retry: 1000\n\n'];
  #unreadBytes = 0;
  #isOver = false;
  #wake: (() => void) | undefined;

  constructor(clock: Clock, limits: ChangeLimits) {
    this.#clock = clock;
    this.#limits = limits;
  }

  push(change: { readonly type: string }): void {
    if (this.#isOver) return;
    const frame = `event: ${change.type}\ndata: ${JSON.stringify(change)}\n\n`;
    this.#unreadBytes += Buffer.byteLength(frame);
    if (this.#unreadBytes > this.#limits.unreadLimitBytes) return this.end();
    this.#unread.push(frame);
    this.#wake?.();
  }

  /** What is unread is still told; nothing more comes. */
  end(): void {
    this.#isOver = true;
    this.#wake?.();
  }

  async *frames(): AsyncGenerator<string, void> {
    for (;;) {
      const next = this.#unread.shift();
      if (next !== undefined) {
        this.#unreadBytes -= Buffer.byteLength(next);
        yield next;
      } else if (this.#isOver) return;
      else if (await this.#isSilent()) yield heartbeat;
    }
  }

  /** Resolves with true where nothing came for a heartbeat's time. */
  #isSilent(): Promise<boolean> {
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
