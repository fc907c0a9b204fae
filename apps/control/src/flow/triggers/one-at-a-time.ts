/**
 * Lets calls of the same name pass one after the other. Two triggers with one Idempotency-Key that arrive together
 * would share a commit, and the second would be refused before the first is stored, instead of finding its run.
 */
export class OneAtATime {
  readonly #last = new Map<string, Promise<unknown>>();

  /** Does the work after all earlier work of that name; without a name, at once. */
  async pass<T>(name: string | undefined, work: () => Promise<T>): Promise<T> {
    if (name === undefined) return work();
    const mine = (this.#last.get(name) ?? Promise.resolve()).then(work, work);
    this.#last.set(name, mine);
    try {
      return await mine;
    } finally {
      if (this.#last.get(name) === mine) this.#last.delete(name);
    }
  }
}
