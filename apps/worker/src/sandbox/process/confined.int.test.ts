// @module-tag needs-bwrap
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readdirSync,
  realpathSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { newLog, systemClock } from '@hivekeeper/kernel';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Command, type CommandHooks, type Runner, closeInheritedDescriptors, newPlainRunner, probeSandbox } from './index.ts';

const mebibyte = 1024 * 1024;
const isRoot = process.getuid?.() === 0;
const node = realpathSync(process.execPath);
const supervisor = fileURLToPath(new URL('fixtures/supervisor.ts', import.meta.url));
const plain = newPlainRunner({ clock: systemClock });
let sandbox: Runner;
let cgroup: string;
let directory: string;

beforeAll(async () => {
  closeInheritedDescriptors();
  const probe = await probeSandbox({
    clock: systemClock,
    log: newLog({ level: 'silent', component: 'test' }),
    searchPath: process.env.PATH ?? '',
  });
  // Without bubblewrap there is nothing to test, and that is a failure: a machine that tests must have it.
  if (!probe.available) expect.fail(`no sandbox: ${probe.reasons.join('; ')}`);
  sandbox = probe.runner;
  cgroup = probe.cgroup;
  directory = mkdtempSync(join(realpathSync(tmpdir()), 'hive-confined-'));
  chmodSync(directory, 0o755);
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

type Changes = Partial<Omit<Command, 'limits'>> & { readonly limits?: Partial<Command['limits']> };

function commandOf({ limits, ...changes }: Changes): Command {
  return {
    file: '/bin/sh',
    args: [],
    environment: { PATH: '/usr/bin:/bin' },
    workingDirectory: '/',
    stdin: '',
    visiblePaths: [],
    hiddenPaths: [],
    network: false,
    ...changes,
    limits: {
      memoryBytes: 256 * mebibyte,
      cpuCores: 2,
      maxProcesses: 64,
      outputBytes: mebibyte,
      wallTimeMs: 30_000,
      graceMs: 200,
      ...limits,
    },
  };
}

const untilItEnds = (): CommandHooks => ({ signal: new AbortController().signal });
const runIn = async (runner: Runner, changes: Changes) => {
  const result = await runner.run(commandOf(changes), untilItEnds());
  return { ...result, stdout: result.stdout.toString() };
};
const shell = (script: string, changes: Changes = {}) => runIn(sandbox, { args: ['-c', script], ...changes });
const bareShell = (script: string, changes: Changes = {}) => runIn(plain, { args: ['-c', script], ...changes });
const script = (code: string, changes: Changes = {}): Changes => ({
  file: node,
  args: ['-e', code],
  ...changes,
  visiblePaths: [{ path: node, access: 'read' }, ...(changes.visiblePaths ?? [])],
});

/** Host pids whose command line holds the marker. */
function processesWith(marker: string): readonly number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(marker);
      } catch {
        return false;
      }
    });
}

const marker = () => `hive-marker-${Math.random().toString(36).slice(2)}`;

