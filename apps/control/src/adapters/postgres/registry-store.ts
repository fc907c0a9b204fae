import { type AgentId, type AgentSpec, HiveError, type JsonValue, type TenantId, type WorkflowDefinition, type WorkflowId, type WorkflowView } from '@hivekeeper/contract';
import { requirementOf } from '../../flow/runs/index.ts';
import type { ProjectId, Reference, RegistryStore, StoredAgent, StoredWorkflow } from '../../records/registry/index.ts';
import { audit } from './audit.ts';
import { isUniqueViolation } from './connection-errors.ts';
import { type Pool, type Sql, withTenant } from './connection.ts';
import { ticketsChannel } from './ticket-store.ts';

interface AgentRow {
  readonly id: AgentId;
  readonly tenant_id: TenantId;
  readonly project_id: ProjectId;
  readonly spec: AgentSpec;
  readonly facade: JsonValue | null;
  readonly registered_at: Date;
  readonly updated_at: Date;
}

interface WorkflowRow {
  readonly id: WorkflowId;
  readonly tenant_id: TenantId;
  readonly project_id: ProjectId;
  readonly name: string;
  readonly status: WorkflowView['status'];
  readonly version: number;
  readonly definition: WorkflowDefinition;
  readonly facade: JsonValue | null;
  readonly created_at: Date;
  readonly updated_at: Date;
}

/** Tells every control plane that an agent or a workflow changed. */
export const registryChannel = 'hive_registry';

type Within = <T>(tenantId: TenantId, work: (sql: Sql) => Promise<T>) => Promise<T>;
type AgentCalls = Pick<RegistryStore, 'allAgents' | 'agents' | 'agent' | 'addAgent' | 'updateAgent' | 'removeAgent' | 'workflowsUsing'>;

/** Agents and workflows in PostgreSQL; `engine` reads all tenants, `requests` is confined to the one it is told. */
export function postgresRegistryStore(engine: Pool, requests: Pool): RegistryStore {
  const within: Within = (tenantId, work) => withTenant(requests, tenantId, work);
  return { ...agentCalls(engine, within), ...workflowCalls(within) };
}

const agentCalls = (engine: Pool, within: Within): AgentCalls => ({
  async allAgents() {
    return (await engine<AgentRow[]>`SELECT * FROM agents WHERE removed_at IS NULL`).map(agentOf);
  },

  agents: (tenantId, projectId) =>
    within(tenantId, async (sql) => {
      const rows = await sql<AgentRow[]>`
        SELECT * FROM agents WHERE tenant_id = ${tenantId} AND removed_at IS NULL ${projectId === undefined ? sql`` : sql`AND project_id = ${projectId}`} ORDER BY name`;
      return rows.map(agentOf);
    }),

  agent: (tenantId, reference) => within(tenantId, (sql) => findAgent(sql, tenantId, reference)),

  addAgent: ({ tenantId, projectId, id, spec, facade, by }) =>
    within(tenantId, async (sql) => {
      await refuseTwins(`an agent named ${spec.name} exists already`, () => sql`
        INSERT INTO agents (id, tenant_id, name, project_id, spec, facade) VALUES (${id}, ${tenantId}, ${spec.name}, ${projectId}, ${sql.json(spec as never)}, ${jsonOrNull(sql, facade)})`);
      await audit(sql, { tenantId, actor: by, action: 'agent.registered', object: spec.name, payload: spec });
      await admitWaiting(sql, tenantId, spec);
      await tell(sql);
      return mustFind(await findAgent(sql, tenantId, { id }), id);
    }),

  updateAgent: ({ tenantId, id, spec, facade, by }) =>
    within(tenantId, async (sql) => {
      await sql`
        UPDATE agents SET spec = ${sql.json(spec as never)}, facade = coalesce(${jsonOrNull(sql, facade)}, facade), updated_at = now()
        WHERE tenant_id = ${tenantId} AND id = ${id} AND removed_at IS NULL`;
      await audit(sql, { tenantId, actor: by, action: 'agent.updated', object: spec.name, payload: spec });
      await tell(sql);
      return mustFind(await findAgent(sql, tenantId, { id }), id);
    }),

  removeAgent: (tenantId, id, by) =>
    within(tenantId, async (sql) => {
      const { count } = await sql`UPDATE agents SET removed_at = now() WHERE tenant_id = ${tenantId} AND id = ${id} AND removed_at IS NULL`;
      if (count === 0) return false;
      await audit(sql, { tenantId, actor: by, action: 'agent.removed', object: id, payload: {} });
      await tell(sql);
      return true;
    }),

  workflowsUsing: (tenantId, agentName) =>
    within(tenantId, async (sql) => {
      const rows = await sql<{ name: string }[]>`
        SELECT w.name FROM workflows w JOIN workflow_versions v ON v.workflow_id = w.id AND v.version = w.latest_version
        WHERE w.tenant_id = ${tenantId} AND w.removed_at IS NULL
          AND EXISTS (SELECT FROM json_array_elements(v.definition -> 'nodes') AS node WHERE node ->> 'agent' = ${agentName})
        ORDER BY w.name`;
      return rows.map((row) => row.name);
    }),
});

