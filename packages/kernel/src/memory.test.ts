import { expect, test } from 'vitest';
import { releaseStartMemory } from './memory.ts';

test('what a start left over is given back, and no program finds a collector to call', () => {
  let leftOver = Array.from({ length: 50 }, () => new Array<number>(100_000).fill(0));
  const before = process.memoryUsage().heapUsed;
  leftOver = [];
  releaseStartMemory();
  expect(leftOver).toEqual([]);
  expect(before - process.memoryUsage().heapUsed).toBeGreaterThan(10_000_000);
  expect('gc' in globalThis).toBe(false);
});
