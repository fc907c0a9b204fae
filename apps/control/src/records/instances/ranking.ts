import type { InstanceView, Rank, Telemetry } from '@hivekeeper/contract';

const weights = { health: 0.4, success: 0.4, room: 0.2 };
/** What stands for something nobody knows: neither praise nor blame. */
const unknown = 0.5;

/**
 * How good a choice an instance is, from 0 to 1: 0.4 × health (healthy 1, degraded 0.5, else 0) + 0.4 × success + 0.2 × room
 * (1 − load). Success is (successes + 1) / (executions + 2), so that few executions prove little; the ratio it tells where it tells
 * no counts; 0.5 where it tells nothing.
 */
export function rankOf({ health, telemetry }: Pick<InstanceView, 'health' | 'telemetry'>): Rank {
  const parts = [
    { name: 'health', weight: weights.health, value: health === 'healthy' ? 1 : health === 'degraded' ? unknown : 0, because: health },
    { name: 'success', weight: weights.success, ...successOf(telemetry) },
    { name: 'room', weight: weights.room, ...roomOf(telemetry) },
  ];
  return { score: rounded(parts.reduce((sum, { weight, value }) => sum + weight * value, 0)), parts };
}

function successOf({ executionCount, failureCount = 0, successRatio }: Telemetry): { readonly value: number; readonly because: string } {
  if (executionCount !== undefined && executionCount > 0)
    return {
      value: rounded((executionCount - failureCount + 1) / (executionCount + 2)),
      because: `${failureCount} of ${executionCount} executions failed`,
    };
  if (executionCount === undefined && successRatio !== undefined) return { value: successRatio, because: 'the ratio it tells' };
  return { value: unknown, because: 'no executions yet' };
}

const roomOf = ({ loadRatio }: Telemetry): { readonly value: number; readonly because: string } =>
  loadRatio === undefined
    ? { value: unknown, because: 'it does not tell its load' }
    : { value: rounded(1 - loadRatio), because: `${Math.round(loadRatio * 100)} % of it is in use` };

/** The best first; of equals the lower id, so that everybody sees the same order. */
export const byRank = (one: { readonly id: string; readonly rank: Rank }, other: { readonly id: string; readonly rank: Rank }): number =>
  other.rank.score - one.rank.score || (one.id < other.id ? -1 : 1);

const rounded = (value: number): number => Math.round(value * 10_000) / 10_000;
