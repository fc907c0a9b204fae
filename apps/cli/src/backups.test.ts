import { describe, expect, it } from 'vitest';
import { controlPlane, hive } from './testing.ts';

describe('backups', () => {
  const name = 'backup-20260102-030405-678';
  const backup = {
    name,
    state: 'COMPLETE',
    path: `/data/backups/${name}`,
    createdAtMs: Date.parse('2026-01-02T03:04:05Z'),
    sizeBytes: 3_456_000,
    rowCount: 12,
    schemaVersion: 7,
    productVersion: '0.1.0',
    epoch: 1,
  };
  const sound = { isSound: true, faults: [], partCount: 15, rowCount: 12, auditEntryCount: 9, unprovenEntryCount: 0 };

  it('create waits for the end, and says where it lies', async () => {
    const writing = { name, state: 'WRITING', path: backup.path };
    const answers = [writing, backup];
    await using control = await controlPlane({
      'POST /v1/backups': { status: 202, body: writing },
      [`GET /v1/backups/${name}`]: (response) =>
        response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(answers.shift())),
    });
    const { exitCode, screen } = await hive(['backup', 'create', '--keep', '7', '--url', control.url]);
    expect([exitCode, screen]).toEqual([0, `/data/backups/${name}\n12 rows, 3.5 MB, in 0.0 s.\n\nNext: hive backup verify ${name}\n`]);
    expect(control.seen.map(({ url, body }) => [url, body])).toEqual([
      ['/v1/backups', '{"keep":7}'],
      [`/v1/backups/${name}?waitMs=20000`, ''],
      [`/v1/backups/${name}?waitMs=20000`, ''],
    ]);
  });

  it('create that failed ends with the error the control plane tells', async () => {
    await using control = await controlPlane({
      'POST /v1/backups': {
        body: { name, state: 'FAILED', path: backup.path, error: { code: 'BACKUP_NOT_WRITTEN', message: 'no space left on device' } },
      },
    });
    const { exitCode, stderr } = await hive(['backup', 'create', '--url', control.url]);
    expect([exitCode, stderr]).toEqual([1, expect.stringContaining('BACKUP_NOT_WRITTEN: no space left on device')]);
  });

  it('list shows them as a table, and says what is wrong with a damaged one', async () => {
    const damaged = { name, state: 'DAMAGED', path: backup.path, error: { code: 'BACKUP_INVALID', message: 'manifest.json: is missing' } };
    await using control = await controlPlane({ 'GET /v1/backups': { body: [backup, damaged] } });
    expect((await hive(['backup', '--url', control.url])).stdout).toBe(
      [
        'BACKUP                      STATE     HOLDS                      ROWS  SIZE    SCHEMA  EPOCH',
        `${name}  COMPLETE  2026-01-02T03:04:05.000Z   12    3.5 MB  7       1`,
        `${name}  DAMAGED   manifest.json: is missing`,
        '',
      ].join('\n'),
    );
  });

  it('verify of a name asks the control plane, and its exit status tells damage', async () => {
    const broken = { ...sound, isSound: false, faults: [{ part: 'runs.copy.gz', message: 'was changed' }] };
    const answers = [sound, broken];
    await using control = await controlPlane({
      [`GET /v1/backups/${name}/verification`]: (response) =>
        response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(answers.shift())),
    });
    const verify = () => hive(['backup', 'verify', name, '--url', control.url]);
    expect(await verify()).toMatchObject({
      exitCode: 0,
      stdout: 'The backup is whole: 15 parts, 12 rows, a chain of 9 audit entries.\n',
    });
    expect(await verify()).toMatchObject({ exitCode: 2, stdout: 'The backup is damaged:\n  runs.copy.gz: was changed\n' });
  });

  it.each(['0', '-1', 'x', '1.5', '10000'])('--keep %s is refused before anything is asked', async (keep) => {
    await using control = await controlPlane({});
    const { exitCode, stderr } = await hive(['backup', 'create', `--keep=${keep}`, '--url', control.url]);
    expect([exitCode, stderr, control.seen]).toEqual([2, expect.stringContaining('COMMAND_INVALID'), []]);
  });
});
