import { type AgentId, agentNameIn, type AgentSpec, type JsonValue, type RunId, type TenantId, type TicketId } from '@hivekeeper/contract';
import { capabilityFor } from '../../flow/runs/index.ts';
import { ownKeyIn, type Throttle, throttlesOf } from '../../flow/tickets/index.ts';
import { mostRollouts } from '../../records/registry/index.ts';
import type { ProjectId, Reference, RegistryStore, Rollout, StoredAgent } from '../../records/registry/index.ts';
import { audit } from './audit.ts';
import type { Pool, Sql } from './connection.ts';
import { jsonOrNull, mustFind, refuseTwins, tell, type Within } from './registry-change.ts';
import { ticketsChannel } from './ticket-store.ts';

interface AgentRow {
  readonly id: AgentId;
  readonly tenant_id: TenantId;
  readonly project_id: ProjectId;
  readonly spec: AgentSpec;
  readonly facade: JsonValue | null;
  readonly registered_at: Date;
  readonly updated_at: Date;
  readonly versions: Readonly<Record<string, AgentSpec>>;
  readonly rollouts: readonly Rollout[];
}

/** The part of the port that is about agents; the rest is about workflows. */
export type AgentCalls = Pick<
  RegistryStore,
  'allAgents' | 'agents' | 'agent' | 'addAgent' | 'updateAgent' | 'keepVersions' | 'removeAgent'
>;

/** Agents in PostgreSQL. */
export const agentCalls = (engine: Pool, within: Within): AgentCalls => ({
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
      const name = agentNameIn(projectId, spec.name);
      await refuseTwins(
        `an agent named ${name} exists already`,
        () => sql`
        INSERT INTO agents (id, tenant_id, name, project_id, spec, facade) VALUES (${id}, ${tenantId}, ${spec.name}, ${projectId}, ${sql.json(spec as never)}, ${jsonOrNull(sql, facade)})`,
      );
      await audit(sql, { tenantId, actor: by, action: 'agent.registered', object: name, payload: spec });
      await admitWaiting(sql, tenantId, { name, spec });
      await throttleWaiting(sql, tenantId, { name, spec });
      await tell(sql);
      return mustFind(await findAgent(sql, tenantId, { id }), id);
    }),

  updateAgent: ({ tenantId, id, spec, facade, by }) =>
    within(tenantId, async (sql) => {
      await sql`
        UPDATE agents SET spec = ${sql.json(spec as never)}, facade = coalesce(${jsonOrNull(sql, facade)}, facade), updated_at = now()
        WHERE tenant_id = ${tenantId} AND id = ${id} AND removed_at IS NULL`;
      const agent = mustFind(await findAgent(sql, tenantId, { id }), id);
      await audit(sql, { tenantId, actor: by, action: 'agent.updated', object: agent.name, payload: spec });
      await throttleWaiting(sql, tenantId, agent);
      await tell(sql);
      return agent;
    }),

  keepVersions: ({ tenantId, id, versions, rollout, by }) =>
    within(tenantId, async (sql) => {
      const added = rollout === undefined ? [] : [rollout];
      await sql`
        UPDATE agents SET versions = (versions::jsonb || ${sql.json(versions)}::jsonb)::json,
          rollouts = (SELECT coalesce(json_agg(r ORDER BY n), '[]') FROM (
            SELECT r, n FROM jsonb_array_elements(rollouts::jsonb || ${sql.json(added)}::jsonb) WITH ORDINALITY AS t (r, n)
            ORDER BY n DESC LIMIT ${mostRollouts}) AS kept)
        WHERE tenant_id = ${tenantId} AND id = ${id} AND removed_at IS NULL`;
      const agent = mustFind(await findAgent(sql, tenantId, { id }), id);
      const action = rollout === undefined ? 'agent.version-added' : 'agent.rolled-out';
      await audit(sql, { tenantId, actor: by, action, object: agent.name, payload: rollout ?? versions });
      await tell(sql);
      return agent;
    }),

  removeAgent: (tenantId, id, by) =>
    within(tenantId, async (sql) => {
      const { count } = await sql`UPDATE agents SET removed_at = now() WHERE tenant_id = ${tenantId} AND id = ${id} AND removed_at IS NULL`;
      if (count === 0) return false;
      await audit(sql, { tenantId, actor: by, action: 'agent.removed', object: id, payload: {} });
      await tell(sql);
      return true;
    }),
});

