import type { OutgoingMessage } from './message.ts';

/** A publication that somebody waits for. */
export interface Publication {
  readonly message: OutgoingMessage;
  readonly done: () => void;
  readonly fail: (error: Error) => void;
}

/**
 * Publications that the broker has not acknowledged, in the order they were given. Only so many are under way at once:
 * a broker ends the connection of whoever sends more than it said it takes.
 */
export class Window {
  readonly #waiting: Publication[] = [];
  readonly #underWay = new Set<Publication>();
  #limit = 0;

  /** The next ones to send, which are under way from now on. */
  *next(): Generator<Publication> {
    while (this.#underWay.size < this.#limit) {
      const publication = this.#waiting.shift();
      if (publication === undefined) return;
      this.#underWay.add(publication);
      yield publication;
    }
  }

  add(publication: Publication): void {
    this.#waiting.push(publication);
  }

  /** True where it was under way: what an ended connection says later counts for nothing. */
  remove(publication: Publication): boolean {
    return this.#underWay.delete(publication);
  }

  /** A connection is there that takes so many at once. */
  open(limit: number): void {
    this.#limit = limit;
  }

  /** The connection is gone: what was under way is sent again by the next one, before what waits. */
  close(): void {
    this.#limit = 0;
    this.#waiting.unshift(...this.#underWay);
    this.#underWay.clear();
  }

  get size(): number {
    return this.#waiting.length + this.#underWay.size;
  }
}
