import fc from 'fast-check';
import { expect, it } from 'vitest';
import { type Due, popDue, pushDue } from './due.ts';

it('what is due comes out in the order of its time, then of the workflow, whatever the order it went in', () => {
  const due = fc
    .record({ atMs: fc.nat(5), node: fc.nat(5), slotAt: fc.nat(5) })
    .map((some): Due => ({ ...some, nodeId: `n${some.node}`, kind: 'retry' }));
  fc.assert(
    fc.property(fc.array(due), (dues) => {
      const heap: Due[] = [];
      for (const each of dues) pushDue(heap, each);
      const popped = dues.map(() => popDue(heap) as Due & { readonly slotAt: number });
      const keys = popped.map(({ atMs, node, slotAt }) => atMs * 100 + node * 10 + slotAt);
      expect(keys).toEqual([...keys].sort((a, b) => a - b));
      expect(popped).toHaveLength(dues.length);
      expect(popDue(heap)).toBeUndefined();
    }),
  );
});
