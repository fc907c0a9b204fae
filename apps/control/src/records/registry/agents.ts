import {
  type AgentId,
  agentNameIn,
  type AgentSpec,
  HiveError,
  type JsonValue,
  mqttAgentIdIn,
  placeOfAgent,
  type RunId,
  type TenantId,
} from '@hivekeeper/contract';
import { specOverMqtt } from './mqtt-spec.ts';
import type { ProjectId, RegistryStore, StoredAgent } from './registry-store.ts';
import { rolloutDelayMs, specFor, type Versioned } from './rollout.ts';

/** Reads an agent's manifest where it lies and makes it runnable; see `adapters/agent-files`. */
export interface AgentFiles {
  /**
   * Describes the agent at a directory with `agent.json`, or at one source file, and installs its dependencies once per
   * lockfile. A file without `agent.json` beside it is all there is of its agent. @throws HiveError AGENT_INVALID
   */
  read(entryPath: string, given: Partial<AgentSpec>): Promise<AgentSpec>;
}

/** An agent somebody wants registered. */
export interface AgentRegistration {
  readonly tenantId: TenantId;
  readonly projectId?: ProjectId | undefined;
  readonly entryPath: string;
  /** Stand in for what a file without manifest cannot say. */
  readonly given: Partial<AgentSpec>;
  readonly facade?: JsonValue | undefined;
  readonly by: string;
}

/** How callers name an agent: by id, or by what nodes call it. */
export type AgentReference = { readonly id: AgentId } | { readonly name: string };

/** The agents that exist. Kept in memory too, because every lease needs one; `refresh` follows what others changed. */
export class AgentRegistry {
  readonly #store: RegistryStore;
  readonly #files: AgentFiles;
  readonly #newId: () => AgentId;
  #known = new Map<string, Versioned>();
  /** Counts the changes: what was read before one must not replace it. */
  #generation = 0;

  constructor(options: { readonly store: RegistryStore; readonly files: AgentFiles; readonly newId: () => AgentId }) {
    this.#store = options.store;
    this.#files = options.files;
    this.#newId = options.newId;
  }

