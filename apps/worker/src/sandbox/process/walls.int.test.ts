// @module-tag needs-bwrap
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  readlinkSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { newLog, systemClock } from '@hivekeeper/kernel';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Command, type Runner, closeInheritedDescriptors, probeSandbox } from './index.ts';

const mebibyte = 1024 * 1024;
const isRoot = process.getuid?.() === 0;
let sandbox: Runner;
let ownDirectory: string;

beforeAll(async () => {
  closeInheritedDescriptors();
  const probe = await probeSandbox({
    clock: systemClock,
    log: newLog({ level: 'silent', component: 'test' }),
    searchPath: process.env.PATH ?? '',
  });
  if (!probe.available) expect.fail(`no sandbox: ${probe.reasons.join('; ')}`);
  sandbox = probe.runner;
  // Private to whoever runs the tests: where that is root, the command must stay root outside to use it.
  ownDirectory = mkdtempSync(join(realpathSync(tmpdir()), 'hive-walls-'));
  chmodSync(ownDirectory, 0o700);
});
afterAll(() => rmSync(ownDirectory, { recursive: true, force: true }));

const limits = { memoryBytes: 64 * mebibyte, cpuCores: 2, maxProcesses: 64, outputBytes: mebibyte, wallTimeMs: 30_000, graceMs: 200 };

type Paths = Partial<Pick<Command, 'visiblePaths' | 'hiddenPaths'>>;

async function outputOf(script: string, paths: Paths = {}): Promise<string> {
  const environment = { PATH: '/usr/bin:/bin' };
  const command = { file: '/bin/sh', args: ['-c', script], environment, workingDirectory: '/', stdin: '', network: false };
  const { stdout } = await sandbox.run(
    { ...command, visiblePaths: [], hiddenPaths: [], ...paths, limits },
    { signal: new AbortController().signal },
  );
  return stdout.toString();
}

const linesOf = async (script: string, paths: Paths = {}): Promise<readonly string[]> =>
  (await outputOf(script, paths)).trimEnd().split('\n');

