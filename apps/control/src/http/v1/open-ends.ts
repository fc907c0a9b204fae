import type { ServerResponse } from 'node:http';

/** Calls that wait for something: each is told when its caller hangs up, and all are when the server closes. */
export class OpenEnds {
  readonly #waiting = new Set<AbortController>();
  #isEnding = false;

  get isEnding(): boolean {
    return this.#isEnding;
  }

  /** A signal that aborts when the answer is over, or the server closes. */
  wait(response: ServerResponse): AbortSignal {
    const controller = new AbortController();
    if (this.#isEnding || response.destroyed) controller.abort();
    this.#waiting.add(controller);
    response.once('close', () => {
      this.#waiting.delete(controller);
      controller.abort();
    });
    return controller.signal;
  }

  /** Ends all that wait, and all that come later. */
  end(): void {
    this.#isEnding = true;
    for (const controller of this.#waiting) controller.abort();
  }
}
