/** A try that failed. */
export interface FailedTry {
  readonly modelId: string;
  /** False where the same would fail again: a key that is not taken. */
  readonly isRetryable: boolean;
  /** As the provider said. */
  readonly retryAfterMs?: number | undefined;
}

/** What a call does next. */
export type Step =
  | { readonly kind: 'try'; readonly modelId: string; readonly waitMs: number }
  /** Nothing is left that could help. */
  | { readonly kind: 'give-up' };

/** How often one call may be made, whatever is left to try. */
const mostTries = 4;
const withoutWordMs = 500;

/**
 * Every model of the class is asked once, in order and at once; then the one that is first ready again is waited for, once, if that is
 * no longer than `retryWaitMs`. Pure.
 */
export function nextStep(modelIds: readonly string[], failed: readonly FailedTry[], retryWaitMs: number): Step {
  const giveUp: Step = { kind: 'give-up' };
  if (failed.length >= mostTries) return giveUp;
  const untried = modelIds.find((id) => !failed.some(({ modelId }) => modelId === id));
  if (untried !== undefined) return { kind: 'try', modelId: untried, waitMs: 0 };
  const hasWaited = new Set(failed.map(({ modelId }) => modelId)).size < failed.length;
  if (hasWaited) return giveUp;
  const [soonest] = failed
    .filter(({ modelId, isRetryable }) => isRetryable && modelIds.includes(modelId))
    .map(({ modelId, retryAfterMs = withoutWordMs }) => ({ modelId, waitMs: retryAfterMs }))
    .sort((left, right) => left.waitMs - right.waitMs);
  return soonest === undefined || soonest.waitMs > retryWaitMs ? giveUp : { kind: 'try', ...soonest };
}