describe('a confined command and the files of the host', () => {
  it('finds no secret, no home and nothing of the host’s /tmp, and the same probe outside finds them', async () => {
    const secret = join(directory, 'secret');
    writeFileSync(secret, 'canary');
    const probe = `cat ${secret} /etc/shadow /etc/ssl/private/* ; ls /root /home /var /run /sys /opt /srv`;
    expect(await shell(probe)).toMatchObject({ kind: 'exited', stdout: '' });
    expect((await bareShell(probe)).stdout).toContain('canary');
  });

  it('sees an account file of ours, with no account of the host', async () => {
    expect((await shell('cut -d: -f1 /etc/passwd; hostname')).stdout).toBe('root\nagent\nnobody\nagent\n');
  });

  it('reads a granted path and cannot write to it', async () => {
    writeFileSync(join(directory, 'given'), 'given');
    chmodSync(join(directory, 'given'), 0o666);
    const result = await shell(`cat ${directory}/given; echo more >>${directory}/given`, {
      visiblePaths: [{ path: directory, access: 'read' }],
    });
    expect(result).toMatchObject({ kind: 'exited', exitCode: 2, stdout: 'given' });
    expect(result.stderrTail).toContain('Read-only file system');
    expect(readFileSync(join(directory, 'given'), 'utf8')).toBe('given');
  });

  it('writes to a path granted for writing, and nowhere else but its own /tmp', async () => {
    const granted = mkdtempSync(join(directory, 'granted-'));
    const places = ['/', '/usr', '/etc', '/dev', '/bin', '/proc/sys/kernel', directory, '/tmp', '/dev/shm', granted];
    const probe = places.map((place) => `(echo x >${place}/planted) 2>/dev/null && echo ${place}`).join('; ');
    const result = await shell(probe, { visiblePaths: [{ path: granted, access: 'write' }] });
    // The directory around the grant is there as a name only, in the command's own /tmp.
    expect(result.stdout.trim().split('\n')).toEqual([directory, '/tmp', '/dev/shm', granted]);
    expect(readFileSync(join(granted, 'planted'), 'utf8')).toBe('x\n');
    expect([directory, tmpdir(), '/dev/shm'].filter((place) => existsSync(join(place, 'planted')))).toEqual([]);
  });

  it('keeps no file in its /tmp for the next command', async () => {
    expect((await shell('echo x >/tmp/left; ls /tmp')).stdout).toBe('left\n');
    expect((await shell('ls /tmp')).stdout).toBe('');
  });

  it('cannot fill its /tmp beyond half its memory limit', async () => {
    const fill = 'head -c 67108864 /dev/zero >/tmp/big; stat -c %s /tmp/big';
    expect(Number((await shell(fill, { limits: { memoryBytes: 64 * mebibyte } })).stdout)).toBe(32 * mebibyte);
    expect(Number((await shell(fill)).stdout)).toBe(64 * mebibyte);
  });
});

describe('a confined command and the network', () => {
  const connect = (target: string) =>
    script(
      `const socket = require('net').connect(${target});
       socket.on('connect', () => { console.log('connected'); socket.destroy(); });
       socket.on('error', (error) => console.log(error.code));`,
    );

  it('reaches no listener on the host’s loopback, unless the network is granted', async () => {
    const server = createServer((socket) => socket.destroy()).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const probe = connect(String((server.address() as AddressInfo).port));
    expect((await runIn(sandbox, probe)).stdout).toBe('ECONNREFUSED\n');
    expect((await runIn(sandbox, { ...probe, network: true })).stdout).toBe('connected\n');
    server.close();
  });

  it('reaches no abstract unix socket of the host, unless the network is granted', async () => {
    const name = marker();
    const server = createServer((socket) => socket.destroy()).listen({ path: `\0${name}` });
    await once(server, 'listening');
    const probe = connect(JSON.stringify({ path: `\0${name}` }));
    expect((await runIn(sandbox, probe)).stdout).toBe('ECONNREFUSED\n');
    expect((await runIn(sandbox, { ...probe, network: true })).stdout).toBe('connected\n');
    server.close();
  });

  it('has a loopback of its own and knows the name localhost', async () => {
    const probe = script(
      `const s = require('net').createServer().listen(0, 'localhost', () => { console.log(s.address().address); s.close(); });`,
    );
    expect((await runIn(sandbox, probe)).stdout).toMatch(/^(127\.0\.0\.1|::1)\n$/);
  });
});

