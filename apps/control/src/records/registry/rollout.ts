import { hash } from 'node:crypto';
import type { AgentSpec, RunId } from '@hivekeeper/contract';
import { timeOfId } from '@hivekeeper/kernel';

/** From a moment on, which share of new runs gets which version of an agent. No weights: all get the current one. */
export interface Rollout {
  readonly sinceMs: number;
  /** By version; its share is its weight over the sum of all. */
  readonly weights: Readonly<Record<string, number>>;
}

/** An agent with everything that its runs may get. */
export interface Versioned {
  readonly name: string;
  /** The current version. */
  readonly spec: AgentSpec;
  readonly versions: Readonly<Record<string, AgentSpec>>;
  /** The newest last. */
  readonly rollouts: readonly Rollout[];
}

/** Every control plane has heard of a rollout by then. */
export const rolloutDelayMs = 1_000;
/** Runs that began before those that are kept get the current version. */
export const mostRollouts = 100;

const bucketCount = 2 ** 32;

/**
 * The version that all tickets of a run get: by the rollout that was in force when the run began, and by its id, so that every control
 * plane finds the same, and a later rollout changes nothing for it.
 */
export function specFor({ name, spec, versions, rollouts }: Versioned, runId: RunId | undefined): AgentSpec {
  if (runId === undefined || rollouts.length === 0) return spec;
  const beganAtMs = timeOfId(runId);
  const weights = Object.entries(rollouts.findLast(({ sinceMs }) => sinceMs <= beganAtMs)?.weights ?? {});
  const total = weights.reduce((sum, [, weight]) => sum + weight, 0);
  // Of the run and the agent: a run with several agents in rollout is not among the first to try for all of them.
  let left = (Number.parseInt(hash('sha256', `${runId} ${name}`).slice(0, 8), 16) / bucketCount) * total;
  for (const [version, weight] of weights) {
    // What was brought up to date under the same version is meant for these runs, too.
    if (left < weight) return version === spec.version ? spec : (versions[version] ?? spec);
    left -= weight;
  }
  return spec;
}
