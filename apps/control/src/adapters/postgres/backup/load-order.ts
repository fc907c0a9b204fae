/** A reference from one table to another. */
export interface Reference {
  readonly from: string;
  readonly to: string;
}

/** Tables so that what is referred to comes first. Tables that refer to each other in a circle come last, by name. */
export function loadOrder(tables: readonly string[], references: readonly Reference[]): readonly string[] {
  const placed = new Set<string>();
  const isReady = (table: string) => references.every(({ from, to }) => from !== table || to === table || placed.has(to));
  const left = new Set([...tables].sort());
  for (let isMoving = true; isMoving;) {
    isMoving = false;
    for (const table of left) {
      if (!isReady(table)) continue;
      placed.add(table);
      left.delete(table);
      isMoving = true;
    }
  }
  return [...placed, ...left];
}