describe('a confined command and other processes', () => {
  it('sees and signals no process but its own, where the same probe outside does', async () => {
    const host = spawn('sleep', ['600']);
    const probe = `kill -0 ${host.pid} 2>/dev/null && echo reached; for p in /proc/[0-9]*; do echo $p; done | wc -l`;
    const [count, ...rest] = (await shell(probe)).stdout.trim().split('\n').toReversed();
    expect(rest).toEqual([]);
    expect(Number(count)).toBeLessThan(8);
    expect((await bareShell(probe)).stdout).toContain('reached');
    host.kill('SIGKILL');
    await once(host, 'exit');
  });

  it('runs as nobody in particular, inside and outside', async () => {
    const name = marker();
    const started = new AbortController();
    let uid: string | undefined;
    const running = sandbox.run(commandOf({ args: ['-c', `echo started >&2; sleep 600; : ${name}`] }), {
      signal: started.signal,
      onStderrLine: () => {
        uid = processesWith(name)
          .map((pid) => /^Uid:\t(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1])
          .at(-1);
        started.abort();
      },
    });
    expect((await running).kind).toBe('aborted');
    expect(uid).toBe(String(isRoot ? 65_532 : process.getuid?.()));
    expect((await shell('id -u')).stdout).toBe('65532\n');
  });

  it('has no capability and cannot make a user namespace, where the same probe outside can', async () => {
    expect((await shell('grep -h ^Cap /proc/self/status | cut -f2 | sort -u')).stdout).toBe('0000000000000000\n');
    expect((await shell('unshare --user true')).stderrTail).toContain('unshare failed');
    expect(await bareShell('unshare --user true')).toMatchObject({ kind: 'exited', exitCode: 0 });
  });

  it('inherits no descriptor, though its supervisor was handed one', async () => {
    const supervise = async (mode: 'careful' | 'careless') => {
      const open = openSync('/etc/hostname', 'r');
      const stdio = ['ignore', 'pipe', 'inherit', ...Array<'ignore'>(97).fill('ignore'), open] as const;
      const child = spawn(node, [supervisor, mode, 'cd /proc/self/fd && echo *'], { stdio: [...stdio], env: { PATH: process.env.PATH } });
      closeSync(open);
      return JSON.parse(await text(child.stdout as NodeJS.ReadableStream)) as {
        readonly stdout?: string;
        readonly reasons?: readonly string[];
      };
    };
    expect((await supervise('careful')).stdout).toMatch(/^0 1 2( 3)?\n$/);
    expect((await supervise('careless')).reasons).toContain('a trial command inherited the descriptors 100');
  });

  it('has the declared environment and nothing else, also in the environment of its first process', async () => {
    process.env.HIVE_TEST_CANARY = 'canary';
    const result = await shell('env; cat /proc/[0-9]*/environ', { environment: { PATH: '/usr/bin:/bin', DECLARED: 'yes' } });
    expect(
      result.stdout
        .split('\n')
        .filter((line) => /^[A-Z]+=/.test(line))
        .map((line) => line.split('=')[0]),
    ).toEqual(expect.arrayContaining(['DECLARED', 'PATH']));
    expect(result.stdout).not.toMatch(/canary|HIVE_|HOME=|USER=/);
  });
});

