import { hash } from 'node:crypto';
import {
  type AgentSpec,
  type ErrorCode,
  HiveError,
  type Issue,
  type JsonValue,
  mqttAgentIdIn,
  type TenantId,
  type WorkflowDefinition,
  type WorkflowId,
  type WorkflowView,
} from '@hivekeeper/contract';
import type { ProjectId, Reference, RegistryStore, StoredWorkflow } from './registry-store.ts';

/** Judges a definition's graph, templates and expressions. */
export type CheckWorkflow = (definition: WorkflowDefinition, isKnownAgent: (name: string) => boolean) => readonly Issue[];

const latestKept = 1_000;

/** The workflows that exist, each with its immutable versions. */
export class WorkflowRegistry {
  readonly #store: RegistryStore;
  readonly #check: CheckWorkflow;
  readonly #newId: () => WorkflowId;
  /** Latest versions by tenant and reference: every trigger needs one. Cleared by every change, here or elsewhere. */
  readonly #latest = new Map<string, StoredWorkflow>();
  /** What may be started, by tenant: every event is held against it. Cleared as the latest are. */
  readonly #active = new Map<TenantId, readonly StoredWorkflow[]>();
  /** Counts the changes: what was read before one is not kept after it. */
  #generation = 0;

  constructor(options: { readonly store: RegistryStore; readonly check: CheckWorkflow; readonly newId: () => WorkflowId }) {
    this.#store = options.store;
    this.#check = options.check;
    this.#newId = options.newId;
  }

  list(
    tenantId: TenantId,
    filter: { readonly projectId?: ProjectId | undefined; readonly status?: WorkflowView['status'] | undefined } = {},
  ): Promise<readonly StoredWorkflow[]> {
    return this.#store.workflows(tenantId, filter);
  }

  /** @throws HiveError NOT_FOUND */
  async get(tenantId: TenantId, reference: Reference, version?: number): Promise<StoredWorkflow> {
    const workflow = await this.#store.workflow(tenantId, reference, version);
    if (workflow === undefined)
      throw new HiveError(
        'NOT_FOUND',
        `there is no workflow ${'id' in reference ? reference.id : reference.name}${version === undefined ? '' : ` version ${version}`}`,
      );
    return workflow;
  }

