import pRetry, { AbortError } from 'p-retry';

/** How often and how patiently a call is repeated. */
export interface RetryOptions {
  readonly maxAttempts: number;
  readonly minDelayMs: number;
  readonly maxDelayMs: number;
  /** False ends the attempts at once. */
  readonly isRetryable: (error: unknown) => boolean;
  readonly signal?: AbortSignal;
}

/** Calls until it succeeds, with exponential back-off and jitter; rejects with the last error. */
export function retry<T>(call: (attempt: number) => Promise<T>, options: RetryOptions): Promise<T> {
  return pRetry(call, {
    retries: options.maxAttempts - 1,
    minTimeout: options.minDelayMs,
    maxTimeout: options.maxDelayMs,
    randomize: true,
    shouldRetry: ({ error }) => !(error instanceof AbortError) && options.isRetryable(error),
    ...(options.signal !== undefined && { signal: options.signal }),
  });
}
