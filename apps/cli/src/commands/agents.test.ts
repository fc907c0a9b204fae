import { expect, it } from 'vitest';
import { controlPlane, hive } from '../testing.ts';

const versions = {
  name: 'scanner',
  currentVersion: '1.0.0',
  versions: [
    { version: '1.0.0', trust: 'untrusted', shareRatio: 0.9, directory: '/agents/scanner' },
    { version: '2.0.0', trust: 'untrusted', shareRatio: 0.1, directory: '/agents/next' },
  ],
  rollouts: [],
};

it('hive agents rollout shares new runs, and shows what each version gets', async () => {
  await using control = await controlPlane({ 'PUT /v1/agents/scanner/rollout': { body: versions } });
  const { stdout } = await hive(['agents', 'rollout', 'scanner', '1.0.0=90', '2.0.0=10', '--url', control.url]);
  expect(stdout).toMatch(/^1\.0\.0 +90 % +current +\/agents\/scanner$/m);
  expect(stdout).toMatch(/^2\.0\.0 +10 % +\/agents\/next$/m);
  expect(JSON.parse(control.seen[0]?.body ?? '')).toEqual({ weights: { '1.0.0': 90, '2.0.0': 10 } });
});

it('hive agents versions --add keeps what lies there', async () => {
  await using control = await controlPlane({ 'POST /v1/agents/scanner/versions': { body: versions } });
  await hive(['agents', 'versions', 'scanner', '--add', '/agents/next', '--url', control.url]);
  expect(JSON.parse(control.seen[0]?.body ?? '')).toEqual({ entryPath: '/agents/next' });
});

it('a weight that is none is refused before anybody is asked', async () => {
  await using control = await controlPlane({});
  const { exitCode, stderr } = await hive(['agents', 'rollout', 'scanner', '2.0.0', '--url', control.url]);
  expect([exitCode, stderr.split('\n')[0], control.seen]).toEqual([
    2,
    'COMMAND_INVALID: 2.0.0: expected a version and its weight, such as 2.0.0=10',
    [],
  ]);
});
