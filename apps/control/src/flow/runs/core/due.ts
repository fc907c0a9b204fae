/**
 * Something that happens at a time: a retry of a slot, the end of its wait, or the expiry of an approval. It is never searched for and taken
 * out; where what it stands for has changed meanwhile it is dropped when it comes to the top.
 */
export type Due = { readonly atMs: number; readonly node: number; readonly nodeId: string } &
  /** `slotAt` is the position in the run's slots; a `timer` ends a sleep, a `lapse` a wait for a signal. */
  ({ readonly kind: 'retry' | 'timer' | 'lapse'; readonly slotAt: number } | { readonly kind: 'expiry'; readonly approval: number });

/** A total order, so that equal journals give equal heaps and equal times are served in the workflow's order. */
function isBefore(a: Due, b: Due): boolean {
  if (a.atMs !== b.atMs) return a.atMs < b.atMs;
  if (a.node !== b.node) return a.node < b.node;
  return (a.kind === 'expiry' ? -1 : a.slotAt) < (b.kind === 'expiry' ? -1 : b.slotAt);
}

/** Adds to a binary heap, in place. */
export function pushDue(heap: Due[], due: Due): void {
  let at = heap.push(due) - 1;
  while (at > 0) {
    const parent = (at - 1) >> 1;
    const above = heap[parent] as Due;
    if (!isBefore(due, above)) break;
    heap[at] = above;
    at = parent;
  }
  heap[at] = due;
}

/** Takes the earliest out of a binary heap, in place. */
export function popDue(heap: Due[]): Due | undefined {
  const [first] = heap;
  const last = heap.pop();
  if (last === undefined || heap.length === 0) return first;
  let at = 0;
  for (let child = 1; child < heap.length; child = 2 * at + 1) {
    const right = child + 1;
    if (right < heap.length && isBefore(heap[right] as Due, heap[child] as Due)) child = right;
    if (!isBefore(heap[child] as Due, last)) break;
    heap[at] = heap[child] as Due;
    at = child;
  }
  heap[at] = last;
  return first;
}