const workflowCalls = (within: Within): Omit<RegistryStore, keyof AgentCalls> => ({
  workflows: (tenantId, { projectId, status }) =>
    within(tenantId, async (sql) => {
      const rows = await sql<WorkflowRow[]>`
        ${latest(sql)} WHERE w.tenant_id = ${tenantId} AND w.removed_at IS NULL
          ${projectId === undefined ? sql`` : sql`AND w.project_id = ${projectId}`}
          ${status === undefined ? sql`` : sql`AND w.status = ${status}`}
        ORDER BY w.id DESC`;
      return rows.map(workflowOf);
    }),

  workflow: (tenantId, reference, version) => within(tenantId, (sql) => findWorkflow(sql, tenantId, { reference, version })),

  addWorkflow: ({ tenantId, projectId, id, definition, sha256, facade, by }) =>
    within(tenantId, async (sql) => {
      await refuseTwins(`a workflow named ${definition.name} exists already`, () => sql`
        INSERT INTO workflows (id, tenant_id, name, project_id, latest_version, facade) VALUES (${id}, ${tenantId}, ${definition.name}, ${projectId}, 1, ${jsonOrNull(sql, facade)})`);
      await insertVersion(sql, { tenantId, id, version: 1, definition, sha256 });
      await audit(sql, { tenantId, actor: by, action: 'workflow.deployed', object: `${definition.name}@1`, payload: { sha256 } });
      await tell(sql);
      return mustFind(await findWorkflow(sql, tenantId, { reference: { id } }), id);
    }),

  addVersion: ({ tenantId, id, definition, sha256, by }) =>
    within(tenantId, async (sql) => {
      // Locks the workflow, so that versions are numbered one after the other.
      const [head] = await sql<{ latest_version: number; sha256: string }[]>`
        SELECT w.latest_version, v.sha256 FROM workflows w JOIN workflow_versions v ON v.workflow_id = w.id AND v.version = w.latest_version
        WHERE w.tenant_id = ${tenantId} AND w.id = ${id} AND w.removed_at IS NULL FOR UPDATE OF w`;
      if (head === undefined) throw new HiveError('NOT_FOUND', `there is no workflow ${id}`);
      if (head.sha256 !== sha256) {
        const version = head.latest_version + 1;
        await insertVersion(sql, { tenantId, id, version, definition, sha256 });
        await sql`UPDATE workflows SET latest_version = ${version}, updated_at = now() WHERE tenant_id = ${tenantId} AND id = ${id}`;
        await audit(sql, { tenantId, actor: by, action: 'workflow.deployed', object: `${definition.name}@${version}`, payload: { sha256 } });
      await tell(sql);
      }
      return mustFind(await findWorkflow(sql, tenantId, { reference: { id } }), id);
    }),

  updateWorkflow: ({ tenantId, id, status, description, by }) =>
    within(tenantId, async (sql) => {
      await sql`
        UPDATE workflows SET status = coalesce(${status ?? null}, status), updated_at = now(),
          facade = CASE WHEN ${description ?? null}::text IS NULL THEN facade
            ELSE (coalesce(facade, '{}')::jsonb || jsonb_build_object('description', ${description ?? null}::text))::json END
        WHERE tenant_id = ${tenantId} AND id = ${id} AND removed_at IS NULL`;
      await audit(sql, { tenantId, actor: by, action: 'workflow.updated', object: id, payload: { status, description } });
      await tell(sql);
      return mustFind(await findWorkflow(sql, tenantId, { reference: { id } }), id);
    }),

  removeWorkflow: (tenantId, id, by) =>
    within(tenantId, async (sql) => {
      const { count } = await sql`UPDATE workflows SET removed_at = now() WHERE tenant_id = ${tenantId} AND id = ${id} AND removed_at IS NULL`;
      if (count === 0) return false;
      await audit(sql, { tenantId, actor: by, action: 'workflow.removed', object: id, payload: {} });
      await tell(sql);
      return true;
    }),
});

