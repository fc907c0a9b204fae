import type { Random } from '@hivekeeper/kernel';

/** Randomness that repeats with its seed: a xorshift of 32 bits. Not fit for secrets. */
export function seededRandom(seed: number): Random {
  // Zero is the one state it cannot leave; multiplying spreads small seeds.
  let state = Math.imul(seed ^ 0x5bd1e995, 0x9e3779b1) || 1;
  const nextBits = () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return state >>> 0;
  };
  return {
    next: () => nextBits() / 2 ** 32,
    bytes: (byteCount) => Uint8Array.from({ length: byteCount }, () => nextBits() >>> 24),
  };
}
