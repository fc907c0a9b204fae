import type { AgentSpec, RunId, TenantId, WorkflowDefinition, WorkflowId } from '@hivekeeper/contract';
import { LRUCache } from 'lru-cache';
import { fold, initialState, planOf, type RunPlan, type RunRules, type RunState } from './core/index.ts';
import type { RunStore, StoredRun } from './run-store.ts';

/** A run in memory: the fold of its journal up to `version`. */
export interface LiveRun {
  readonly runId: RunId;
  readonly tenantId: TenantId;
  readonly workflowId: WorkflowId;
  readonly rules: RunRules;
  readonly state: RunState;
  readonly version: number;
}

/** Evaluates an expression over a scope. */
export type Evaluate = RunRules['evaluate'];

const plansKept = 500;

/**
 * The runs this control plane has in memory. Only a cache: each commit is fenced by the run's version, so a stale entry
 * costs a reload and never a wrong step.
 */
export class LiveRuns {
  readonly #store: RunStore;
  readonly #evaluate: Evaluate;
  readonly #runs: LRUCache<RunId, LiveRun>;
  readonly #plans = new LRUCache<string, RunPlan>({ max: plansKept });

  constructor(store: RunStore, evaluate: Evaluate, runsKept: number) {
    this.#store = store;
    this.#evaluate = evaluate;
    this.#runs = new LRUCache({ max: runsKept });
  }

  get(runId: RunId): LiveRun | undefined {
    return this.#runs.get(runId);
  }

  keep(run: LiveRun): void {
    this.#runs.set(run.runId, run);
  }

  forget(runId: RunId): void {
    this.#runs.delete(runId);
  }

  /** The run from memory, else from its journal. */
  async load(runId: RunId): Promise<LiveRun | undefined> {
    const kept = this.#runs.get(runId);
    if (kept !== undefined) return kept;
    const stored = await this.#store.load(runId);
    if (stored === undefined) return undefined;
    const run = this.fold(stored);
    this.keep(run);
    return run;
  }

  /** Folds a stored run. */
  fold(stored: StoredRun): LiveRun {
    const fresh = this.begin(stored);
    const { state } = fold(fresh.state, stored.commits.flat(), fresh.rules);
    return { ...fresh, state, version: stored.version };
  }

  /** A run before its first event. */
  begin(origin: Pick<StoredRun, 'runId' | 'tenantId' | 'workflowId' | 'workflowVersion' | 'definition'>): LiveRun {
    const plan = this.#planOf(origin);
    return {
      runId: origin.runId,
      tenantId: origin.tenantId,
      workflowId: origin.workflowId,
      rules: { plan, evaluate: this.#evaluate },
      state: initialState(origin.runId, plan),
      version: 0,
    };
  }

  #planOf({
    workflowId,
    workflowVersion,
    definition,
  }: {
    workflowId: WorkflowId;
    workflowVersion: number;
    definition: WorkflowDefinition;
  }): RunPlan {
    const key = `${workflowId}@${workflowVersion}`;
    let plan = this.#plans.get(key);
    if (plan === undefined) {
      plan = planOf(definition);
      this.#plans.set(key, plan);
    }
    return plan;
  }
}

/** What a worker must be able to run for this agent; an agent that is not registered is waited for. */
export function capabilityFor(spec: AgentSpec | undefined, agentName: string): string {
  if (spec === undefined) return `agent:${agentName}`;
  if (spec.kind === 'mqtt') return agentName;
  return spec.kind === 'process' ? spec.runtime : spec.kind;
}

/** All that a worker must have to do a node: what its agent takes, and the node's labels; sorted and joined by a space. */
export function requirementOf(
  spec: AgentSpec | undefined,
  { agent, requires = [] }: { readonly agent: string; readonly requires?: readonly string[] | undefined },
): string {
  const capability = capabilityFor(spec, agent);
  return requires.length === 0 ? capability : [...new Set([capability, ...requires])].sort().join(' ');
}