const tell = (sql: Sql) => sql`SELECT pg_notify(${registryChannel}, '')`;

/** Lets tickets that waited for this agent to be registered go to workers that can run it. */
async function admitWaiting(sql: Sql, tenantId: TenantId, spec: AgentSpec): Promise<void> {
  const { count } = await sql`
    UPDATE tickets SET requirement = ${requirementOf(spec, spec.name)}
    WHERE tenant_id = ${tenantId} AND worker_id IS NULL AND requirement = ${requirementOf(undefined, spec.name)}`;
  if (count > 0) await sql`SELECT pg_notify(${ticketsChannel}, '')`;
}

const latest = (sql: Sql) => sql`
  SELECT w.id, w.tenant_id, w.project_id, w.name, w.status, w.facade, w.created_at, w.updated_at, v.version, v.definition
  FROM workflows w JOIN workflow_versions v ON v.workflow_id = w.id AND v.version = w.latest_version`;

async function findAgent(sql: Sql, tenantId: TenantId, reference: Reference): Promise<StoredAgent | undefined> {
  const [row] = await sql<AgentRow[]>`
    SELECT * FROM agents WHERE tenant_id = ${tenantId} AND removed_at IS NULL
      AND ${'id' in reference ? sql`id = ${reference.id}` : sql`name = ${reference.name} AND project_id = ${reference.projectId ?? 1}`}`;
  return row === undefined ? undefined : agentOf(row);
}

async function findWorkflow(sql: Sql, tenantId: TenantId, { reference, version }: { readonly reference: Reference; readonly version?: number | undefined }): Promise<StoredWorkflow | undefined> {
  const [row] = await sql<WorkflowRow[]>`
    SELECT w.id, w.tenant_id, w.project_id, w.name, w.status, w.facade, w.created_at, w.updated_at, v.version, v.definition
    FROM workflows w JOIN workflow_versions v ON v.workflow_id = w.id AND v.version = ${version === undefined ? sql`w.latest_version` : sql`${version}`}
    WHERE w.tenant_id = ${tenantId} AND w.removed_at IS NULL
      AND ${'id' in reference ? sql`w.id = ${reference.id}` : sql`w.name = ${reference.name} AND w.project_id = ${reference.projectId ?? 1}`}`;
  return row === undefined ? undefined : workflowOf(row);
}

async function insertVersion(sql: Sql, row: { readonly tenantId: TenantId; readonly id: WorkflowId; readonly version: number; readonly definition: WorkflowDefinition; readonly sha256: string }): Promise<void> {
  await sql`
    INSERT INTO workflow_versions (workflow_id, version, tenant_id, definition, sha256)
    VALUES (${row.id}, ${row.version}, ${row.tenantId}, ${sql.json(row.definition as never)}, ${row.sha256})`;
}

async function refuseTwins(message: string, insert: () => PromiseLike<unknown>): Promise<void> {
  try {
    await insert();
  } catch (error) {
    if (isUniqueViolation(error)) throw new HiveError('ALREADY_EXISTS', message);
    throw error;
  }
}

const jsonOrNull = (sql: Sql, value: JsonValue | undefined) => (value === undefined ? null : sql.json(value as never));

function mustFind<T>(found: T | undefined, id: string): T {
  if (found === undefined) throw new HiveError('NOT_FOUND', `there is no ${id}`);
  return found;
}

const agentOf = (row: AgentRow): StoredAgent => ({
  id: row.id,
  tenantId: row.tenant_id,
  projectId: row.project_id,
  name: row.spec.name,
  version: row.spec.version,
  trust: row.spec.trust,
  riskLevel: row.spec.riskLevel,
  registeredAtMs: row.registered_at.getTime(),
  updatedAtMs: row.updated_at.getTime(),
  spec: row.spec,
  ...(row.facade !== null && { facade: row.facade }),
});

const workflowOf = (row: WorkflowRow): StoredWorkflow => ({
  id: row.id,
  tenantId: row.tenant_id,
  projectId: row.project_id,
  name: row.name,
  version: row.version,
  status: row.status,
  createdAtMs: row.created_at.getTime(),
  updatedAtMs: row.updated_at.getTime(),
  definition: row.definition,
  ...(row.facade !== null && { facade: row.facade }),
});
