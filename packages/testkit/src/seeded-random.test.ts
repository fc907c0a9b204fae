import { describe, expect, it } from 'vitest';
import { seededRandom } from './seeded-random.ts';

const draw = (seed: number, count: number) => {
  const random = seededRandom(seed);
  return Array.from({ length: count }, () => random.next());
};

describe('seeded randomness', () => {
  it('repeats with its seed and differs with another', () => {
    expect(draw(7, 20)).toEqual(draw(7, 20));
    expect(draw(7, 20)).not.toEqual(draw(8, 20));
    expect(Buffer.from(seededRandom(7).bytes(16))).toEqual(Buffer.from(seededRandom(7).bytes(16)));
  });

  it.each([0, 1, 42, -1, 2 ** 31, 0x5bd1e995])('is spread evenly over [0, 1) for seed %i', (seed) => {
    const buckets = Array.from({ length: 10 }, () => 0);
    for (const value of draw(seed, 10_000)) {
      expect(value >= 0 && value < 1).toBe(true);
      buckets[Math.floor(value * 10)]! += 1;
    }
    for (const count of buckets) expect(count).toBeGreaterThan(850);
    for (const count of buckets) expect(count).toBeLessThan(1_150);
  });

  it('gives as many bytes as asked, and every byte', () => {
    expect(seededRandom(1).bytes(3)).toHaveLength(3);
    expect(new Set(seededRandom(1).bytes(10_000)).size).toBe(256);
  });
});
