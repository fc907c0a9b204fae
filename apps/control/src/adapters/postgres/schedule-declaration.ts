import {
  declaredSchedulesOf,
  HiveError,
  type ScheduleRule,
  type TenantId,
  type WorkflowDefinition,
  type WorkflowId,
} from '@hivekeeper/contract';
import { audit } from './audit.ts';
import type { Sql } from './connection.ts';
import { tellSchedules } from './schedule-store.ts';

/** A workflow's new version. */
export interface Declaration {
  readonly tenantId: TenantId;
  readonly workflowId: WorkflowId;
  readonly definition: WorkflowDefinition;
  readonly by: string;
}

/**
 * Brings a workflow's schedules to what its trigger declares, in the transaction that deploys it. One that says the same
 * as before goes on undisturbed; the instants of any other count from now on. @throws HiveError ALREADY_EXISTS
 */
export async function declareSchedules(
  sql: Sql,
  newId: () => string,
  { tenantId, workflowId, definition, by }: Declaration,
): Promise<void> {
  const declared = named(definition);
  const names = declared.map(({ name }) => name);
  const gone = await sql<{ name: string }[]>`
    DELETE FROM schedules WHERE workflow_id = ${workflowId} AND is_declared AND name <> ALL (${names}) RETURNING name`;
  for (const { name } of gone) await audit(sql, { tenantId, actor: by, action: 'schedule.removed', object: name, payload: {} });
  for (const { name, rule } of declared) {
    const changed = await sql`
      INSERT INTO schedules (id, tenant_id, name, workflow_id, is_declared, rule, context, dealt_until)
      VALUES (${newId()}, ${tenantId}, ${name}, ${workflowId}, true, ${sql.json(rule)}, '{}', now())
      ON CONFLICT (tenant_id, name) DO UPDATE SET rule = excluded.rule, dealt_until = now(), due_at = NULL, updated_at = now()
      WHERE schedules.workflow_id = excluded.workflow_id AND schedules.is_declared AND schedules.rule::jsonb <> excluded.rule::jsonb
      RETURNING id`;
    if (changed.count > 0) await audit(sql, { tenantId, actor: by, action: 'schedule.declared', object: name, payload: { rule } });
  }
  await mustBeOwn(sql, { tenantId, workflowId, names });
  if (declared.length + gone.length > 0) await tellSchedules(sql);
}

/** Takes a workflow's schedules away, in the transaction that removes it. */
export async function removeSchedules(sql: Sql, { tenantId, workflowId, by }: Omit<Declaration, 'definition'>): Promise<void> {
  const gone = await sql<{ name: string }[]>`DELETE FROM schedules WHERE workflow_id = ${workflowId} RETURNING name`;
  for (const { name } of gone) await audit(sql, { tenantId, actor: by, action: 'schedule.removed', object: name, payload: {} });
}

function named({ name, trigger }: WorkflowDefinition): { readonly name: string; readonly rule: ScheduleRule }[] {
  const rules = declaredSchedulesOf(trigger);
  return rules.map((rule, index) => ({ name: rules.length === 1 ? name : `${name}.${index + 1}`, rule }));
}

async function mustBeOwn(
  sql: Sql,
  { tenantId, workflowId, names }: Pick<Declaration, 'tenantId' | 'workflowId'> & { readonly names: readonly string[] },
): Promise<void> {
  const [foreign] = await sql<{ name: string }[]>`
    SELECT name FROM schedules WHERE tenant_id = ${tenantId} AND name = ANY (${[...names]}) AND (workflow_id <> ${workflowId} OR NOT is_declared)`;
  if (foreign !== undefined) throw new HiveError('ALREADY_EXISTS', `a schedule named ${foreign.name} exists already`);
}
