import {
  type AgentSpec,
  agentManifestSchema,
  canaryTenantId,
  type WorkflowDefinition,
  workflowDefinitionSchema,
} from '@hivekeeper/contract';
import type { Clock } from '@hivekeeper/kernel';
import type { AgentRegistry, WorkflowRegistry } from '../../records/registry/index.ts';
import type { Runs, Watcher } from '../runs/index.ts';
import type { Triggers } from '../triggers/index.ts';
import type { CanaryEnd } from './canaries.ts';

// Long enough for the workers to be busy a while, and short enough that the next one tells of now.
const longestMs = 60_000;
const agentTimeoutMs = 20_000;
// Behind the run's own end: a canary of which nobody hears must not be the last of its queue.
const silentAfterMs = longestMs + 30_000;

const entries = { exec: 'canary.sh', node: 'canary.mjs', python: 'canary.py' } as const;
type Queue = keyof typeof entries;

/** Every queue that canaries know how to go through; tickets with labels as well require one of these too. */
export const canaryQueues = Object.keys(entries) as readonly Queue[];

const nameOf = (queue: string): string => `canary-${queue}`;

const agentOf = (queue: Queue, directory: string): AgentSpec => ({
  ...agentManifestSchema.parse({ name: nameOf(queue), version: '1.0.0', runtime: queue, entry: entries[queue] }),
  directory,
  isSingleFile: true,
  trust: 'trusted',
});

const workflowOf = (queue: Queue): WorkflowDefinition =>
  workflowDefinitionSchema.parse({
    name: nameOf(queue),
    timeoutMs: longestMs,
    nodes: [{ id: 'canary', agent: nameOf(queue), timeoutMs: agentTimeoutMs, retry: { maxAttempts: 1 } }],
  });

/** Registers agents and workflows of canaries, under a tenant of their own; `directory` is where the agents lie. Idempotent. */
export async function registerCanaries(
  { agents, workflows }: { readonly agents: AgentRegistry; readonly workflows: WorkflowRegistry },
  directory: string,
): Promise<void> {
  for (const queue of canaryQueues) {
    await agents.ensureSpec({ tenantId: canaryTenantId, spec: agentOf(queue, directory), by: 'platform' });
    await workflows.deploy({ tenantId: canaryTenantId, definition: workflowOf(queue), by: 'platform' });
  }
}

/** Sends a canary: a run of one ticket, by the door that every run comes in. Resolves with its end, in 90 s at most. */
export async function sendCanary(
  { triggers, runs, clock }: { readonly triggers: Pick<Triggers, 'fire'>; readonly runs: Pick<Runs, 'watch'>; readonly clock: Clock },
  queue: string,
): Promise<CanaryEnd> {
  const tenantId = canaryTenantId;
  const { runId } = await triggers.fire({ tenantId, workflow: { name: nameOf(queue) }, context: {}, kind: 'canary', by: 'platform' });
  const { promise, resolve } = Promise.withResolvers<CanaryEnd>();
  const onNews: Watcher = (news) => {
    for (const { notice } of news) {
      if (notice.type !== 'run.finished') continue;
      const { status, error } = notice;
      const isSettled = status === 'SUCCESS' || (status === 'FAILED' && error?.code !== 'LEASE_LOST_TOO_OFTEN');
      resolve(isSettled ? { kind: 'settled', error } : { kind: 'unserved' });
    }
  };
  const timer = clock.after(silentAfterMs, () => resolve({ kind: 'unserved' }));
  const stop = await runs.watch({ tenantId, runId, onNews }).catch((error: unknown) => {
    timer.cancel();
    throw error;
  });
  try {
    return await promise;
  } finally {
    timer.cancel();
    stop();
  }
}
