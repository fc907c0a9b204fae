import { execFile } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { promisify } from 'node:util';
import { findProgram } from '../process/index.ts';
import { type Engine, ownerLabel } from './container.ts';

/** An engine that runs containers here, or why none does. */
export type EngineProbe = { readonly engine: Engine } | { readonly reason: string };

// What a person configures of Podman and Docker for themselves.
const engineVariables = /^(PATH|HOME|USER|LOGNAME|TMPDIR|LANG|XDG_.*|DOCKER_.*|CONTAINER_.*|CONTAINERS_.*)$/;
const probeTimeoutMs = 15_000;
const probeImage = 'localhost/hivekeeper-probe:1';

/** Calls the engine's command line for ourselves; resolves with its stdout. */
export async function ask({ file, environment }: Engine, args: readonly string[], stdin = ''): Promise<string> {
  const asked = promisify(execFile)(file, [...args], { env: environment, timeout: probeTimeoutMs, killSignal: 'SIGKILL' });
  asked.child.stdin?.on('error', () => undefined).end(stdin);
  return (await asked).stdout;
}

/**
 * Runs one real container with each engine that is installed, Podman first, and keeps the first that works. The image is
 * empty: what runs in it is this machine's own.
 */
export async function probeEngine(environment: Readonly<Record<string, string | undefined>>): Promise<EngineProbe> {
  const kept = Object.entries(environment).flatMap(([name, value]) =>
    value !== undefined && engineVariables.test(name) ? [[name, value]] : [],
  );
  const reasons: string[] = [];
  for (const name of ['podman', 'docker'] as const) {
    const file = findProgram(name, environment['PATH'] ?? '');
    if (file === undefined) continue;
    const engine: Engine = { name, file, environment: Object.fromEntries(kept) as Record<string, string> };
    const fault = await faultOf(engine);
    if (fault === undefined) return { engine };
    reasons.push(`${name}: ${fault}`);
  }
  return { reason: reasons.length === 0 ? 'neither podman nor docker is on the PATH' : reasons.join('; ') };
}

async function faultOf(engine: Engine): Promise<string | undefined> {
  try {
    const isThere = await ask(engine, ['image', 'inspect', probeImage]).then(
      () => true,
      () => false,
    );
    // An archive with nothing in it.
    if (!isThere) await ask(engine, ['import', '-', probeImage], '\0'.repeat(1_024));
    const system = ['/usr', '/lib', '/lib64'].filter((path) => existsSync(path)).flatMap((path) => ['--volume', `${path}:${path}:ro`]);
    const limits = [
      '--memory',
      '67108864',
      '--pids-limit',
      '16',
      '--cpus',
      '0.5',
      '--ulimit',
      'nofile=4096:4096',
      '--ulimit',
      'nproc=4096:4096',
    ];
    const confined = [
      '--network',
      'none',
      '--read-only',
      '--cap-drop',
      'ALL',
      '--security-opt',
      'no-new-privileges',
      '--user',
      '65532:65532',
    ];
    await ask(engine, ['run', '--rm', '--log-driver', 'none', ...limits, ...confined, ...system, probeImage, '/usr/bin/true']);
    return undefined;
  } catch (error) {
    const { stderr, message } = error as { readonly stderr?: string; readonly message: string };
    return (stderr?.trim() || message).split('\n').at(-1)?.slice(0, 300);
  }
}

/** What containers of this process are labelled with. */
export const ownerOf = (pid: number = process.pid): string => `${hostname()}:${pid}:${startOf(pid) ?? ''}`;

/** When the kernel started a process, in ticks since boot: a pid alone may be another process's by now. */
function startOf(pid: number): string | undefined {
  try {
    return readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)?.split(' ')[19];
  } catch {
    return undefined;
  }
}

/** Ends and removes containers of workers of this machine that are no longer alive; resolves with how many. */
export async function sweepContainers(engine: Engine): Promise<number> {
  const ids = (await ask(engine, ['ps', '--all', '--quiet', '--filter', `label=${ownerLabel}`])).split('\n').filter(Boolean);
  if (ids.length === 0) return 0;
  const format = `{{.Id}} {{index .Config.Labels "${ownerLabel}"}}`;
  const lines = (await ask(engine, ['inspect', '--format', format, ...ids])).split('\n').filter(Boolean);
  const dead = lines.flatMap((line) => {
    const [id = '', owner = ''] = line.split(' ');
    return isOfDead(owner) ? [id] : [];
  });
  for (const id of dead) await remove(engine, id);
  return dead.length;
}

/** True for a process of this machine that is gone. Of another machine's, or another container's, nothing is known. */
function isOfDead(owner: string): boolean {
  const [host, pid] = owner.split(':');
  return host === hostname() && owner !== ownerOf(Number(pid));
}

/** Ends a container at once, and removes it. One that is gone already is as it should be. */
export async function remove(engine: Engine, name: string): Promise<void> {
  await ask(engine, ['kill', name]).catch(() => undefined);
  await ask(engine, ['rm', '--force', name]);
}
