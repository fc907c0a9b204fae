import { agentNameIn, HiveError } from '@hivekeeper/contract';
import type { Reference, RegistryStore, StoredAgent, StoredWorkflow } from '../../records/registry/index.ts';
import type { MemoryTables } from './memory-tables.ts';

type AgentCalls = Pick<RegistryStore, 'allAgents' | 'agents' | 'agent' | 'addAgent' | 'updateAgent' | 'keepVersions' | 'removeAgent'>;

/** {@link RegistryStore} over the tables. */
export const memoryRegistryStore = (tables: MemoryTables): RegistryStore => ({ ...agentCalls(tables), ...workflowCalls(tables) });

function agentCalls({ agents, nowMs }: MemoryTables): AgentCalls {
  const agentOf = ({
    spec,
    ...rest
  }: Pick<StoredAgent, 'id' | 'tenantId' | 'projectId' | 'spec' | 'facade' | 'registeredAtMs'> &
    Partial<Pick<StoredAgent, 'versions' | 'rollouts'>>): StoredAgent => {
    const agent = {
      versions: {},
      rollouts: [],
      ...rest,
      spec,
      name: agentNameIn(rest.projectId, spec.name),
      version: spec.version,
      trust: spec.trust,
      riskLevel: spec.riskLevel,
      updatedAtMs: nowMs(),
    };
    agents.set(agent.id, agent);
    return agent;
  };
  return {
    allAgents: async () => [...agents.values()],
    agents: async (tenantId, projectId) =>
      [...agents.values()].filter((agent) => agent.tenantId === tenantId && (projectId ?? agent.projectId) === agent.projectId),
    agent: async (tenantId, reference) =>
      [...agents.values()].find((agent) => agent.tenantId === tenantId && fits({ ...agent, name: agent.spec.name }, reference)),
    addAgent: async (agent) => {
      refuseTwin(
        [...agents.values()].some(
          (other) => other.tenantId === agent.tenantId && other.name === agentNameIn(agent.projectId, agent.spec.name),
        ),
      );
      return agentOf({ ...agent, registeredAtMs: nowMs() });
    },
    updateAgent: async ({ id, spec, facade }) => {
      const known = mustFind(agents.get(id), id);
      return agentOf({ ...known, spec, facade: facade ?? known.facade });
    },
    keepVersions: async ({ id, versions, rollout }) => {
      const known = mustFind(agents.get(id), id);
      const rollouts = rollout === undefined ? known.rollouts : [...known.rollouts, rollout];
      return agentOf({ ...known, versions: { ...known.versions, ...versions }, rollouts });
    },
    removeAgent: async (_tenantId, id) => agents.delete(id),
  };
}

function workflowCalls({ workflows, nowMs }: MemoryTables): Omit<RegistryStore, keyof AgentCalls> {
  const present = () => [...workflows.values()].filter(({ isRemoved }) => isRemoved === undefined);
  const workflowOf = (id: string): StoredWorkflow => mustFind(workflows.get(id)?.head, id);
  const change = (id: string, changes: Partial<StoredWorkflow>): StoredWorkflow => {
    const row = mustFind(workflows.get(id), id);
    row.head = { ...row.head, ...changes, updatedAtMs: nowMs() };
    return row.head;
  };
  return {
    workflowsUsing: async (_tenantId, agentName) =>
      present()
        .filter(({ head }) => head.definition.nodes.some(({ agent }) => agent === agentName))
        .map(({ head }) => head.name),
    workflows: async (tenantId, { projectId, status }) =>
      present()
        .map(({ head }) => head)
        .filter(
          (head) =>
            head.tenantId === tenantId && (projectId ?? head.projectId) === head.projectId && (status ?? head.status) === head.status,
        ),
    workflow: async (tenantId, reference, version) => {
      const row = present().find(({ head }) => head.tenantId === tenantId && fits(head, reference));
      const definition = version === undefined ? row?.head.definition : row?.versions[version - 1]?.definition;
      return row === undefined || definition === undefined ? undefined : { ...row.head, definition, version: version ?? row.head.version };
    },
    addWorkflow: async ({ id, tenantId, projectId, definition, sha256, facade }) => {
      refuseTwin(present().some(({ head }) => head.tenantId === tenantId && fits(head, { name: definition.name, projectId })));
      const head = {
        id,
        tenantId,
        projectId,
        definition,
        facade,
        name: definition.name,
        version: 1,
        status: 'ACTIVE' as const,
        createdAtMs: nowMs(),
        updatedAtMs: nowMs(),
      };
      workflows.set(id, { head, versions: [{ definition, sha256 }] });
      return head;
    },
    addVersion: async ({ id, definition, sha256 }) => {
      const row = mustFind(workflows.get(id), id);
      if (row.versions.at(-1)?.sha256 === sha256) return row.head;
      row.versions.push({ definition, sha256 });
      return change(id, { definition, version: row.versions.length });
    },
    updateWorkflow: async ({ id, status, description }) => {
      const { facade = {}, status: before } = workflowOf(id);
      return change(id, { status: status ?? before, facade: description === undefined ? facade : { ...(facade as object), description } });
    },
    removeWorkflow: async (_tenantId, id) => {
      const row = workflows.get(id);
      if (row !== undefined) row.isRemoved = true;
      return row !== undefined;
    },
  };
}

const fits = (row: { id: string; name: string; projectId: number }, reference: Reference) =>
  'id' in reference ? row.id === reference.id : row.name === reference.name && row.projectId === (reference.projectId ?? 1);

function mustFind<T>(found: T | undefined, id: string): T {
  if (found === undefined) throw new HiveError('NOT_FOUND', `there is no ${id}`);
  return found;
}

function refuseTwin(isTwin: boolean): void {
  if (isTwin) throw new HiveError('ALREADY_EXISTS', 'something of that name exists already');
}
