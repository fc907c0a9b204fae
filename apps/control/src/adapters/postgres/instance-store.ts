import type { Duty, Health, InstanceDescription, InstanceId, InstanceKind, Telemetry, TenantId } from '@hivekeeper/contract';
import type { InstanceStore, Mark, Registration, StoredInstance } from '../../records/instances/index.ts';
import { audit } from './audit.ts';
import { type Pool, type Sql, withTenant } from './connection.ts';

interface InstanceRow {
  readonly id: InstanceId;
  readonly tenant_id: TenantId;
  readonly kind: InstanceKind;
  readonly description: InstanceDescription;
  readonly registration_count: number;
  readonly registered_at: Date;
  readonly duty: Duty;
  readonly ordered_by: string | null;
  readonly ordered_at: Date | null;
  readonly order_reason: string | null;
  readonly health: Health;
  readonly last_seen_at: Date;
  readonly telemetry: Telemetry;
}

interface RoundRow {
  readonly plane_id: string;
  readonly age_ms: number;
  readonly ids: InstanceId[];
  readonly silences_ms: number[];
}

/** Names the instance that changed. */
export const instancesChannel = 'hive_instances';

const tell = (sql: Sql, id: InstanceId) => sql`SELECT pg_notify(${instancesChannel}, ${id})`;

/** Instances in PostgreSQL: rounds and marks on the engine's pool, what people and agents say confined to their tenant. */
export const postgresInstanceStore = (engine: Pool, requests: Pool): InstanceStore => ({ ...engineCalls(engine), ...changes(requests) });

type ChangeCalls = Pick<InstanceStore, 'register' | 'setDuty' | 'remove'>;

const changes = (requests: Pool): ChangeCalls => ({
  register: (registration) => withTenant(requests, registration.tenantId, (sql) => register(sql, registration)),

  setDuty: ({ tenantId, id, duty, by, reason }) =>
    withTenant(requests, tenantId, async (sql) => {
      const [row] = await sql<InstanceRow[]>`
        UPDATE instances SET duty = ${duty}, ordered_by = ${by}, ordered_at = now(), order_reason = ${reason ?? null}
        WHERE tenant_id = ${tenantId} AND id = ${id} RETURNING *`;
      if (row === undefined) return undefined;
      await audit(sql, {
        tenantId,
        actor: by,
        action: `instance.${duty === 'active' ? 'uncordoned' : duty}`,
        object: id,
        payload: { reason },
      });
      await tell(sql, id);
      return instanceOf(row);
    }),

  remove: (tenantId, id, by) =>
    withTenant(requests, tenantId, async (sql) => {
      const { count } = await sql`DELETE FROM instances WHERE tenant_id = ${tenantId} AND id = ${id}`;
      if (count === 0) return false;
      await audit(sql, { tenantId, actor: by, action: 'instance.deregistered', object: id, payload: {} });
      await tell(sql, id);
      return true;
    }),
});

async function register(sql: Sql, { tenantId, id, kind, description, telemetry, by }: Registration): Promise<StoredInstance> {
  const key = kind === 'worker' ? id : description.name;
  // A drain ended with the process that left; a cordon is about the name.
  const [row] = await sql<InstanceRow[]>`
    INSERT INTO instances (id, tenant_id, kind, namespace, key, description, telemetry)
    VALUES (${id}, ${tenantId}, ${kind}, ${description.namespace}, ${key}, ${sql.json(description)}, ${sql.json(telemetry)})
    ON CONFLICT (tenant_id, kind, namespace, key) DO UPDATE SET description = excluded.description, telemetry = excluded.telemetry,
      registration_count = instances.registration_count + 1, registered_at = now(), health = 'healthy', last_seen_at = now(),
      duty = CASE WHEN instances.duty = 'draining' THEN 'active' ELSE instances.duty END
    RETURNING *`;
  const stored = instanceOf(row as InstanceRow);
  await audit(sql, { tenantId, actor: by, action: 'instance.registered', object: stored.id, payload: { kind, ...description } });
  await tell(sql, stored.id);
  return stored;
}

const engineCalls = (engine: Pool): Omit<InstanceStore, keyof ChangeCalls> => ({
  async all() {
    return (await engine<InstanceRow[]>`SELECT * FROM instances`).map(instanceOf);
  },

  async some(ids) {
    return (await engine<InstanceRow[]>`SELECT * FROM instances WHERE id = ANY (${[...ids]})`).map(instanceOf);
  },

  async mark(marks) {
    const column = <T>(of: (mark: Mark) => T) => marks.map(of);
    await engine`
      UPDATE instances SET health = m.health, last_seen_at = to_timestamp(m.last_seen_at_ms / 1000), telemetry = m.telemetry
      FROM unnest(${column(({ id }) => id)}::text[], ${column(({ health }) => health)}::text[],
        ${column(({ lastSeenAtMs }) => lastSeenAtMs)}::double precision[], ${column(({ telemetry }) => JSON.stringify(telemetry))}::json[])
        AS m (id, health, last_seen_at_ms, telemetry)
      WHERE instances.id = m.id`;
  },

  async tellRound(planeId, silences) {
    await engine`
      INSERT INTO instance_rounds (plane_id, told_at, ids, silences_ms)
      VALUES (${planeId}, clock_timestamp(), ${[...silences.keys()]}, ${[...silences.values()]})
      ON CONFLICT (plane_id) DO UPDATE SET told_at = excluded.told_at, ids = excluded.ids, silences_ms = excluded.silences_ms`;
  },

  async rounds(planeId) {
    const rows = await engine<RoundRow[]>`
      SELECT plane_id, extract(epoch FROM clock_timestamp() - told_at)::double precision * 1000 AS age_ms, ids, silences_ms
      FROM instance_rounds WHERE plane_id <> ${planeId} AND told_at > clock_timestamp() - interval '1 minute'`;
    return rows.map(({ plane_id, age_ms, ids, silences_ms }) => ({
      planeId: plane_id,
      ageMs: Math.max(0, age_ms),
      silences: new Map(ids.map((id, index) => [id, silences_ms[index] ?? 0])),
    }));
  },
});

/** Forgets workers a day after they left, agents after 30 days, and what control planes told that are no more. */
export async function forgetOldInstances(engine: Sql): Promise<void> {
  await engine`
    DELETE FROM instances WHERE health = 'gone'
      AND last_seen_at < now() - CASE kind WHEN 'worker' THEN interval '1 day' ELSE interval '30 days' END`;
  await engine`DELETE FROM instance_rounds WHERE told_at < now() - interval '1 hour'`;
}

const instanceOf = (row: InstanceRow): StoredInstance => ({
  id: row.id,
  tenantId: row.tenant_id,
  kind: row.kind,
  description: row.description,
  registrationCount: row.registration_count,
  registeredAtMs: row.registered_at.getTime(),
  duty: row.duty,
  ...(row.ordered_by !== null && {
    order: {
      by: row.ordered_by,
      atMs: row.ordered_at?.getTime() ?? 0,
      ...(row.order_reason !== null && { reason: row.order_reason }),
    },
  }),
  health: row.health,
  lastSeenAtMs: row.last_seen_at.getTime(),
  telemetry: row.telemetry,
});