// Each wall alone: most escapes are stopped by two of them, and a probe of the escape would not see one go missing.
describe('each wall around a confined command', () => {
  it('is a namespace of its own for every kind there is', async () => {
    const kinds = ['cgroup', 'ipc', 'mnt', 'net', 'pid', 'user', 'uts'].filter((kind) => readdirSync('/proc/self/ns').includes(kind));
    expect(kinds).toEqual(expect.arrayContaining(['ipc', 'mnt', 'net', 'pid', 'user', 'uts']));
    const inside = await linesOf(kinds.map((kind) => `readlink /proc/self/ns/${kind}`).join('; '));
    expect(inside).toHaveLength(kinds.length);
    expect(kinds.filter((kind, index) => inside[index] === readlinkSync(`/proc/self/ns/${kind}`))).toEqual([]);
  });

  it('is a session of its own: none of outside is seen as 0', async () => {
    const [session] = await linesOf('cut -d" " -f6 /proc/self/stat');
    expect(Number(session)).toBeGreaterThan(0);
  });

  it('is the loss of every capability and of the user’s name, also where it must stay root outside', async () => {
    const granted = [{ path: ownDirectory, access: 'write' }] as const;
    expect(await linesOf('id -u; id -g; grep ^Cap /proc/self/status | cut -f2 | sort -u', { visiblePaths: granted })).toEqual([
      '65532',
      '65532',
      '0000000000000000',
    ]);
  });

  it('is the loss of its supervisor’s groups, where that may drop them', async () => {
    const before = process.getgroups?.() ?? [];
    if (isRoot) process.setgroups?.([...before, 4]);
    try {
      const [groups] = await linesOf('grep ^Groups: /proc/self/status | cut -f2');
      if (isRoot) expect(groups?.trim()).toBe('');
    } finally {
      if (isRoot) process.setgroups?.(before);
    }
  });

  it('is a limit on core files, written files, open files, and the first place when memory runs out', async () => {
    // Where the limit of this machine is 0 anyway, it would prove nothing.
    spawnSync('prlimit', ['--pid', String(process.pid), '--core=unlimited']);
    const [core, fileBlocks, openFiles, score] = await linesOf('ulimit -c; ulimit -f; ulimit -n; cat /proc/self/oom_score_adj');
    expect([core, fileBlocks, score]).toEqual(['0', '8388608', '500']);
    expect(Number(openFiles)).toBeLessThanOrEqual(4_096);
  });

  it('is a shared memory no larger than half its memory limit', async () => {
    const [sizeBytes] = await linesOf('head -c 67108864 /dev/zero 2>/dev/null >/dev/shm/big; stat -c %s /dev/shm/big');
    expect(Number(sizeBytes)).toBe(32 * mebibyte);
  });

  it('is read-only for whatever it does not grant to write, by the flags of its mounts: trying would write to the host', async () => {
    const paths = { visiblePaths: [{ path: ownDirectory, access: 'write' }] } as const;
    const mounts = (await linesOf('cut -d" " -f5,6 /proc/self/mountinfo', paths)).map((line) => line.split(' '));
    const writable = mounts.filter(([, flags = '']) => flags.split(',').includes('rw')).map(([path = '']) => path);
    const own = ['/tmp', '/dev/shm', '/dev/pts', '/proc', ownDirectory];
    expect(mounts.map(([path]) => path)).toEqual(expect.arrayContaining(['/', '/usr', ownDirectory]));
    expect(writable.filter((path) => !own.includes(path) && !/^\/dev\/\w+$/.test(path))).toEqual([]);
    expect(writable).toEqual(expect.arrayContaining(['/tmp', ownDirectory]));
  });

  it('shows no more of /etc/ssl than certificates and settings', async () => {
    const shown = (await linesOf('ls -A /etc/ssl')).filter((name) => !['certs', 'openssl.cnf'].includes(name));
    expect(shown).toEqual([]);
  });

  it('finds a hidden directory empty, whatever it is granted around it, and what is granted inside of it', async () => {
    const top = mkdtempSync(join(ownDirectory, 'around-'));
    const data = join(top, 'way', 'data');
    const reports = join(data, 'reports');
    mkdirSync(reports, { recursive: true });
    for (const path of [top, join(top, 'way'), data, reports]) chmodSync(path, 0o777);
    writeFileSync(join(data, 'admin.key'), 'canary');
    writeFileSync(join(top, 'beside'), 'beside');
    const probe = `cat ${top}/beside ${data}/admin.key; cd ${data} && echo * && echo x >planted; echo x >${reports}/written; ls ${data}`;
    const granted = [
      { path: top, access: 'write' },
      { path: join(top, 'way'), access: 'write' },
    ] as const;
    const shown = await outputOf(probe, { visiblePaths: [...granted, { path: reports, access: 'write' }], hiddenPaths: [data] });
    expect(shown).toBe('besidereports\nreports\n');
    expect(readFileSync(join(reports, 'written'), 'utf8')).toBe('x\n');
    expect(await outputOf(probe, { visiblePaths: [{ path: top, access: 'read' }], hiddenPaths: [data] })).toBe('beside*\n');
    expect(existsSync(join(data, 'planted'))).toBe(false);
    const rename = `mv ${data} ${top}/way/new; mv ${top}/way ${top}/new; mv ${top} ${ownDirectory}/new; cat ${top}/*/*/admin.key`;
    expect(await outputOf(rename, { visiblePaths: granted, hiddenPaths: [data] })).toBe('');
    expect(readFileSync(join(data, 'admin.key'), 'utf8')).toBe('canary');
    // Without what hides it the same probe finds it.
    expect(await outputOf(probe, { visiblePaths: [{ path: top, access: 'read' }] })).toContain('canary');
  });
});
