import { execFile } from 'node:child_process';
import { constants, accessSync, existsSync } from 'node:fs';
import { statfs } from 'node:fs/promises';
import { connect } from 'node:net';
import { dirname } from 'node:path';
import { promisify } from 'node:util';
import type { Readiness } from '@hivekeeper/contract';
import { asHiveError } from '../failure.ts';
import type { Session } from '../session.ts';
import type { MachineFacts } from './judge.ts';

const execute = promisify(execFile);
const patienceMs = 3_000;

/** Finds the facts; changes nothing. */
export async function probeMachine(session: Session): Promise<MachineFacts> {
  const { dataDirectory, url } = session;
  const [sandboxFault, hasSetpriv, freeBytes, front, control] = await Promise.all([
    faultOf('bwrap', ['--unshare-all', '--die-with-parent', '--ro-bind', '/', '/', '--proc', '/proc', '--dev', '/dev', 'true']),
    faultOf('setpriv', ['--version']).then((fault) => fault === undefined),
    freeBytesAt(dataDirectory),
    probeFront(session),
    probeControl(session),
  ]);
  return {
    nodeVersion: process.version,
    platform: process.platform,
    sandboxFault,
    cgroup: cgroupKind(),
    hasSetpriv,
    dataDirectory,
    dataFault: dataFaultOf(dataDirectory),
    freeBytes,
    url,
    ...front,
    ...control,
  };
}

/** Why the program does not succeed; undefined where it does. */
async function faultOf(file: string, args: readonly string[]): Promise<string | undefined> {
  try {
    await execute(file, args, { timeout: patienceMs });
    return undefined;
  } catch (error) {
    const { code, stderr, message } = error as { readonly code?: unknown; readonly stderr?: string; readonly message: string };
    return code === 'ENOENT' ? `${file} is not installed` : (stderr?.trim().split('\n')[0] ?? message);
  }
}

function cgroupKind(): MachineFacts['cgroup'] {
  if (existsSync('/sys/fs/cgroup/cgroup.controllers')) return isWritable('/sys/fs/cgroup') ? 'v2' : 'read-only';
  if (existsSync('/sys/fs/cgroup/memory')) return isWritable('/sys/fs/cgroup/memory') ? 'v1' : 'read-only';
  return 'none';
}

function isWritable(path: string): boolean {
  try {
    accessSync(path, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

/** The directory itself, or the nearest above it that exists. */
function nearest(path: string): string {
  let found = path;
  while (!existsSync(found) && dirname(found) !== found) found = dirname(found);
  return found;
}

const dataFaultOf = (directory: string): string | undefined => (isWritable(nearest(directory)) ? undefined : 'not writable for this user');

async function freeBytesAt(directory: string): Promise<number> {
  const { bavail, bsize } = await statfs(nearest(directory));
  return bavail * bsize;
}

async function probeFront({ url, terminal }: Session): Promise<Pick<MachineFacts, 'port' | 'clockSkewMs' | 'readiness'>> {
  if (!(await takesConnections(url))) return { port: 'free' };
  try {
    const response = await fetch(new URL('/live', url), { signal: AbortSignal.timeout(patienceMs) });
    const date = Date.parse(response.headers.get('date') ?? '');
    await response.body?.cancel();
    if (!response.ok) return { port: 'stranger' };
    const clockSkewMs = Number.isNaN(date) ? undefined : date - terminal.clock.nowMs();
    return { port: 'control-plane', clockSkewMs, readiness: await readinessAt(url) };
  } catch (error) {
    return { port: error instanceof DOMException && error.name === 'TimeoutError' ? 'silent' : 'stranger' };
  }
}

/** What it says to anybody, also where the database is away and no key can be checked. */
async function readinessAt(url: string): Promise<Readiness | undefined> {
  const response = await fetch(new URL('/ready', url), { signal: AbortSignal.timeout(2 * patienceMs) });
  const said = (await response.json()) as Partial<Readiness>;
  return typeof said.ready === 'boolean' ? { ...said, ready: said.ready } : undefined;
}

function takesConnections(url: string): Promise<boolean> {
  const { hostname, port, protocol } = new URL(url);
  return new Promise((resolve) => {
    const socket = connect({
      host: hostname.replace(/^\[|\]$/g, ''),
      port: Number(port) || (protocol === 'https:' ? 443 : 80),
      timeout: patienceMs,
    });
    const answer = (isOpen: boolean) => {
      socket.destroy();
      resolve(isOpen);
    };
    socket.once('connect', () => answer(true));
    socket.once('error', () => answer(false));
    socket.once('timeout', () => answer(false));
  });
}

async function probeControl({ client }: Session): Promise<Pick<MachineFacts, 'control' | 'health'>> {
  try {
    const [{ version, workers }, health] = await Promise.all([client.status(), client.health()]);
    return { control: { ok: true, version, workerCount: workers.length }, health };
  } catch (error) {
    const { code, message } = asHiveError(error);
    return { control: { ok: false, code, message } };
  }
}