  /** As {@link get} of the latest version, from memory where possible. */
  async latest(tenantId: TenantId, reference: Reference): Promise<StoredWorkflow> {
    const key = JSON.stringify([tenantId, reference]);
    const kept = this.#latest.get(key);
    if (kept !== undefined) return kept;
    const generation = this.#generation;
    const workflow = await this.get(tenantId, reference);
    if (generation !== this.#generation) return workflow;
    if (this.#latest.size >= latestKept) this.#latest.clear();
    this.#latest.set(key, workflow);
    return workflow;
  }

  /** The latest versions of the workflows that may be started, from memory where possible. */
  async active(tenantId: TenantId): Promise<readonly StoredWorkflow[]> {
    const kept = this.#active.get(tenantId);
    if (kept !== undefined) return kept;
    const generation = this.#generation;
    const workflows = await this.list(tenantId, { status: 'ACTIVE' });
    if (generation === this.#generation) this.#active.set(tenantId, workflows);
    return workflows;
  }

  /** Forgets what is in memory: a workflow changed. */
  refresh(): void {
    this.#generation += 1;
    this.#active.clear();
    this.#latest.clear();
  }

  /** Everything wrong with a definition; empty when it may be deployed. */
  async issuesOf(tenantId: TenantId, definition: WorkflowDefinition): Promise<readonly Issue[]> {
    const specs = new Map((await this.#store.agents(tenantId)).map(({ name, spec }) => [name, spec]));
    // Agents over MQTT come and go, and are no less known while they are away.
    const isKnown = (name: string) => specs.has(name) || mqttAgentIdIn(name) !== undefined;
    return [...this.#check(definition, isKnown), ...unknownActionsIn(definition, specs)];
  }

  /**
   * Stores a definition as the workflow's next version; the same again is the version there is.
   * @throws HiveError WORKFLOW_INVALID, UNKNOWN_AGENT, AGENT_UNKNOWN_ACTION
   */
  async deploy(deployment: {
    readonly tenantId: TenantId;
    readonly definition: WorkflowDefinition;
    readonly by: string;
  }): Promise<StoredWorkflow> {
    const { tenantId, definition, by } = deployment;
    await this.#mustBeValid(tenantId, definition);
    const sha256 = digestOf(definition);
    const known = await this.#store.workflow(tenantId, { name: definition.name });
    const workflow =
      known === undefined
        ? await this.#store.addWorkflow({ tenantId, projectId: 1, id: this.#newId(), definition, sha256, by })
        : await this.#store.addVersion({ tenantId, id: known.id, definition, sha256, by });
    this.refresh();
    return workflow;
  }

  /** Stores a workflow that must not exist yet. @throws HiveError WORKFLOW_INVALID, UNKNOWN_AGENT, AGENT_UNKNOWN_ACTION, ALREADY_EXISTS */
  async create(creation: {
    readonly tenantId: TenantId;
    readonly projectId: ProjectId;
    readonly definition: WorkflowDefinition;
    readonly facade?: JsonValue | undefined;
    readonly by: string;
  }): Promise<StoredWorkflow> {
    await this.#mustBeValid(creation.tenantId, creation.definition);
    const workflow = await this.#store.addWorkflow({ ...creation, id: this.#newId(), sha256: digestOf(creation.definition) });
    this.refresh();
    return workflow;
  }

  async update(change: {
    readonly tenantId: TenantId;
    readonly id: WorkflowId;
    readonly status?: WorkflowView['status'] | undefined;
    readonly description?: string | undefined;
    readonly by: string;
  }): Promise<StoredWorkflow> {
    const workflow = await this.#store.updateWorkflow(change);
    this.refresh();
    return workflow;
  }

  /** Takes a workflow out of use; its runs stay readable. @throws HiveError NOT_FOUND */
  async remove(tenantId: TenantId, id: WorkflowId, by: string): Promise<void> {
    if (!(await this.#store.removeWorkflow(tenantId, id, by))) throw new HiveError('NOT_FOUND', `there is no workflow ${id}`);
    this.refresh();
  }

  async #mustBeValid(tenantId: TenantId, definition: WorkflowDefinition): Promise<void> {
    const issues = await this.issuesOf(tenantId, definition);
    if (issues.length === 0) return;
    throw new HiveError(codeOf(issues), issues[0]?.message, { issues: issues.slice(0, 50) });
  }
}

function codeOf(issues: readonly Issue[]): ErrorCode {
  if (issues.every(({ path }) => path.endsWith('/agent'))) return 'UNKNOWN_AGENT';
  return issues.every(({ path }) => path.endsWith('/action')) ? 'AGENT_UNKNOWN_ACTION' : 'WORKFLOW_INVALID';
}

/** An agent that lists no capabilities takes any action. */
function unknownActionsIn({ nodes }: WorkflowDefinition, specs: ReadonlyMap<string, AgentSpec>): readonly Issue[] {
  return nodes.flatMap(({ agent, action, compensate }, position) =>
    [
      { path: `/nodes/${position}/action`, agent, action },
      { path: `/nodes/${position}/compensate/action`, agent: compensate?.agent, action: compensate?.action },
    ].flatMap((called) => unknownActionOf(called, specs)),
  );
}

function unknownActionOf(
  { path, agent = '', action }: { readonly path: string; readonly agent: string | undefined; readonly action: string | undefined },
  specs: ReadonlyMap<string, AgentSpec>,
): readonly Issue[] {
  const names = specs.get(agent)?.capabilities.map(({ name }) => name) ?? [];
  if (action === undefined || names.length === 0 || names.includes(action)) return [];
  return [{ path, message: `agent "${agent}" has no action "${action}"; it has ${names.join(', ')}` }];
}

const digestOf = (definition: WorkflowDefinition): string => hash('sha256', JSON.stringify(definition));
