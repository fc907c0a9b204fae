import type { RunId, TenantId } from '@hivekeeper/contract';
import type { AwaitedEvent } from './run-store.ts';
import type { RunWork } from './run-work.ts';

/** What a commit of a run means to others. */
export interface RunConsequences {
  readonly runId: RunId;
  readonly tenantId: TenantId;
  /** Events that the run waits for from now on. */
  readonly awaited: readonly AwaitedEvent[];
  /** Where the run waits for its turn, or has given it back by ending. */
  readonly turnKey?: string | undefined;
}

/** What others are told of a commit; undefined where it concerns nobody. */
export function consequencesOf({ after: { runId, tenantId, state }, awaited }: RunWork): RunConsequences | undefined {
  const turnKey = state.phase.kind === 'live' ? undefined : state.turnKey;
  if (awaited.size === 0 && turnKey === undefined) return undefined;
  return { runId, tenantId, awaited: [...awaited.values()], turnKey };
}
