import { randomBytes } from 'node:crypto';

/** Randomness as a parameter: production passes {@link systemRandom}, tests a seeded one. */
export interface Random {
  /** A number in [0, 1). */
  next(): number;
  /** `byteCount` bytes fit for secrets. */
  bytes(byteCount: number): Uint8Array;
}

/** The operating system's randomness. */
export const systemRandom: Random = {
  next: () => randomBytes(6).readUIntBE(0, 6) / 2 ** 48,
  bytes: (byteCount) => randomBytes(byteCount),
};
