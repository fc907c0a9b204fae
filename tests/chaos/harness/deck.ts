import type { Random } from '@hivekeeper/kernel';

/** Deals by shares: of so many in a row as the shares sum to, each comes as often as its share says, in an order that is drawn. */
export class Deck<Item> {
  readonly #random: Random;
  readonly #all: readonly Item[];
  #left: Item[] = [];

  constructor(random: Random, shares: ReadonlyMap<Item, number>) {
    this.#random = random;
    this.#all = [...shares].flatMap(([item, share]) => Array.from({ length: share }, () => item));
  }

  deal(): Item {
    if (this.#left.length === 0) this.#left = [...this.#all];
    const [dealt] = this.#left.splice(Math.floor(this.#random.next() * this.#left.length), 1);
    return dealt as Item;
  }
}
