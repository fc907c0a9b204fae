import {
  HiveError,
  type JsonValue,
  type TenantId,
  type WorkflowDefinition,
  type WorkflowId,
  type WorkflowView,
} from '@hivekeeper/contract';
import type { ProjectId, Reference, RegistryStore, StoredWorkflow } from '../../records/registry/index.ts';
import type { AgentCalls } from './agent-table.ts';
import { audit } from './audit.ts';
import type { Sql } from './connection.ts';
import { jsonOrNull, mustFind, refuseTwins, tell, type Within } from './registry-change.ts';
import { declareSchedules, removeSchedules } from './schedule-declaration.ts';

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

/** Workflows and their versions in PostgreSQL. */
export const workflowCalls = (within: Within, newScheduleId: () => string): Omit<RegistryStore, keyof AgentCalls> => ({
  workflowsUsing: (tenantId, agentName) =>
    within(tenantId, async (sql) => {
      const rows = await sql<{ name: string }[]>`
        SELECT w.name FROM workflows w JOIN workflow_versions v ON v.workflow_id = w.id AND v.version = w.latest_version
        WHERE w.tenant_id = ${tenantId} AND w.removed_at IS NULL
          AND EXISTS (SELECT FROM json_array_elements(v.definition -> 'nodes') AS node WHERE node ->> 'agent' = ${agentName})
        ORDER BY w.name`;
      return rows.map((row) => row.name);
    }),

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
      await refuseTwins(
        `a workflow named ${definition.name} exists already`,
        () => sql`
        INSERT INTO workflows (id, tenant_id, name, project_id, latest_version, facade) VALUES (${id}, ${tenantId}, ${definition.name}, ${projectId}, 1, ${jsonOrNull(sql, facade)})`,
      );
      await insertVersion(sql, { tenantId, id, version: 1, definition, sha256 });
      await audit(sql, { tenantId, actor: by, action: 'workflow.deployed', object: `${definition.name}@1`, payload: { sha256 } });
      await declareSchedules(sql, newScheduleId, { tenantId, workflowId: id, definition, by });
      await tell(sql);
      return mustFind(await findWorkflow(sql, tenantId, { reference: { id } }), id);
    }),

  addVersion: (change) => within(change.tenantId, (sql) => addVersion(sql, change, newScheduleId)),

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
      const { count } =
        await sql`UPDATE workflows SET removed_at = now() WHERE tenant_id = ${tenantId} AND id = ${id} AND removed_at IS NULL`;
      if (count === 0) return false;
      await audit(sql, { tenantId, actor: by, action: 'workflow.removed', object: id, payload: {} });
      await removeSchedules(sql, { tenantId, workflowId: id, by });
      await tell(sql);
      return true;
    }),
});

async function addVersion(
  sql: Sql,
  change: Parameters<RegistryStore['addVersion']>[0],
  newScheduleId: () => string,
): Promise<StoredWorkflow> {
  const { tenantId, id, definition, sha256, by } = change;
  // Locks the workflow, so that versions are numbered one after the other.
  const [head] = await sql<{ latest_version: number; sha256: string }[]>`
    SELECT w.latest_version, v.sha256 FROM workflows w JOIN workflow_versions v ON v.workflow_id = w.id AND v.version = w.latest_version
    WHERE w.tenant_id = ${tenantId} AND w.id = ${id} AND w.removed_at IS NULL FOR UPDATE OF w`;
  if (head === undefined) throw new HiveError('NOT_FOUND', `there is no workflow ${id}`);
  if (head.sha256 !== sha256) {
    const version = head.latest_version + 1;
    await insertVersion(sql, { tenantId, id, version, definition, sha256 });
    await sql`UPDATE workflows SET latest_version = ${version}, updated_at = now() WHERE tenant_id = ${tenantId} AND id = ${id}`;
    await audit(sql, {
      tenantId,
      actor: by,
      action: 'workflow.deployed',
      object: `${definition.name}@${version}`,
      payload: { sha256 },
    });
    await declareSchedules(sql, newScheduleId, { tenantId, workflowId: id, definition, by });
    await tell(sql);
  }
  return mustFind(await findWorkflow(sql, tenantId, { reference: { id } }), id);
}

const latest = (sql: Sql) => sql`
  SELECT w.id, w.tenant_id, w.project_id, w.name, w.status, w.facade, w.created_at, w.updated_at, v.version, v.definition
  FROM workflows w JOIN workflow_versions v ON v.workflow_id = w.id AND v.version = w.latest_version`;

async function findWorkflow(
  sql: Sql,
  tenantId: TenantId,
  { reference, version }: { readonly reference: Reference; readonly version?: number | undefined },
): Promise<StoredWorkflow | undefined> {
  const [row] = await sql<WorkflowRow[]>`
    SELECT w.id, w.tenant_id, w.project_id, w.name, w.status, w.facade, w.created_at, w.updated_at, v.version, v.definition
    FROM workflows w JOIN workflow_versions v ON v.workflow_id = w.id AND v.version = ${version === undefined ? sql`w.latest_version` : sql`${version}`}
    WHERE w.tenant_id = ${tenantId} AND w.removed_at IS NULL
      AND ${'id' in reference ? sql`w.id = ${reference.id}` : sql`w.name = ${reference.name} AND w.project_id = ${reference.projectId ?? 1}`}`;
  return row === undefined ? undefined : workflowOf(row);
}

async function insertVersion(
  sql: Sql,
  row: {
    readonly tenantId: TenantId;
    readonly id: WorkflowId;
    readonly version: number;
    readonly definition: WorkflowDefinition;
    readonly sha256: string;
  },
): Promise<void> {
  await sql`
    INSERT INTO workflow_versions (workflow_id, version, tenant_id, definition, sha256)
    VALUES (${row.id}, ${row.version}, ${row.tenantId}, ${sql.json(row.definition as never)}, ${row.sha256})`;
}

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
