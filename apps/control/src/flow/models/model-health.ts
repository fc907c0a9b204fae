import type { BreakerRule } from '@hivekeeper/contract';
import type { Clock } from '@hivekeeper/kernel';
import { afterVerdict, type Breaker, newBreaker } from '../tickets/index.ts';

/** Retry-After of a provider that is out of its mind must not take a model away for ever. */
const longestRestMs = 300_000;

interface Standing {
  readonly breaker: Breaker<string>;
  /** Its provider said that it answers nobody before. */
  readonly restsUntilMs: number;
}

const failureOf = (reason: string | undefined) => (reason === undefined ? undefined : { code: 'MODEL_FAILED', message: reason });
const healthy: Standing = { breaker: newBreaker, restsUntilMs: 0 };

/** How each model (of one provider) does, as far as this process has seen: a breaker each, and what Retry-After said. */
export class ModelHealth {
  readonly #rule: BreakerRule;
  readonly #clock: Clock;
  readonly #standings = new Map<string, Standing>();

  constructor(rule: BreakerRule, clock: Clock) {
    this.#rule = rule;
    this.#clock = clock;
  }

  /** Whether the model may be asked now. Where its breaker has waited long enough, this call is the one that tries. */
  admit(modelId: string, callId: string): boolean {
    const { breaker, restsUntilMs } = this.#of(modelId);
    const nowMs = this.#clock.monotonicMs();
    if (nowMs < restsUntilMs || (breaker.state === 'half-open' && breaker.trialId !== callId)) return false;
    if (breaker.state !== 'open') return true;
    if (nowMs < breaker.nextTrialAtMs) return false;
    this.#standings.set(modelId, { restsUntilMs, breaker: { state: 'half-open', sinceAtMs: nowMs, trialId: callId } });
    return true;
  }

  /** Notes what became of a try: undefined where it tells nothing, as when the caller hung up. */
  note(
    modelId: string,
    callId: string,
    verdict: { readonly failure?: string | undefined; readonly retryAfterMs?: number | undefined } | undefined,
  ): void {
    const standing = this.#of(modelId);
    const atMs = this.#clock.monotonicMs();
    if (verdict === undefined) return this.#trialIsOver(modelId, callId);
    const breaker = afterVerdict(standing.breaker, { trialId: callId, atMs, failure: failureOf(verdict.failure) }, this.#rule);
    const restsUntilMs = verdict.retryAfterMs === undefined ? 0 : atMs + Math.min(verdict.retryAfterMs, longestRestMs);
    this.#standings.set(modelId, { breaker, restsUntilMs: Math.max(standing.restsUntilMs, restsUntilMs) });
  }

  /** True while the model is asked as usual. */
  isWell(modelId: string): boolean {
    const { breaker, restsUntilMs } = this.#of(modelId);
    return breaker.state === 'closed' && this.#clock.monotonicMs() >= restsUntilMs;
  }

  // The next call may try.
  #trialIsOver(modelId: string, callId: string): void {
    const { breaker, restsUntilMs } = this.#of(modelId);
    if (breaker.state !== 'half-open' || breaker.trialId !== callId) return;
    const { sinceAtMs } = breaker;
    this.#standings.set(modelId, { restsUntilMs, breaker: { state: 'open', sinceAtMs, nextTrialAtMs: sinceAtMs } });
  }

  #of = (modelId: string): Standing => this.#standings.get(modelId) ?? healthy;
}
