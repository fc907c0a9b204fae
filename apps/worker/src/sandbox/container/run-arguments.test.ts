import { describe, expect, it } from 'vitest';
import { isMountable, runArguments } from './run-arguments.ts';
import { endOf } from './runner.ts';

const container = {
  ...{ image: 'reviewer:1', command: ['review', '--all'], environment: { KEY: 'secret', HIVE_RUN_ID: 'r' }, stdin: '{}', network: false },
  mounts: [
    { path: '/srv/in', access: 'read' as const },
    { path: '/srv/out', access: 'write' as const },
  ],
  limits: { memoryBytes: 1_000, cpuCores: 0.5, maxProcesses: 7, outputBytes: 1, wallTimeMs: 1, graceMs: 1 },
};

describe('the arguments of a container', () => {
  const args = runArguments(container, { name: 'n', owner: 'h:1:2' });
  const line = args.join(' ');

  it.each([
    '--network none',
    '--read-only',
    '--cap-drop ALL',
    '--security-opt no-new-privileges',
    '--user 65532:65532',
    '--pull never',
    '--memory 1000 --memory-swap 1000 --cpus 0.5 --pids-limit 7',
    '--tmpfs /tmp:rw,nosuid,nodev,mode=1777,size=500',
    '--label hivekeeper.worker=h:1:2',
    '--mount type=bind,source=/srv/in,target=/srv/in,readonly',
    '--mount type=bind,source=/srv/out,target=/srv/out reviewer:1 review --all',
  ])('say %s', (words) => expect(line).toContain(words));

  it('name variables, and never say what is in them', () => {
    expect(line).toContain('--env KEY --env HIVE_RUN_ID');
    expect(line).not.toContain('secret');
  });

  it('leave the network where the manifest asks for it', () => {
    expect(runArguments({ ...container, network: true }, { name: 'n', owner: 'o' }).join(' ')).not.toContain('--network');
  });

  it('can name no path that would be read as more than one', () => {
    expect(['/a b', '/ü:x', '/a,readonly', '/a"b', '/a\nb'].map(isMountable)).toEqual([true, true, false, false, false]);
  });
});

it.each([
  [0, false, { kind: 'exited', exitCode: 0 }],
  [3, false, { kind: 'exited', exitCode: 3 }],
  [125, false, { kind: 'not-started', reason: 'words' }],
  [127, false, { kind: 'not-started', reason: 'words' }],
  [137, false, { kind: 'signalled', signal: 'SIGKILL' }],
  [137, true, { kind: 'out-of-memory' }],
  [143, false, { kind: 'signalled', signal: 'SIGTERM' }],
])('the exit status %i (out of memory: %s) means %j', (exitCode, wasOutOfMemory, end) =>
  expect(endOf({ kind: 'exited', exitCode, stderrTail: 'words\n' }, wasOutOfMemory)).toEqual(end),
);