describe('a confined command that takes more than its share', () => {
  it('bombs itself with forks and takes nothing else down', async () => {
    const name = marker();
    const result = await shell(`: ${name}; bomb() { bomb | bomb & }; bomb; sleep 60`, { limits: { maxProcesses: 16, wallTimeMs: 1_500 } });
    expect(result.stderrTail).toMatch(/Cannot fork|Resource temporarily unavailable/);
    expect(processesWith(name)).toEqual([]);
    expect(await shell('for i in 1 2 3 4 5; do (true) & done; wait; echo five', { limits: { maxProcesses: 16 } })).toMatchObject({
      kind: 'exited',
      stdout: 'five\n',
    });
  });

  it('is ended when its memory is used up, and not before', async () => {
    const allocate = (count: number) =>
      script(`const kept = []; for (let i = 0; i < ${count}; i++) kept.push(Buffer.alloc(${mebibyte}, 1)); console.log(kept.length);`);
    const bomb = await runIn(sandbox, { ...allocate(4_096), limits: { memoryBytes: 128 * mebibyte } });
    // Without a control group each process is bounded by itself, and V8 ends on its own.
    expect(bomb.kind).toBe(cgroup === 'none' ? 'signalled' : 'out-of-memory');
    expect(await runIn(sandbox, { ...allocate(32), limits: { memoryBytes: 128 * mebibyte } })).toMatchObject({
      kind: 'exited',
      stdout: '32\n',
    });
  });

  it('gets no more of the processors than its share', async () => {
    // As an ordinary user there may be no group to bound it by; the probe says so, and then nothing is claimed.
    const burn = script(
      `const from = Date.now(); while (process.cpuUsage().user + process.cpuUsage().system < 400_000); console.log(Date.now() - from);`,
    );
    const bounded = Number((await runIn(sandbox, { ...burn, limits: { cpuCores: 0.2 } })).stdout);
    const free = Number((await runIn(sandbox, burn)).stdout);
    if (cgroup !== 'none') expect(bounded).toBeGreaterThan(Math.max(free, 1_200));
    expect(free).toBeGreaterThan(0);
  });

  it('floods stdout, is cut at the limit and ended; output just within the limit is kept whole', async () => {
    const flood = await shell('yes', { limits: { outputBytes: 10_000 } });
    expect(flood.kind).toBe('output-too-large');
    expect(flood.stdout).toHaveLength(10_000);
    expect(await shell('yes | head -c 10000', { limits: { outputBytes: 10_000 } })).toMatchObject({ kind: 'exited', exitCode: 0 });
  });

  it('floods stderr, of which the last 4 KB are kept', async () => {
    const result = await shell('yes line | head -n 200000 >&2; echo last >&2');
    expect(result).toMatchObject({ kind: 'exited', exitCode: 0 });
    expect(result.stderrTail).toHaveLength(4_096);
    expect(result.stderrTail.endsWith('line\nlast\n')).toBe(true);
  });

  it('is told to end when its time is up, and may say goodbye', async () => {
    const polite = await shell('trap "echo bye; exit 0" TERM; while :; do sleep 0.02; done', {
      limits: { wallTimeMs: 300, graceMs: 10_000 },
    });
    expect(polite).toMatchObject({ kind: 'timed-out', stdout: 'bye\n' });
  });

  it('ignores SIGTERM and is killed after the grace', async () => {
    const name = marker();
    expect((await shell(`trap "" TERM; : ${name}; while :; do sleep 0.02; done`, { limits: { wallTimeMs: 300 } })).kind).toBe('timed-out');
    expect(processesWith(name)).toEqual([]);
  });

  it('leaves a daemon in a session of its own, which dies with it; outside a sandbox such a daemon lives on', async () => {
    const name = marker();
    const daemonise = `setsid sh -c 'sleep 600; : ${name}' >/dev/null 2>&1 & echo started`;
    expect(await shell(daemonise)).toMatchObject({ kind: 'exited', stdout: 'started\n' });
    expect(processesWith(name)).toEqual([]);
    expect(await bareShell(`${daemonise}; sleep 0.2`)).toMatchObject({ kind: 'exited', stdout: 'started\n' });
    const survivors = processesWith(name);
    expect(survivors.length).toBeGreaterThan(0);
    for (const pid of survivors) process.kill(-pid, 'SIGKILL');
  });

  it('leaves no control group behind', async () => {
    await shell('true');
    expect(ownGroups(process.pid)).toEqual([]);
  });
});

const ownGroups = (pid: number | undefined): readonly string[] =>
  groupsBelow('/sys/fs/cgroup').filter((name) => name.startsWith(`hive-${pid}-`));

function groupsBelow(path: string): readonly string[] {
  try {
    return readdirSync(path, { withFileTypes: true })
      .filter((entry) => entry.isDirectory() && !entry.isSymbolicLink())
      .flatMap(({ name }) => [name, ...groupsBelow(join(path, name))]);
  } catch {
    return [];
  }
}

