import type { ModelOutcome } from '@hivekeeper/contract';
import type { DialectName } from './dialects/index.ts';
import type { ModelCallRecord } from './model-call.ts';

/** Calls of one kind since this process began. */
export interface Tallied {
  /** Empty where no model was reached. */
  readonly model: string;
  readonly provider: string;
  readonly dialect: DialectName;
  readonly outcome: ModelOutcome;
  readonly calls: number;
  readonly inputTokens: number;
  readonly outputTokens: number;
  readonly costMicroUsd: number;
  readonly latencyMs: number;
}

const nothing = { calls: 0, inputTokens: 0, outputTokens: 0, costMicroUsd: 0, latencyMs: 0 };

/** Adds up calls for metrics. */
export class Tally {
  readonly #rows = new Map<string, Tallied>();

  add({ model = '', provider = '', dialect, outcome, usage, costMicroUsd = 0, latencyMs }: ModelCallRecord): void {
    const key = `${model} ${dialect} ${outcome}`;
    const { calls, ...before } = this.#rows.get(key) ?? nothing;
    this.#rows.set(key, {
      ...{ model, provider, dialect, outcome },
      calls: calls + 1,
      inputTokens: before.inputTokens + usage.inputTokens,
      outputTokens: before.outputTokens + usage.outputTokens,
      costMicroUsd: before.costMicroUsd + costMicroUsd,
      latencyMs: before.latencyMs + latencyMs,
    });
  }

  rows(): readonly Tallied[] {
    return [...this.#rows.values()];
  }
}
