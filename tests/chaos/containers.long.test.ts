// @module-tag needs-bwrap
/**
 * Agents in containers of a real engine: `npx vitest run --project chaos tests/chaos/containers.long.test.ts`. Needs podman or docker
 * that works, and a static busybox at /bin/busybox (Debian: podman, runc, busybox-static). Nothing is fetched.
 */
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { chmod, copyFile, mkdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Engine, probeEngine } from '../../apps/worker/src/sandbox/container/index.ts';
import { allGone, descendants, killAll, rest, type Stack, startStack, temporaryDirectory } from '../stack/stack.ts';

const image = 'localhost/hivekeeper-busybox:1';
let directory: Awaited<ReturnType<typeof temporaryDirectory>>;
let stack: Stack;
let engine: Engine;
const call = (...args: readonly string[]) => execFileSync(engine.file, args, { env: engine.environment, encoding: 'utf8' });
const containers = () => call('ps', '--quiet', '--filter', 'label=hivekeeper.worker').split('\n').filter(Boolean);

beforeAll(async () => {
  directory = await temporaryDirectory('containers');
  const environment: Record<string, string> = { PATH: process.env['PATH'] ?? '', HOME: '/root' };
  // crun refuses machines with control groups of both versions; runc takes them.
  if (existsSync('/usr/sbin/runc')) {
    environment['CONTAINERS_CONF'] = join(directory.path, 'containers.conf');
    await writeFile(environment['CONTAINERS_CONF'], '[engine]\nruntime = "runc"\n');
  }
  const probe = await probeEngine(environment);
  if ('reason' in probe) return expect.fail(probe.reason);
  engine = probe.engine;
  const files = join(directory.path, 'files');
  await mkdir(join(files, 'bin'), { recursive: true });
  await mkdir(join(files, 'tmp'));
  // As images have it: runc gives the memory over it the mode of what lies below.
  await chmod(join(files, 'tmp'), 0o1777);
  await copyFile('/bin/busybox', join(files, 'bin/busybox'));
  for (const name of ['sh', 'cat', 'grep', 'sleep', 'dd', 'id', 'touch', 'ls', 'printf', 'yes'])
    await symlink('busybox', join(files, 'bin', name));
  const archive = join(directory.path, 'files.tar');
  execFileSync('tar', ['-C', files, '-cf', archive, '.']);
  call('import', archive, image);
  await mkdir(join(directory.path, 'in'));
  await writeFile(join(directory.path, 'in/note'), 'read me');
  stack = await startStack({
    ...{ dataDirectory: join(directory.path, 'data'), roots: [directory.path], leaseMs: 2_000 },
    environment: { ...environment, REVIEW_KEY: 'k' },
  });
});
afterAll(async () => {
  await stack[Symbol.asyncDispose]();
  call('rmi', '--force', image);
  await directory[Symbol.asyncDispose]();
});

/** Runs a shell script as an agent in a container; gives the run once it has ended. */
async function contain(name: string, script: string, more: object = {}) {
  const agent = join(directory.path, name);
  await mkdir(agent);
  const manifest = {
    ...{ name, version: '1.0.0', kind: 'container', container: { image, command: ['/bin/sh', '-c', script] }, environment: ['REVIEW_KEY'] },
    grants: [
      { field: 'in', access: 'read' },
      { field: 'out', access: 'write' },
    ],
    ...more,
  };
  await writeFile(join(agent, 'agent.json'), JSON.stringify(manifest));
  await stack.client.registerAgent({ entryPath: agent });
  const input = { in: join(directory.path, 'in'), out: join(directory.path, 'out', name) };
  await stack.client.deployWorkflow({ name, nodes: [{ id: 'only', agent: name, input, timeoutMs: 20_000, retry: { maxAttempts: 1 } }] });
  return (await stack.client.startRun(name, { context: {} })).id;
}
async function ended(id: string) {
  for await (const { event } of stack.client.events(id)) if (event.type === 'run.finished') break;
  const [node] = (await stack.client.run(id)).nodes;
  return node?.output ?? node?.error?.code;
}

test('sees what it was granted and nothing else, as nobody, without network, capabilities or anything to write to', async () => {
  const script = `
    cat >/tmp/input; cat ${directory.path}/in/note >/tmp/note; printf done >${directory.path}/out/walls/made
    no() { "$@" >/dev/null 2>&1 && printf yes || printf no; }
    printf '{"id":"%s","caps":"%s","privileges":"%s","net":"%s","root":"%s","in":"%s","note":"%s","key":"%s","host":"%s","socket":"%s"}' \
      "$(id -u)" "$(grep CapEff /proc/self/status | grep -o '[0-9a-f]*$')" "$(grep NoNewPrivs /proc/self/status | grep -o '.$')" \
      "$(grep -c : /proc/net/dev)" "$(no touch /x)" "$(no touch ${directory.path}/in/x)" "$(cat /tmp/note)" "$REVIEW_KEY" \
      "$(no ls ${directory.path}/data)" "$(no test -S "$HIVE_SOCKET")"`;
  expect(await ended(await contain('walls', script))).toEqual({
    ...{ id: '65532', caps: '0000000000000000', privileges: '1', net: '1', root: 'no', in: 'no', note: 'read me', key: 'k', host: 'no' },
    socket: 'yes',
  });
  expect(await readFile(join(directory.path, 'out/walls/made'), 'utf8')).toBe('done');
  expect(containers()).toEqual([]);
});

test.each([
  [
    'memory',
    { command: 'dd if=/dev/zero of=/dev/null bs=300M count=1 && echo 1', limits: { memoryBytes: 67_108_864 } },
    /OUT_OF_MEMORY|FAILED|KILLED/,
  ],
  ['output', { command: 'yes', limits: { outputBytes: 4_096 } }, /AGENT_OUTPUT_TOO_LARGE/],
  ['failure', { command: 'echo bad >&2; exit 3' }, /AGENT_FAILED/],
  ['image', { command: 'echo 1', container: { image: 'localhost/hivekeeper-absent:1' } }, /AGENT_NOT_RUNNABLE/],
] as const)('with its %s at fault fails, and leaves no container', async (name, { command, ...more }, code) => {
  expect(await ended(await contain(name, command, more))).toMatch(code);
  expect(containers()).toEqual([]);
});

test('is gone with a run that is cancelled', async () => {
  const id = await contain('cancelled', 'sleep 600');
  while (containers().length === 0) await rest();
  await stack.client.cancelRun(id);
  while (containers().length > 0) await rest();
});

test('outlives no worker that is killed: the next one removes it, and makes the attempt again', async () => {
  const id = await contain('killed', '[ "$HIVE_ATTEMPT" = 1 ] && sleep 600; echo 7');
  while (containers().length === 0) await rest();
  const [left] = containers();
  const workers = await descendants(stack.pid, 'apps/worker/src/main.ts');
  killAll(workers);
  await allGone(workers);
  while (containers().includes(left!)) await rest();
  expect(await ended(id)).toBe(7);
});