describe('how a confined command ended', () => {
  it('is its exit status or the signal that ended it', async () => {
    expect(await shell('exit 3')).toMatchObject({ kind: 'exited', exitCode: 3 });
    expect(await shell('kill -SEGV $$')).toMatchObject({ kind: 'signalled', signal: 'SIGSEGV' });
  });

  it('is never mistaken for the command’s own where it did not start', async () => {
    expect((await shell('true', { file: '/usr/bin/no-such-program' })).kind).toBe('not-started');
    expect((await shell('true', { workingDirectory: '/no/such/directory' })).kind).toBe('not-started');
    expect((await shell('true', { visiblePaths: [{ path: '/no/such/path', access: 'read' }] })).kind).toBe('not-started');
  });

  it('is aborted where the caller gave up, before the start as well', async () => {
    expect((await sandbox.run(commandOf({ args: ['-c', 'sleep 600'] }), { signal: AbortSignal.abort() })).kind).toBe('aborted');
  });

  it('gets its input on stdin, also one larger than a pipe', async () => {
    expect((await shell('wc -c', { stdin: 'x'.repeat(mebibyte) })).stdout.trim()).toBe(String(mebibyte));
    expect(await shell('true', { stdin: 'x'.repeat(mebibyte) })).toMatchObject({ kind: 'exited', exitCode: 0 });
  });

  it('owns a directory that was made for it, also when another path forces its hand', async () => {
    const own = mkdtempSync(join(directory, 'own-'));
    const made = join(directory, 'made');
    mkdirSync(made);
    const write = (paths: Command['visiblePaths']) => shell(`echo x >>${made}/file && cat ${made}/file`, { visiblePaths: paths });
    expect((await write([{ path: made, access: 'write', isNew: true }])).stdout).toBe('x\n');
    expect(statSync(made).uid).toBe(isRoot ? 65_532 : process.getuid?.());
    rmSync(join(made, 'file'));
    // Now it must run as the owner of the private directory; the group lets it in.
    expect(
      (
        await write([
          { path: own, access: 'read' },
          { path: made, access: 'write' },
        ])
      ).stdout,
    ).toBe('x\n');
  });

  it('never sees what a link in its path was put in place of', async () => {
    const [shown, hidden] = [join(directory, 'shown'), join(directory, 'hidden')];
    mkdirSync(join(hidden, 'inner'), { recursive: true });
    const look = (place: string) => shell(`ls -d ${place}`, { visiblePaths: [{ path: place, access: 'read' }] });
    expect((await look(join(hidden, 'inner'))).kind).toBe('exited');
    symlinkSync(hidden, shown);
    expect(await look(shown)).toMatchObject({ kind: 'not-started', stdout: '' });
    expect(await look(join(shown, 'inner'))).toMatchObject({ kind: 'not-started', reason: expect.stringContaining('became') });
  });

  it('works in a directory that its owner keeps to himself', async () => {
    const own = mkdtempSync(join(directory, 'own-'));
    expect(statSync(own).mode & 0o777).toBe(0o700);
    expect((await shell(`echo x >${own}/file && cat ${own}/file`, { visiblePaths: [{ path: own, access: 'write' }] })).stdout).toBe('x\n');
  });
});

describe('agents whose supervisor is killed with -9', () => {
  it.each(['careful', 'plain'])('die with it (%s)', async (mode) => {
    const name = marker();
    const child: ChildProcess = spawn(node, [supervisor, mode, `echo started >&2; sleep 600; : ${name}`], {
      stdio: ['ignore', 'ignore', 'pipe'],
      env: { PATH: process.env.PATH },
    });
    await once(child.stderr as NodeJS.ReadableStream, 'data');
    expect(processesWith(name).length).toBeGreaterThan(1);
    child.kill('SIGKILL');
    // Soon, because a worker that starts meanwhile would sweep their group and hide that they lived on.
    await expect.poll(() => processesWith(name), { timeout: 3_000 }).toEqual([]);
  });

  it('leave a control group, which the next start sweeps away', async () => {
    const name = marker();
    const child = spawn(node, [supervisor, 'careful', `echo started >&2; sleep 600; : ${name}`], {
      stdio: ['ignore', 'ignore', 'pipe'],
      env: { PATH: process.env.PATH },
    });
    await once(child.stderr, 'data');
    const groupsOfChild = () => ownGroups(child.pid);
    if (cgroup !== 'none') expect(groupsOfChild()).not.toEqual([]);
    child.kill('SIGKILL');
    await once(child, 'exit');
    await expect.poll(() => processesWith(name), { timeout: 10_000 }).toEqual([]);
    await probeSandbox({ clock: systemClock, log: newLog({ level: 'silent', component: 'test' }), searchPath: process.env.PATH ?? '' });
    expect(groupsOfChild()).toEqual([]);
  });
});
