import type { ModelOutcome, RunId, TenantId } from '@hivekeeper/contract';
import type { DialectName } from './dialects/index.ts';
import type { Usage } from './usage.ts';

/** Who calls, and for which run where that was said. */
export interface ModelCaller {
  readonly tenantId: TenantId;
  readonly subject: string;
  readonly runId?: RunId | undefined;
  readonly nodeId?: string | undefined;
}

/** One try at one model. */
export interface ModelTry {
  readonly model: string;
  readonly latencyMs: number;
  /** Absent for the one that answered. */
  readonly failure?: string | undefined;
}

/** What is kept of a call once it is over. */
export interface ModelCallRecord extends ModelCaller {
  readonly id: string;
  readonly atMs: number;
  readonly dialect: DialectName;
  /** The class or model that was asked for. */
  readonly asked: string;
  /** The one that answered, or was tried last; absent where none was tried. */
  readonly model?: string | undefined;
  readonly provider?: string | undefined;
  readonly isStream: boolean;
  readonly isSimulated: boolean;
  readonly usage: Usage;
  /** The provider did not say what was used: it follows from the lengths of what was sent and received. */
  readonly isEstimated: boolean;
  /** Undefined where a price is not known. */
  readonly costMicroUsd?: number | undefined;
  /** To the first event of a stream, or the whole answer. */
  readonly firstByteMs?: number | undefined;
  readonly latencyMs: number;
  readonly outcome: ModelOutcome;
  readonly tries: readonly ModelTry[];
}

/** Where money is set aside before a call and accounted for after it. */
export interface ModelBudget {
  /** @throws HiveError where the budget refuses */
  reserve(mostMicroUsd: number, caller: ModelCaller): Promise<ModelReservation>;
}

/** Money that is set aside for one call; one of the two is called, once. */
export interface ModelReservation {
  settle(microUsd: number): void;
  /** Nothing was spent. */
  release(): void;
}
