import { access, cp, readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { gunzipSync } from 'node:zlib';
import type { Client } from '@hivekeeper/client';
import type { BackupView } from '@hivekeeper/contract';
import { errorCatalogue } from '@hivekeeper/contract';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { hive, hiveControl } from '../stack/hive.ts';
import { allGone, descendants, killAll, temporaryDirectory } from '../stack/stack.ts';

let directory: Awaited<ReturnType<typeof temporaryDirectory>>;
beforeAll(async () => {
  directory = await temporaryDirectory('backup');
});
afterAll(() => directory[Symbol.asyncDispose]());

const at = (...names: string[]) => join(directory.path, ...names);
const up = (data: string) => hiveControl('up', at(data), { HIVE_BACKUPS: at('backups') });

/** A command as a person types it, to its end. */
async function command(...args: readonly string[]) {
  await using started = hive(args, {});
  const { stdout } = started.process;
  const said = stdout === null ? '' : await text(stdout);
  return { stdout: said, ...(await started.ended) };
}

const work = { agent: 'triage', action: 'triage', input: { security: { findings: [] } } };

/** A run that ended, and one whose second node waits for a person. */
async function startRuns(client: Client): Promise<{ readonly ended: string; readonly waiting: string }> {
  await client.deployWorkflow({ name: 'plain', nodes: [{ id: 'only', ...work }] });
  await client.deployWorkflow({
    name: 'asked',
    nodes: [
      { id: 'first', ...work },
      { id: 'second', ...work, needs: ['first'], approval: {} },
    ],
  });
  const [ended, waiting] = [(await client.startRun('plain', {})).id, (await client.startRun('asked', {})).id];
  expect(await lastStatus(client, ended)).toBe('SUCCESS');
  for await (const { event } of client.events(waiting)) if (event.type === 'approval.requested') break;
  return { ended, waiting };
}

async function lastStatus(client: Client, runId: string): Promise<string | undefined> {
  for await (const { event } of client.events(runId)) if (event.type === 'run.finished') return event.status;
  return undefined;
}

const exists = (path: string) =>
  access(path).then(
    () => true,
    () => false,
  );

describe('hive backup', () => {
  let runs: Awaited<ReturnType<typeof startRuns>>;
  let backup: BackupView;
  let keys: readonly string[];

  test('create writes one that verify finds whole, also without a control plane, and no key is in it', async () => {
    await using plane = await up('first');
    runs = await startRuns(plane.client);
    const address = ['--url', plane.url, '--data', at('first')];
    const created = await command('backup', 'create', '--keep', '3', '--json', ...address);
    expect([created.status, created.said]).toEqual([0, '']);
    backup = JSON.parse(created.stdout) as BackupView;
    expect(backup).toMatchObject({ state: 'COMPLETE', epoch: 1 });
    expect((await command('backup', 'list', ...address)).stdout).toMatch(new RegExp(`${backup.name}\\s+COMPLETE`));
    expect(await command('backup', 'verify', backup.name, ...address)).toMatchObject({
      status: 0,
      stdout: expect.stringContaining('is whole'),
    });
    keys = await Promise.all(['admin.key', 'local-workers.key'].map(async (name) => (await readFile(at('first', name), 'utf8')).trim()));
    const database = JSON.parse(await readFile(at('first', 'postgres', 'secrets.json'), 'utf8')) as Record<string, string>;
    for (const file of await readdir(backup.path)) {
      const bytes = await readFile(join(backup.path, file));
      const content = (file.endsWith('.gz') ? gunzipSync(bytes) : bytes).toString();
      for (const secret of [...keys, ...Object.values(database)]) expect([file, content.includes(secret)]).toEqual([file, false]);
    }
  });

  test('verify --deep restores it into a database of its own, and tells damage with the part', async () => {
    expect(await command('backup', 'verify', backup.path, '--deep')).toMatchObject({
      status: 0,
      stdout: expect.stringContaining('is whole'),
    });
    await cp(backup.path, at('broken'), { recursive: true });
    await rm(at('broken', 'runs.copy.gz'));
    const found = await command('backup', 'verify', at('broken'));
    expect(found).toMatchObject({
      status: errorCatalogue.BACKUP_INVALID.exitCode,
      stdout: expect.stringContaining('runs.copy.gz: is missing'),
    });
    const refused = await command('backup', 'restore', at('broken'), '--data', at('never'));
    expect(refused).toMatchObject({ status: errorCatalogue.BACKUP_INVALID.exitCode, said: expect.stringContaining('runs.copy.gz') });
    expect(await exists(at('never'))).toBe(false);
  });

  test('restore that is killed with -9 is not taken for a restore: hive up refuses until it is repeated, and then goes on', async () => {
    // Everything but the backup is gone.
    await rm(at('first'), { recursive: true });
    await using killed = hive(['backup', 'restore', backup.path, '--data', at('second')], {});
    while (!(await exists(at('second', 'restore.json')))) expect(killed.process.exitCode).toBeNull();
    const below = await descendants(killed.process.pid ?? 0);
    killAll([killed.process.pid ?? 0]);
    await killed.ended;
    await allGone(below);
    await expect(up('second')).rejects.toMatchObject({ message: expect.stringContaining('RESTORE_UNFINISHED') });

    const restored = await command('backup', 'restore', backup.path, '--data', at('second'));
    expect([restored.status, restored.said]).toEqual([0, '']);
    expect(restored.stdout).toContain(runs.waiting);
    await using plane = await up('second');
    expect((await plane.client.run(runs.ended)).status).toBe('SUCCESS');
    const [approval] = await plane.client.approvals({ status: 'PENDING' });
    await plane.client.decideApproval(approval?.id ?? '', { decision: 'APPROVED' });
    expect(await lastStatus(plane.client, runs.waiting)).toBe('SUCCESS');
    expect((await plane.client.status()).epoch).toBeGreaterThan(1);
    expect(keys).not.toContain(plane.adminKey);
  });

  test('restore into what is in use, or not empty, is refused', async () => {
    const restore = () => command('backup', 'restore', backup.path, '--data', at('second'));
    {
      await using plane = await up('second');
      expect((await restore()).said).toContain('DATA_DIRECTORY_IN_USE');
      await plane.client.ready();
    }
    expect((await restore()).said).toContain('RESTORE_TARGET_NOT_EMPTY');
    await using plane = await up('second');
    expect((await plane.client.run(runs.ended)).status).toBe('SUCCESS');
  });

  test('create that is killed with -9 leaves none that could be taken for whole', async () => {
    const before = await readdir(at('backups'));
    {
      await using plane = await up('second');
      await plane.client.createBackup();
      while ((await readdir(at('backups'))).length === before.length);
      const pids = [plane.process.pid ?? 0, ...(await descendants(plane.process.pid ?? 0))];
      killAll([plane.process.pid ?? 0]);
      await allGone(pids);
    }
    await using plane = await up('second');
    for (const { state } of await plane.client.backups()) expect(state).toBe('COMPLETE');
    const { name } = await plane.client.createBackup();
    expect(await plane.client.backup(name, { waitMs: 30_000 })).toMatchObject({ state: 'COMPLETE' });
    expect((await readdir(at('backups'))).filter((file) => file.startsWith('.'))).toEqual([]);
  });
});
