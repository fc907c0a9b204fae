import { HiveError, type JsonObject, type RunId, type TenantId, type Turn } from '@hivekeeper/contract';
import type { Reference, WorkflowRegistry } from '../../records/registry/index.ts';
import type { NewRun, Runs, RunStore, StoredRun } from '../runs/index.ts';
import { digestOf } from './digest.ts';
import { OneAtATime } from './one-at-a-time.ts';
import { type Rerun, rerunOf } from './rerun.ts';

/** Makes a call that is made again find the run of the first one, for 7 days. */
export interface Idempotency {
  readonly route: string;
  readonly key: string;
}

/** Something wants a run. */
export interface Trigger {
  readonly tenantId: TenantId;
  readonly workflow: Reference;
  readonly context: JsonObject;
  /** What kind of thing it was: `api`, `manual`, `schedule`. */
  readonly kind: string;
  /** Who caused it. */
  readonly by: string;
  readonly idempotency?: Idempotency | undefined;
  /** What the run takes its turn at where its workflow says nothing of that. */
  readonly turn?: Turn | undefined;
}

/** Somebody wants a run that goes on from an ended one. */
export interface RerunTrigger {
  readonly tenantId: TenantId;
  readonly runId: RunId;
  readonly rerun: Rerun;
  readonly by: string;
  readonly idempotency?: Idempotency | undefined;
}

/** What became of a trigger. */
export interface Triggered {
  readonly runId: RunId;
  readonly workflowVersion: number;
  /** True where an earlier trigger with the same key had started it. */
  readonly isReplay: boolean;
}

/** A run to be started once per key. */
interface Wanted {
  readonly tenantId: TenantId;
  readonly idempotency?: Idempotency | undefined;
  /** What the same call says again. */
  readonly body: unknown;
  /** The run, asked for only where no earlier call started it. */
  readonly newRun: () => Promise<Omit<NewRun, 'idempotency'>> | Omit<NewRun, 'idempotency'>;
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
  async fire(trigger: Trigger): Promise<Triggered> {
    const { tenantId, idempotency, context, kind, by, turn } = trigger;
    const workflow = await this.#workflows.latest(tenantId, trigger.workflow);
    return this.#once({
      tenantId,
      idempotency,
      body: [workflow.id, context],
      newRun: () => {
        if (workflow.status !== 'ACTIVE') throw new HiveError('WORKFLOW_NOT_ACTIVE', `workflow ${workflow.name} is ${workflow.status}`);
        const { id, version, definition } = workflow;
        return { tenantId, workflowId: id, workflowVersion: version, definition, context, trigger: kind, by, turn };
      },
    });
  }

  /**
   * Starts a run that goes on from an ended one: of the same version, linked to it. Keys as with {@link fire}.
   * @throws HiveError NOT_FOUND, RUN_UNFINISHED, RUN_NOT_RETRYABLE, RUN_COMPENSATED, INVALID_REQUEST, IDEMPOTENCY_KEY_REUSED
   */
  rerun({ tenantId, runId, rerun, by, idempotency }: RerunTrigger): Promise<Triggered> {
    return this.#once({
      tenantId,
      idempotency,
      body: [runId, rerun],
      newRun: async () => {
        const [summary, stored] = await Promise.all([this.#store.summary(tenantId, runId), this.#store.load(runId)]);
        if (summary === undefined || stored === undefined) throw new HiveError('NOT_FOUND', `there is no run ${runId}`);
        const carriedOf = (from: StoredRun, nodeId?: string) => this.#runs.carriedOf(from, nodeId);
        const succeeded = () => this.#runs.succeededNodesOf(stored);
        return { ...rerunOf({ runId, status: summary.status, stored, carriedOf, succeeded }, rerun), by };
      },
    });
  }

  /** The run that a trigger with this key started, whatever else the trigger said. */
  async startedBy({
    tenantId,
    idempotency,
  }: {
    readonly tenantId: TenantId;
    readonly idempotency: Idempotency;
  }): Promise<RunId | undefined> {
    return (await this.#store.findByKey(tenantId, idempotency.route, idempotency.key))?.runId;
  }

  #once(wanted: Wanted): Promise<Triggered> {
    const { tenantId, idempotency } = wanted;
    const name = idempotency === undefined ? undefined : JSON.stringify([tenantId, idempotency.route, idempotency.key]);
    return this.#byKey.pass(name, () => this.#start(wanted));
  }

  async #start(wanted: Wanted): Promise<Triggered> {
    const bodySha256 = digestOf(wanted.body);
    const earlier = await this.#earlier(wanted, bodySha256);
    if (earlier !== undefined) return earlier;
    const run = await wanted.newRun();
    const { tenantId, idempotency } = wanted;
    try {
      const runId = await this.#runs.start({ ...run, ...(idempotency !== undefined && { idempotency: { ...idempotency, bodySha256 } }) });
      return { runId, workflowVersion: run.workflowVersion, isReplay: false };
    } catch (error) {
      // Lost the race against a twin with the same key, at another control plane.
      const isTwin = HiveError.is(error) && error.code === 'IDEMPOTENCY_KEY_REUSED';
      const twin = isTwin ? await this.#earlier({ tenantId, idempotency }, bodySha256) : undefined;
      if (twin === undefined) throw error;
      return twin;
    }
  }

  /** A replay is answered from its run, whatever was deployed in between. */
  async #earlier({ tenantId, idempotency }: Pick<Wanted, 'tenantId' | 'idempotency'>, bodySha256: string): Promise<Triggered | undefined> {
    if (idempotency === undefined) return undefined;
    const found = await this.#store.findByKey(tenantId, idempotency.route, idempotency.key);
    if (found === undefined) return undefined;
    if (found.bodySha256 !== bodySha256) throw new HiveError('IDEMPOTENCY_KEY_REUSED');
    const summary = await this.#store.summary(tenantId, found.runId);
    if (summary === undefined) throw new HiveError('NOT_FOUND', `there is no run ${found.runId}`);
    return { runId: found.runId, workflowVersion: summary.workflowVersion, isReplay: true };
  }
}
