import {
  type CarriedNode,
  type CompensationTask,
  HiveError,
  isTerminal,
  type JsonObject,
  type RunId,
  type RunStatus,
} from '@hivekeeper/contract';
import type { NewRun, StoredRun } from '../runs/index.ts';

/** How a run goes on from another one: whole, from what failed, or from a node. */
export type Rerun =
  | { readonly kind: 'retry'; readonly from: 'start' | 'failed' }
  | { readonly kind: 'fork'; readonly nodeId: string; readonly context?: JsonObject | undefined };

/** An ended run, and how to find what a new one need not do again. */
export interface Origin {
  readonly runId: RunId;
  readonly status: RunStatus;
  readonly stored: StoredRun;
  /** @throws HiveError RUN_COMPENSATED */
  readonly carriedOf: (stored: StoredRun, from?: string) => CarriedNode[];
  /** Nodes of the run that succeeded. */
  readonly succeeded: () => ReadonlySet<string>;
}

/**
 * The run that goes on from an ended one, of the same version. One that undoes another run undoes again, and never does.
 * @throws HiveError RUN_UNFINISHED, RUN_NOT_RETRYABLE, RUN_COMPENSATED, INVALID_REQUEST for a node that is not there
 */
export function rerunOf(origin: Origin, rerun: Rerun): Omit<NewRun, 'by' | 'idempotency'> {
  const { runId, stored } = origin;
  mustBeRepeatable(origin, rerun);
  const { tenantId, workflowId, workflowVersion, definition } = stored;
  const first = stored.commits[0]?.[0];
  const { context, compensation } = first?.type === 'run.created' ? first : { context: {} };
  const base = { tenantId, workflowId, workflowVersion, definition, context, trigger: rerun.kind, originRunId: runId };
  if (compensation !== undefined) return { ...base, compensation: undoneAgain(origin, rerun, compensation) };
  if (rerun.kind === 'fork') return { ...base, context: rerun.context ?? context, carried: origin.carriedOf(stored, rerun.nodeId) };
  return rerun.from === 'start' ? base : { ...base, carried: origin.carriedOf(stored) };
}

function mustBeRepeatable({ status, stored }: Origin, rerun: Rerun): void {
  if (rerun.kind === 'retry') {
    if (isTerminal(status) && status !== 'SUCCESS') return;
    throw new HiveError('RUN_NOT_RETRYABLE', `the run is ${status}`);
  }
  if (!isTerminal(status)) throw new HiveError('RUN_UNFINISHED', `the run is ${status}`);
  if (stored.definition.nodes.some(({ id }) => id === rerun.nodeId)) return;
  const message = `the run has no node ${rerun.nodeId}`;
  throw new HiveError('INVALID_REQUEST', message, { issues: [{ path: '/nodeId', message }] });
}

function undoneAgain(origin: Origin, rerun: Rerun, tasks: readonly CompensationTask[]): readonly CompensationTask[] {
  if (rerun.kind === 'fork') throw new HiveError('RUN_NOT_RETRYABLE', 'the run undoes another one: it can be retried, not forked');
  if (rerun.from === 'start') return tasks;
  const done = origin.succeeded();
  return tasks.filter(({ nodeId }) => !done.has(nodeId));
}
