import { access, readFile, realpath } from 'node:fs/promises';
import { join } from 'node:path';
import type { Client } from '@hivekeeper/client';
import { errorCatalogue } from '@hivekeeper/contract';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type ExternalPostgres, startExternalPostgres } from '../stack/external-postgres.ts';
import { type HiveControl, hive, hiveControl } from '../stack/hive.ts';
import { descendants, temporaryDirectory } from '../stack/stack.ts';

let directory: Awaited<ReturnType<typeof temporaryDirectory>>;
let database: ExternalPostgres;
beforeAll(async () => {
  directory = await temporaryDirectory('database-url');
  database = await startExternalPostgres(join(directory.path, 'external'));
});
afterAll(async () => {
  await database[Symbol.asyncDispose]();
  await directory[Symbol.asyncDispose]();
});

const control = (name: 'up' | 'control', data: string) =>
  hiveControl(name, join(directory.path, data), {
    DATABASE_URL: database.url,
    MQTT_PASSWORD: 'hunter2',
    HIVE_LEASE_MS: '3000',
    HIVE_LABELS: 'archive',
  });
const worker = ({ url, adminKey }: HiveControl, name: string) =>
  hive(['worker', '--url', url, '--name', name, '--label', 'archive'], { HIVE_TOKEN: adminKey });

/** Two nodes of an agent that came with the product, the second for workers with a label only; gives the run's id. */
async function startRun(client: Client): Promise<string> {
  const work = { agent: 'triage', action: 'triage', input: { security: { findings: [] } } };
  const nodes = [
    { id: 'first', ...work },
    { id: 'second', ...work, needs: ['first'], requires: ['archive'] },
  ];
  await client.deployWorkflow({ name: 'twice', nodes });
  return (await client.startRun('twice', {})).id;
}

async function endOf(client: Client, runId: string): Promise<string | undefined> {
  for await (const { event } of client.events(runId)) if (event.type === 'run.finished') return event.status;
  return undefined;
}

const hasEmbeddedServer = (data: string) =>
  access(join(directory.path, data, 'postgres')).then(
    () => true,
    () => false,
  );

describe('with DATABASE_URL', () => {
  test('hive control and hive worker, each a process of its own, carry a run to its end and keep it in that database', async () => {
    await using plane = await control('control', 'alone');
    const runId = await startRun(plane.client);
    expect((await plane.client.why(runId)).explanation).toContain('no worker is connected');
    await using elsewhere = worker(plane, 'elsewhere');
    expect(await endOf(plane.client, runId)).toBe('SUCCESS');
    expect((await plane.client.workers()).map(({ name, state }) => [name, state])).toEqual([['elsewhere', 'connected']]);
    expect(await database.sql`SELECT status FROM runs WHERE id = ${runId}`).toEqual([{ status: 'SUCCESS' }]);
    expect(await hasEmbeddedServer('alone')).toBe(false);
    expect(elsewhere.process.exitCode).toBeNull();
  });

  test('hive up starts no server of its own, and keeps the address, and passwords, from its workers', async () => {
    await using plane = await control('up', 'up');
    expect(await endOf(plane.client, await startRun(plane.client))).toBe('SUCCESS');
    expect(await hasEmbeddedServer('up')).toBe(false);
    const below = await descendants(plane.process.pid ?? 0);
    const programs = await Promise.all(below.map((pid) => realpath(`/proc/${pid}/exe`).catch(() => '')));
    expect(programs.filter((program) => /postgres/.test(program))).toEqual([]);
    const [pid] = await descendants(plane.process.pid ?? 0, 'apps/worker/src/main.ts');
    expect(await readFile(`/proc/${pid}/environ`, 'utf8')).not.toMatch(/DATABASE_URL|MQTT_PASSWORD/);
  });

  test('a second control plane on the same database does the work of the first, and takes its place', async () => {
    await using second = await control('control', 'second');
    await using beside = worker(second, 'at-the-second');
    const runIds: string[] = [];
    {
      await using first = await control('control', 'first');
      runIds.push(await startRun(first.client), await startRun(first.client));
      expect(await endOf(second.client, runIds[0] ?? '')).toBe('SUCCESS');
      expect((await first.client.run(runIds[0] ?? '')).nodes.map(({ status }) => status)).toEqual(['SUCCESS', 'SUCCESS']);
      first.process.kill('SIGKILL');
      await first.ended;
    }
    runIds.push(await startRun(second.client));
    for (const runId of runIds) expect(await endOf(second.client, runId)).toBe('SUCCESS');
    expect(beside.process.exitCode).toBeNull();
    await using again = await control('control', 'first');
    expect((await again.client.listRuns()).map(({ id }) => id)).toEqual(expect.arrayContaining(runIds));
  });
});

describe('a database that could lose acknowledged work', () => {
  const refusal = async (url: string, data: string): Promise<unknown> => {
    try {
      await using started = await hiveControl('control', join(directory.path, data), { DATABASE_URL: url });
      return started.url;
    } catch (error) {
      return error;
    }
  };
  const isEmpty = async ({ sql }: ExternalPostgres) => (await sql`SELECT FROM pg_tables WHERE schemaname = 'public'`).length === 0;

  test.each([
    ['fsync is off', { fsync: 'off' }],
    ['synchronous_commit is off', { synchronous_commit: 'off' }],
    ['full_page_writes is off', { full_page_writes: 'off' }],
  ])('because %s is refused with what to do, and nothing is written to it', async (fault, settings) => {
    await using place = await temporaryDirectory('unsafe');
    await using unsafe = await startExternalPostgres(join(place.path, 'external'), settings);
    expect(await refusal(unsafe.url, 'unsafe')).toMatchObject({
      status: errorCatalogue.DATABASE_UNSAFE.exitCode,
      message: expect.stringContaining(`DATABASE_UNSAFE: ${fault}`),
    });
    expect(await isEmpty(unsafe)).toBe(true);
  });
});
