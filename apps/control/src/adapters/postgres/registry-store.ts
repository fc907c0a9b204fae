import type { RegistryStore } from '../../records/registry/index.ts';
import { agentCalls } from './agent-table.ts';
import { type Pool, withTenant } from './connection.ts';
import type { Within } from './registry-change.ts';
import { workflowCalls } from './workflow-tables.ts';

/** Agents and workflows in PostgreSQL; `engine` reads all tenants, `requests` is confined to the one it is told. */
export function postgresRegistryStore(engine: Pool, requests: Pool, newScheduleId: () => string): RegistryStore {
  const within: Within = (tenantId, work) => withTenant(requests, tenantId, work);
  return { ...agentCalls(engine, within), ...workflowCalls(within, newScheduleId) };
}
