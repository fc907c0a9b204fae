import type { ModelOutcome } from '@hivekeeper/contract';
import type { Clock } from '@hivekeeper/kernel';
import type { ModelTarget } from './catalogue.ts';
import type { ModelCallRecord, ModelReservation, ModelTry } from './model-call.ts';
import { costOf } from './price.ts';
import { estimatedUsage, type Usage } from './usage.ts';

/** What is known of a call before it begins. */
export type CallHead = Pick<
  ModelCallRecord,
  'id' | 'atMs' | 'dialect' | 'asked' | 'isStream' | 'tenantId' | 'subject' | 'runId' | 'nodeId'
>;

/** What {@link Account} needs. */
export interface AccountOptions {
  readonly head: CallHead;
  readonly sentCharacters: number;
  readonly reservation: ModelReservation | undefined;
  /** True for a model that is none. */
  readonly isSimulated: (target: ModelTarget) => boolean;
  readonly clock: Clock;
  readonly record: (call: ModelCallRecord) => void;
}

const nothing: Usage = { inputTokens: 0, cachedInputTokens: 0, outputTokens: 0 };
const plus = (left: Usage, right: Usage): Usage => ({
  inputTokens: left.inputTokens + right.inputTokens,
  cachedInputTokens: left.cachedInputTokens + right.cachedInputTokens,
  outputTokens: left.outputTokens + right.outputTokens,
});

/** Adds up what one call used over all its tries, and closes once: the reservation is settled or released, the call recorded. */
export class Account {
  readonly #options: AccountOptions;
  readonly #startedAtMs: number;
  readonly #tries: ModelTry[] = [];
  #tryStartedAtMs = 0;
  #target: ModelTarget | undefined;
  #usage = nothing;
  #isEstimated = false;
  #costMicroUsd: number | undefined = 0;
  #firstByteMs: number | undefined;

  constructor(options: AccountOptions) {
    this.#options = options;
    this.#startedAtMs = options.clock.monotonicMs();
  }

  /** A try begins. */
  begin(target: ModelTarget): void {
    this.#target = target;
    this.#tryStartedAtMs = this.#options.clock.monotonicMs();
  }

  /** The try gives an answer. */
  answering(): void {
    this.#firstByteMs = this.#since(this.#startedAtMs);
  }

  /** The try is over; what it may have used is charged. */
  end({ failure, ...used }: { readonly failure?: string; readonly usage?: Usage | undefined; readonly receivedCharacters?: number }): void {
    if (this.#target === undefined) return;
    this.#tries.push({ model: this.#target.id, latencyMs: this.#since(this.#tryStartedAtMs), failure });
    const { usage, receivedCharacters } = used;
    if (usage === undefined && receivedCharacters === undefined) return;
    const charged = usage ?? estimatedUsage(this.#options.sentCharacters, receivedCharacters ?? 0);
    this.#isEstimated ||= usage === undefined;
    this.#usage = plus(this.#usage, charged);
    const { price } = this.#target;
    this.#costMicroUsd = price === undefined || this.#costMicroUsd === undefined ? undefined : this.#costMicroUsd + costOf(charged, price);
  }

  /** The call is over. Called once. */
  close(outcome: ModelOutcome): void {
    const { head, reservation, record, isSimulated } = this.#options;
    const costMicroUsd = this.#costMicroUsd;
    if (costMicroUsd === undefined || costMicroUsd > 0) reservation?.settle(costMicroUsd ?? 0);
    else reservation?.release();
    record({
      ...head,
      model: this.#target?.id,
      provider: this.#target?.provider,
      isSimulated: this.#target !== undefined && isSimulated(this.#target),
      usage: this.#usage,
      isEstimated: this.#isEstimated,
      costMicroUsd,
      firstByteMs: this.#firstByteMs,
      latencyMs: this.#since(this.#startedAtMs),
      outcome,
      tries: this.#tries,
    });
  }

  #since = (startedAtMs: number): number => Math.round(this.#options.clock.monotonicMs() - startedAtMs);
}
