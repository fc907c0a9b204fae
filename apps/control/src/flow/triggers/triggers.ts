import { hash } from 'node:crypto';
import { HiveError, type JsonObject, type RunId, type TenantId } from '@hivekeeper/contract';
import type { Reference, StoredWorkflow, WorkflowRegistry } from '../../records/registry/index.ts';
import type { Runs, RunStore } from '../runs/index.ts';
import { OneAtATime } from './one-at-a-time.ts';

/** Something wants a run. */
export interface Trigger {
  readonly tenantId: TenantId;
  readonly workflow: Reference;
  readonly context: JsonObject;
  /** What kind of thing it was: `api`, `manual`, `retry`. */
  readonly kind: string;
  /** Who caused it. */
  readonly by: string;
  readonly idempotency?: { readonly route: string; readonly key: string } | undefined;
}

/** What became of a trigger. */
export interface Triggered {
  readonly runId: RunId;
  readonly workflow: StoredWorkflow;
  /** True where an earlier trigger with the same key had started it. */
  readonly isReplay: boolean;
}

/** The one door by which runs begin. */
export class Triggers {
  readonly #runs: Runs;
  readonly #store: RunStore;
  readonly #workflows: WorkflowRegistry;
  readonly #byKey = new OneAtATime();

  constructor(options: { readonly runs: Runs; readonly store: RunStore; readonly workflows: WorkflowRegistry }) {
    this.#runs = options.runs;
    this.#store = options.store;
    this.#workflows = options.workflows;
  }

  /**
   * Starts a run of the workflow's latest version. With an idempotency key, exactly one run per key, for 7 days:
   * the same body again gives the same run.
   * @throws HiveError NOT_FOUND, WORKFLOW_NOT_ACTIVE, IDEMPOTENCY_KEY_REUSED
   */
  fire(trigger: Trigger): Promise<Triggered> {
    const { tenantId, idempotency } = trigger;
    const name = idempotency === undefined ? undefined : JSON.stringify([tenantId, idempotency.route, idempotency.key]);
    return this.#byKey.pass(name, () => this.#fire(trigger));
  }

  async #fire(trigger: Trigger): Promise<Triggered> {
    const workflow = await this.#workflows.latest(trigger.tenantId, trigger.workflow);
    const bodySha256 = hash('sha256', JSON.stringify([workflow.id, sorted(trigger.context)]));
    const earlier = await this.#earlier(trigger, bodySha256);
    if (earlier !== undefined) return { runId: earlier, workflow, isReplay: true };
    if (workflow.status !== 'ACTIVE') throw new HiveError('WORKFLOW_NOT_ACTIVE', `workflow ${workflow.name} is ${workflow.status}`);
    try {
      const runId = await this.#start(trigger, workflow, { bodySha256 });
      return { runId, workflow, isReplay: false };
    } catch (error) {
      // Lost the race against a twin with the same key, at another control plane.
      const twin = HiveError.is(error) && error.code === 'IDEMPOTENCY_KEY_REUSED' ? await this.#earlier(trigger, bodySha256) : undefined;
      if (twin === undefined) throw error;
      return { runId: twin, workflow, isReplay: true };
    }
  }

  /** Runs a failed run's workflow version again, whole, with the same context. @throws HiveError NOT_FOUND, RUN_NOT_RETRYABLE */
  async retry({ tenantId, runId, by }: { readonly tenantId: TenantId; readonly runId: RunId; readonly by: string }): Promise<RunId> {
    const [summary, stored] = await Promise.all([this.#store.summary(tenantId, runId), this.#store.load(runId)]);
    if (summary === undefined || stored === undefined) throw new HiveError('NOT_FOUND', `there is no run ${runId}`);
    if (!['FAILED', 'TIMED_OUT', 'CANCELLED'].includes(summary.status))
      throw new HiveError('RUN_NOT_RETRYABLE', `the run is ${summary.status}`);
    const first = stored.commits[0]?.[0];
    const context = first?.type === 'run.created' ? first.context : {};
    const { workflowId, workflowVersion, definition } = stored;
    return this.#runs.start({ tenantId, workflowId, workflowVersion, definition, context, trigger: 'retry', originRunId: runId, by });
  }

  async #earlier(trigger: Trigger, bodySha256: string): Promise<RunId | undefined> {
    if (trigger.idempotency === undefined) return undefined;
    const found = await this.#store.findByKey(trigger.tenantId, trigger.idempotency.route, trigger.idempotency.key);
    if (found !== undefined && found.bodySha256 !== bodySha256) throw new HiveError('IDEMPOTENCY_KEY_REUSED');
    return found?.runId;
  }

  #start(trigger: Trigger, workflow: StoredWorkflow, { bodySha256 }: { readonly bodySha256: string }): Promise<RunId> {
    return this.#runs.start({
      tenantId: trigger.tenantId,
      workflowId: workflow.id,
      workflowVersion: workflow.version,
      definition: workflow.definition,
      context: trigger.context,
      trigger: trigger.kind,
      by: trigger.by,
      ...(trigger.idempotency !== undefined && { idempotency: { ...trigger.idempotency, bodySha256 } }),
    });
  }
}

/** The same value with its keys in order, so that the order a client writes them in makes no difference. */
function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, inner]) => [key, sorted(inner)]),
  );
}