/** Lets tickets that waited for this agent to be registered go to workers that can run it. */
async function admitWaiting(sql: Sql, tenantId: TenantId, { name, spec }: Pick<StoredAgent, 'name' | 'spec'>): Promise<void> {
  const awaited = capabilityFor(undefined, name);
  // In the order that requirementOf gives them, which is that of bytes.
  const { count } = await sql`
    UPDATE tickets SET requirement = (
      SELECT string_agg(capability, ' ' ORDER BY capability COLLATE "C")
      FROM unnest(array_replace(string_to_array(requirement, ' '), ${awaited}, ${capabilityFor(spec, name)})) AS capability)
    WHERE tenant_id = ${tenantId} AND worker_id IS NULL AND ${awaited} = ANY (string_to_array(requirement, ' '))`;
  if (count > 0) await sql`SELECT pg_notify(${ticketsChannel}, '')`;
}

interface WaitingRow {
  readonly id: TicketId;
  readonly run_id: RunId;
  readonly workflow: string;
  readonly throttles: readonly Throttle[] | null;
}

/** Puts the agent's throttles, as they are now, on its tickets that nobody holds; their nodes' own keys stay. */
async function throttleWaiting(sql: Sql, tenantId: TenantId, { name: agent, spec }: Pick<StoredAgent, 'name' | 'spec'>): Promise<void> {
  if (throttlesOf(spec, { runId: '' as RunId, workflow: '', agent }) === undefined && !(await hasThrottledTickets(sql, tenantId, agent)))
    return;
  const rows = await sql<WaitingRow[]>`
    SELECT t.id, t.run_id, w.name AS workflow, t.throttles FROM tickets t JOIN runs r ON r.id = t.run_id JOIN workflows w ON w.id = r.workflow_id
    WHERE t.tenant_id = ${tenantId} AND t.agent = ${agent} AND t.worker_id IS NULL ORDER BY t.id FOR UPDATE OF t`;
  const throttles = rows.map(({ run_id: runId, workflow, throttles: before }) => {
    const own = before?.find(({ kind }) => kind === 'key');
    return throttlesOf(spec, {
      runId,
      workflow,
      agent,
      concurrency: own?.kind === 'key' ? { key: ownKeyIn(own), limit: own.limit } : undefined,
    });
  });
  if (rows.length === 0) return;
  await sql`
    UPDATE tickets SET throttles = t.throttles::json
    FROM unnest(${rows.map(({ id }) => id)}::text[], ${throttles.map((each) => (each === undefined ? null : JSON.stringify(each)))}::text[]) AS t (id, throttles)
    WHERE tickets.id = t.id`;
  await sql`SELECT pg_notify(${ticketsChannel}, '')`;
}

async function hasThrottledTickets(sql: Sql, tenantId: TenantId, agent: string): Promise<boolean> {
  const rows = await sql`
    SELECT FROM tickets WHERE tenant_id = ${tenantId} AND agent = ${agent} AND worker_id IS NULL AND throttles IS NOT NULL LIMIT 1`;
  return rows.length > 0;
}

async function findAgent(sql: Sql, tenantId: TenantId, reference: Reference): Promise<StoredAgent | undefined> {
  const [row] = await sql<AgentRow[]>`
    SELECT * FROM agents WHERE tenant_id = ${tenantId} AND removed_at IS NULL
      AND ${'id' in reference ? sql`id = ${reference.id}` : sql`name = ${reference.name} AND project_id = ${reference.projectId ?? 1}`}`;
  return row === undefined ? undefined : agentOf(row);
}

const agentOf = (row: AgentRow): StoredAgent => ({
  id: row.id,
  tenantId: row.tenant_id,
  projectId: row.project_id,
  name: agentNameIn(row.project_id, row.spec.name),
  version: row.spec.version,
  trust: row.spec.trust,
  riskLevel: row.spec.riskLevel,
  registeredAtMs: row.registered_at.getTime(),
  updatedAtMs: row.updated_at.getTime(),
  spec: row.spec,
  versions: row.versions,
  rollouts: row.rollouts,
  ...(row.facade !== null && { facade: row.facade }),
});
