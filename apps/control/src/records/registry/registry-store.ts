import type {
  AgentId,
  AgentSpec,
  AgentView,
  JsonValue,
  TenantId,
  WorkflowDefinition,
  WorkflowId,
  WorkflowView,
} from '@hivekeeper/contract';
import type { Rollout, Versioned } from './rollout.ts';

/** A label inside a tenant, as the CommandCenter routes know it. */
export type ProjectId = number;

/** An agent as stored; `name` is what nodes call it, `spec.name` what it is called in its project. */
export interface StoredAgent extends AgentView, Pick<Versioned, 'versions' | 'rollouts'> {
  readonly tenantId: TenantId;
  readonly projectId: ProjectId;
  /** What a facade's caller registered and wants back unchanged. */
  readonly facade?: JsonValue | undefined;
}

/** A workflow's version as stored. */
export interface StoredWorkflow extends WorkflowView {
  readonly tenantId: TenantId;
  readonly projectId: ProjectId;
  readonly facade?: JsonValue | undefined;
}

/** How a row is found: by id, or by name within a project (1 where absent). */
export type Reference = { readonly id: string } | { readonly name: string; readonly projectId?: ProjectId | undefined };

/** The port to the database. Every write commits together with its audit entry, and tells the other control planes. */
export interface RegistryStore {
  /** Of every tenant: what the engine keeps in memory. */
  allAgents(): Promise<readonly StoredAgent[]>;
  agents(tenantId: TenantId, projectId?: ProjectId): Promise<readonly StoredAgent[]>;
  agent(tenantId: TenantId, reference: Reference): Promise<StoredAgent | undefined>;
  /** @throws HiveError ALREADY_EXISTS */
  addAgent(agent: {
    tenantId: TenantId;
    projectId: ProjectId;
    id: AgentId;
    spec: AgentSpec;
    facade?: JsonValue | undefined;
    by: string;
  }): Promise<StoredAgent>;
  updateAgent(agent: {
    tenantId: TenantId;
    id: AgentId;
    spec: AgentSpec;
    facade?: JsonValue | undefined;
    by: string;
  }): Promise<StoredAgent>;
  /** Keeps versions beside the current one, by version, and appends a rollout. */
  keepVersions(change: {
    tenantId: TenantId;
    id: AgentId;
    versions: Readonly<Record<string, AgentSpec>>;
    rollout?: Rollout | undefined;
    by: string;
  }): Promise<StoredAgent>;
  /** Its history stays readable. Returns false where there is none. */
  removeAgent(tenantId: TenantId, id: AgentId, by: string): Promise<boolean>;
  /** Names of workflows whose latest version uses the agent; `agentName` is what nodes call it. */
  workflowsUsing(tenantId: TenantId, agentName: string): Promise<readonly string[]>;

  workflows(
    tenantId: TenantId,
    filter: { readonly projectId?: ProjectId | undefined; readonly status?: WorkflowView['status'] | undefined },
  ): Promise<readonly StoredWorkflow[]>;
  /** The latest version, or the one asked for. */
  workflow(tenantId: TenantId, reference: Reference, version?: number): Promise<StoredWorkflow | undefined>;
  /** @throws HiveError ALREADY_EXISTS */
  addWorkflow(workflow: {
    tenantId: TenantId;
    projectId: ProjectId;
    id: WorkflowId;
    definition: WorkflowDefinition;
    sha256: string;
    facade?: JsonValue | undefined;
    by: string;
  }): Promise<StoredWorkflow>;
  /** Stores the next version; the same definition again gives the version there is. */
  addVersion(version: {
    tenantId: TenantId;
    id: WorkflowId;
    definition: WorkflowDefinition;
    sha256: string;
    by: string;
  }): Promise<StoredWorkflow>;
  updateWorkflow(change: {
    tenantId: TenantId;
    id: WorkflowId;
    status?: WorkflowView['status'] | undefined;
    description?: string | undefined;
    by: string;
  }): Promise<StoredWorkflow>;
  /** Its runs stay readable. Returns false where there is none. */
  removeWorkflow(tenantId: TenantId, id: WorkflowId, by: string): Promise<boolean>;
}
