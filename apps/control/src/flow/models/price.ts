import type { Usage } from './usage.ts';

/** Micro-dollars for a million tokens. */
export interface Price {
  readonly inputMicroUsd: number;
  /** Of input that the provider had in its cache; as other input where absent. */
  readonly cachedInputMicroUsd?: number | undefined;
  readonly outputMicroUsd: number;
}

const million = 1_000_000n;

/** What the tokens cost, in whole micro-dollars, rounded up. Pure. */
export function costOf({ inputTokens, cachedInputTokens, outputTokens }: Usage, price: Price): number {
  const cached = Math.min(cachedInputTokens, inputTokens);
  // Products of counts and prices leave the range in which numbers are exact.
  const total =
    BigInt(inputTokens - cached) * BigInt(price.inputMicroUsd) +
    BigInt(cached) * BigInt(price.cachedInputMicroUsd ?? price.inputMicroUsd) +
    BigInt(outputTokens) * BigInt(price.outputMicroUsd);
  return Number((total + million - 1n) / million);
}

/** The most a call can cost: no token is shorter than a byte, and the model writes no more than it may. */
export const mostCost = (sentBytes: number, mostOutputTokens: number, price: Price): number =>
  costOf(
    { inputTokens: sentBytes, cachedInputTokens: 0, outputTokens: mostOutputTokens },
    { ...price, inputMicroUsd: Math.max(price.inputMicroUsd, price.cachedInputMicroUsd ?? 0) },
  );