  /** Reads every agent anew. */
  async refresh(): Promise<void> {
    this.#generation += 1;
    const generation = this.#generation;
    const agents = await this.#store.allAgents();
    // Overtaken: whoever did it has told every control plane, this one too, so the agents are read once more.
    if (generation !== this.#generation) return;
    this.#known = new Map(agents.map((agent) => [`${agent.tenantId} ${agent.name}`, agent]));
  }

  /**
   * The description of the agent that nodes call `name`, without I/O: the version that the run gets, or the current one where no run
   * is named. An arrow, because it is handed around.
   */
  readonly specOf = (tenantId: TenantId, name: string, runId?: RunId): AgentSpec | undefined => {
    if (mqttAgentIdIn(name) !== undefined) return specOverMqtt(name);
    const agent = this.#known.get(`${tenantId} ${name}`);
    return agent === undefined ? undefined : specFor(agent, runId);
  };

  /** The agents of project 1 that take tasks over MQTT, in the order of their names, without I/O. */
  overMqtt(tenantId: TenantId): readonly AgentSpec[] {
    return [...this.#known]
      .filter(([key, { spec }]) => spec.overMqtt === true && key === `${tenantId} ${spec.name}`)
      .map(([, { spec }]) => spec)
      .toSorted((one, other) => (one.name < other.name ? -1 : 1));
  }

  /** The names of every environment variable that an agent may see, without I/O. */
  environmentNames(): ReadonlySet<string> {
    const all = [...this.#known.values()].flatMap(({ spec, versions }) => [spec, ...Object.values(versions)]);
    return new Set(all.flatMap(({ environment }) => environment));
  }

  list(tenantId: TenantId, projectId?: ProjectId): Promise<readonly StoredAgent[]> {
    return this.#store.agents(tenantId, projectId);
  }

  /** @throws HiveError NOT_FOUND */
  async get(tenantId: TenantId, reference: AgentReference): Promise<StoredAgent> {
    if ('name' in reference && mqttAgentIdIn(reference.name) !== undefined)
      throw new HiveError('NOT_FOUND', `${reference.name} is not registered: agents over MQTT say themselves that they are there`);
    const agent = await this.#store.agent(tenantId, 'id' in reference ? reference : placeOfAgent(reference.name));
    if (agent === undefined) throw new HiveError('NOT_FOUND', `there is no agent ${'id' in reference ? reference.id : reference.name}`);
    return agent;
  }

  /** Registers an agent. @throws HiveError AGENT_INVALID, ALREADY_EXISTS */
  async register(registration: AgentRegistration): Promise<StoredAgent> {
    const { tenantId, projectId = 1, entryPath, given } = registration;
    // Before its files are read, because that installs what it depends on.
    if (given.name !== undefined && (await this.#store.agent(tenantId, { projectId, name: given.name })) !== undefined)
      throw new HiveError('ALREADY_EXISTS', `an agent named ${agentNameIn(projectId, given.name)} exists already`);
    const spec = await this.#read(entryPath, given);
    const agent = await this.#store.addAgent({ ...registration, projectId, id: this.#newId(), spec });
    this.#remember(agent);
    return agent;
  }

  /** Registers an agent, or brings the registered one up to what its files say. Idempotent. */
  async ensure(registration: AgentRegistration): Promise<StoredAgent> {
    const spec = await this.#read(registration.entryPath, registration.given);
    return this.ensureSpec({ ...registration, spec });
  }

  /** As {@link ensure}, for an agent whose description is known. */
  async ensureSpec(registration: Omit<AgentRegistration, 'entryPath' | 'given'> & { readonly spec: AgentSpec }): Promise<StoredAgent> {
    const { tenantId, projectId = 1, spec, by } = registration;
    const known = await this.#store.agent(tenantId, { name: spec.name, projectId });
    if (known !== undefined && JSON.stringify(known.spec) === JSON.stringify(spec)) return known;
    const agent =
      known === undefined
        ? await this.#store.addAgent({ tenantId, projectId, id: this.#newId(), spec, facade: registration.facade, by })
        : await this.#store.updateAgent({ tenantId, id: known.id, spec, facade: registration.facade, by });
    this.#remember(agent);
    return agent;
  }

  /** Changes an agent; where a path is given its files are read again, and its risk stays, and how it fails. @throws HiveError NOT_FOUND, AGENT_INVALID */
  async update(change: {
    readonly tenantId: TenantId;
    readonly id: AgentId;
    readonly entryPath?: string | undefined;
    readonly given: Partial<AgentSpec>;
    readonly facade?: JsonValue | undefined;
    readonly by: string;
  }): Promise<StoredAgent> {
    const known = await this.get(change.tenantId, { id: change.id });
    const { name, riskLevel, successFalseFails } = known.spec;
    const stays = { riskLevel, ...(successFalseFails !== undefined && { successFalseFails }) };
    const spec: AgentSpec =
      change.entryPath === undefined
        ? withRiskGiven({ ...known.spec, ...change.given, name }, change.given)
        : await this.#read(change.entryPath, { ...stays, ...change.given, name });
    const agent = await this.#store.updateAgent({ tenantId: change.tenantId, id: known.id, spec, facade: change.facade, by: change.by });
    this.#remember(agent);
    return agent;
  }

  /** Keeps another version of an agent beside the current one; no run gets it before a rollout. @throws HiveError NOT_FOUND, AGENT_INVALID */
  async addVersion({ tenantId, name, entryPath, given, by }: AgentRegistration & { readonly name: string }): Promise<StoredAgent> {
    const agent = await this.get(tenantId, { name });
    const spec = await this.#read(entryPath, { ...given, name: agent.spec.name });
    if (spec.version === agent.spec.version)
      throw new HiveError('ALREADY_EXISTS', `${spec.version} is the current version of ${name}: give the other one another version`);
    return this.#keep(await this.#store.keepVersions({ tenantId, id: agent.id, versions: { [spec.version]: spec }, by }));
  }

  /**
   * Shares new runs among versions of an agent, from a second on: every control plane knows then. Runs that began before keep what
   * they have. @throws HiveError NOT_FOUND, INVALID_REQUEST where a version is not known
   */
  async rollOut(order: {
    readonly tenantId: TenantId;
    readonly name: string;
    readonly weights: Readonly<Record<string, number>>;
    readonly nowMs: number;
    readonly by: string;
  }): Promise<StoredAgent> {
    const { tenantId, name, weights, nowMs, by } = order;
    const { id, spec, versions } = await this.get(tenantId, { name });
    const known = { ...versions, [spec.version]: spec };
    const unknown = Object.keys(weights).filter((version) => !Object.hasOwn(known, version));
    if (unknown.length > 0)
      throw new HiveError('INVALID_REQUEST', `${name} has no version ${unknown.join(', ')}; it has ${Object.keys(known).join(', ')}`, {
        issues: unknown.map((version) => ({ path: `/weights/${version}`, message: 'there is no such version' })),
      });
    // The current one is kept too: it may be replaced while runs still get it by this rollout.
    const rollout = { sinceMs: Math.ceil(nowMs) + rolloutDelayMs, weights };
    return this.#keep(await this.#store.keepVersions({ tenantId, id, versions: { [spec.version]: spec }, rollout, by }));
  }

  #keep(agent: StoredAgent): StoredAgent {
    this.#remember(agent);
    return agent;
  }

  /** Removes an agent that no workflow uses; its history stays. @throws HiveError NOT_FOUND, STILL_IN_USE */
  async remove(tenantId: TenantId, reference: AgentReference, by: string): Promise<void> {
    const agent = await this.get(tenantId, reference);
    const users = await this.#store.workflowsUsing(tenantId, agent.name);
    if (users.length > 0) throw new HiveError('STILL_IN_USE', `agent ${agent.name} is used by ${users.slice(0, 5).join(', ')}`);
    await this.#store.removeAgent(tenantId, agent.id, by);
    this.#generation += 1;
    this.#known.delete(`${tenantId} ${agent.name}`);
  }

  async #read(entryPath: string, given: Partial<AgentSpec>): Promise<AgentSpec> {
    return withRiskGiven(await this.#files.read(entryPath, given), given);
  }

  #remember(agent: StoredAgent): void {
    this.#generation += 1;
    this.#known.set(`${agent.tenantId} ${agent.name}`, agent);
  }
}

/**
 * Who says that an agent asks first means all that it does, whatever its author says of single capabilities. What asks by itself is
 * left so, in case the agent's own level is lowered again.
 */
function withRiskGiven(spec: AgentSpec, { riskLevel, capabilities }: Partial<AgentSpec>): AgentSpec {
  if (riskLevel !== 'APPROVAL_REQUIRED' || capabilities !== undefined) return spec;
  const asking = ({ riskLevel: own, ...rest }: AgentSpec['capabilities'][number]) => (own === riskLevel ? { ...rest, riskLevel } : rest);
  return { ...spec, capabilities: spec.capabilities.map(asking) };
}
