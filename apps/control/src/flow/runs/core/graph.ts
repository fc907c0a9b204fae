/** For each node the positions of the nodes it needs. */
export type Needs = readonly (readonly number[])[];

/**
 * The nodes so ordered that each stands after all it needs; those that stand on a circle, or behind one, are missing.
 * Kahn's method, without recursion: a chain may be 10,000 nodes long.
 */
export function orderOf(needs: Needs): number[] {
  const dependents: number[][] = needs.map(() => []);
  for (const [node, needed] of needs.entries()) for (const need of needed) dependents[need]?.push(node);
  const unmetCounts = needs.map((needed) => needed.length);
  const order = [...needs.keys()].filter((node) => unmetCounts[node] === 0);
  for (let next = 0; next < order.length; next += 1) {
    for (const dependent of dependents[order[next] as number] ?? []) {
      const unmetCount = (unmetCounts[dependent] ?? 0) - 1;
      unmetCounts[dependent] = unmetCount;
      if (unmetCount === 0) order.push(dependent);
    }
  }
  return order;
}

/** The nodes of one circle, each needing the next and the last the first; undefined where there is none. */
export function circleIn(needs: Needs, order: readonly number[]): number[] | undefined {
  const ordered = new Set(order);
  const start = [...needs.keys()].find((node) => !ordered.has(node));
  if (start === undefined) return undefined;
  // Whatever is not ordered needs something that is not ordered either, so this walk must come back to where it was.
  const stepOf = new Map<number, number>();
  const walk: number[] = [];
  for (let node = start; !stepOf.has(node); node = needs[node]?.find((need) => !ordered.has(need)) as number) {
    stepOf.set(node, walk.length);
    walk.push(node);
  }
  const last = walk.at(-1) as number;
  const again = needs[last]?.find((need) => !ordered.has(need)) as number;
  return walk.slice(stepOf.get(again));
}

/**
 * Tells whether a node needs another one, directly or through others. One row of bits per node: 12.5 MB and some
 * 30 ms for a chain of 10,000 nodes.
 */
export function ancestryOf(needs: Needs, order: readonly number[]): (node: number, ancestor: number) => boolean {
  const wordCount = Math.ceil(needs.length / 32);
  const bits = new Uint32Array(wordCount * needs.length);
  for (const node of order) {
    const row = node * wordCount;
    for (const need of needs[node] ?? []) {
      for (let word = 0; word < wordCount; word += 1)
        bits[row + word] = (bits[row + word] as number) | (bits[need * wordCount + word] as number);
      bits[row + (need >> 5)] = (bits[row + (need >> 5)] as number) | (1 << (need & 31));
    }
  }
  return (node, ancestor) => (((bits[node * wordCount + (ancestor >> 5)] as number) >>> (ancestor & 31)) & 1) === 1;
}
