import { defaultTenantId } from '@hivekeeper/contract';
import type { FreshDatabase } from '@hivekeeper/testkit';
import postgres from 'postgres';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { migratedDatabase } from './fixture.ts';

const foreignTenant = 'ten_0000000000000000000000000Z';
let database: FreshDatabase;
let superuser: postgres.Sql;
let application: postgres.Sql;

beforeAll(async () => {
  database = await migratedDatabase();
  superuser = postgres(database.superuserUrl, { max: 1 });
  application = postgres(database.url, { max: 1 });
});
afterAll(async () => {
  await application.end();
  await superuser.end();
  await database.drop();
});

const asTenant = <T>(tenantId: string, work: (transaction: postgres.TransactionSql) => Promise<T>) =>
  application.begin(async (transaction) => {
    await transaction`SELECT set_config('hive.tenant_id', ${tenantId}, true)`;
    return work(transaction);
  });

describe('row security', () => {
  // A table that happens to be empty shows nothing to anybody, so the policies themselves are read.
  test('is one and the same policy on every table, for every command, with nothing let through beside it', async () => {
    const tables = await superuser<{ name: string }[]>`
      SELECT relname AS name FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace AND relname <> 'schema_migrations' ORDER BY 1`;
    const policies = await superuser<
      { tablename: string; policyname: string; cmd: string; roles: string; qual: string; with_check: string | null }[]
    >`
      SELECT tablename, policyname, cmd, roles::text AS roles, qual, with_check FROM pg_policies WHERE schemaname = 'public' ORDER BY 1, 2`;
    expect(policies.map(({ tablename, policyname }) => [tablename, policyname])).toEqual(
      tables.map(({ name }) => [name, 'tenant_isolation']),
    );
    for (const { tablename, cmd, roles, with_check } of policies)
      expect([tablename, cmd, roles, with_check]).toEqual([tablename, 'ALL', '{public}', null]);
    // A column is named with its table where two have it; the rule is otherwise the same text.
    const rules = new Set(policies.map(({ tablename, qual }) => qual.replaceAll(`${tablename}.`, '')));
    expect([...rules]).toHaveLength(1);
    expect([...rules][0]).toMatch(/current_setting\('hive\.tenant_id'.*tenant_id/s);
  });

  test('lets a tenant write rows of its own and of no other', async () => {
    const add = (as: string, owner: string) =>
      asTenant(as, (transaction) => transaction`INSERT INTO tenants (tenant_id, name) VALUES (${owner}, 'another')`);
    await expect(add(defaultTenantId, foreignTenant)).rejects.toMatchObject({ code: '42501' });
    await add(foreignTenant, foreignTenant);
    const changed = await asTenant(
      defaultTenantId,
      (transaction) => transaction`UPDATE tenants SET name = 'taken' WHERE tenant_id = ${foreignTenant} RETURNING name`,
    );
    expect(changed).toHaveLength(0);
    const moved = asTenant(foreignTenant, (transaction) => transaction`UPDATE tenants SET tenant_id = 'ten_0000000000000000000000000Y'`);
    await expect(moved).rejects.toMatchObject({ code: '42501' });
  });
});
