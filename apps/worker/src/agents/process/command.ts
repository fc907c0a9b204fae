import { accessSync, constants, realpathSync } from 'node:fs';
import { join } from 'node:path';
import { type AgentSpec, HiveError, type LeasedTicket } from '@hivekeeper/contract';
import type { Command, VisiblePath } from '../../sandbox/process/index.ts';
import type { SocketPaths } from '../attempt/index.ts';
import { resolveGrants } from './grants.ts';
import { type Runtime, type Runtimes, agentSearchPath } from './runtimes.ts';
import { surroundingsOf } from './surroundings.ts';
import { type Workspace, hiddenIn, isBelow, isProtected, waysTo } from './workspace.ts';

/** What this worker has, to make commands from. */
export interface CommandSources {
  readonly runtimes: Runtimes;
  readonly workspace: Workspace;
  /** The worker's own environment; an agent sees of it what its manifest declares. */
  readonly environment: Readonly<Record<string, string | undefined>>;
}

/**
 * The kernel refuses a single argument or variable above 128 KB (MAX_ARG_STRLEN). A longer input travels by stdin alone,
 * and `AGENT_INPUT` and the argument are absent; stdin always carries it.
 */
export const maxArgumentBytes = 100_000;
/** Between SIGTERM and SIGKILL. */
export const graceMs = 500;
const mebibyte = 1024 * 1024;
// Ours hold credentials of the worker; the others would steer the programs that start the agent, some of them as root.
const withheld = /^(HIVE_|LD_|NODE_OPTIONS$|PATH$|HOME$)/;

/**
 * Turns a ticket into the command that does it. The working directory is the agent's own.
 *
 * @throws HiveError AGENT_NOT_RUNNABLE, PATH_NOT_ALLOWED
 */
export function commandFor(ticket: LeasedTicket, sources: CommandSources, socket: SocketPaths): Command {
  const { agent } = ticket;
  const { directory, entry } = locate(agent);
  if (isProtected(directory, sources.workspace)) throw notRunnable(`${directory} of ${agent.name} is kept from agents`);
  const runtime = runtimeOf(agent, entry, sources.runtimes);
  const { visiblePaths: granted, input } = resolveGrants(agent.grants, ticket.input, sources.workspace);
  const inputText = JSON.stringify(input);
  const argument = Buffer.byteLength(inputText) <= maxArgumentBytes ? inputText : undefined;
  const own = agent.isSingleFile === true ? entry : directory;
  const readable = [own, ...surroundingsOf(directory, own), ...runtime.paths];
  const visible = [...readable.map((path) => ({ path, access: 'read' as const })), ...granted];
  const hiddenPaths = hiddenIn(visible, sources.workspace);
  return {
    file: runtime.file,
    args: [...runtime.args, ...(argument === undefined ? [] : [argument])],
    environment: { ...environmentOf(ticket, argument, sources), HIVE_SOCKET: socket.path },
    workingDirectory: directory,
    stdin: inputText,
    visiblePaths: merged([
      ...visible,
      ...waysTo(hiddenPaths, visible),
      { path: socket.directory, access: 'read', isNew: true, isPrivate: true },
    ]),
    hiddenPaths,
    network: agent.network,
    limits: { ...agent.limits, wallTimeMs: ticket.timeoutMs, graceMs },
  };
}

/** One entry a path: named twice, the wider access holds. */
export function merged(paths: readonly VisiblePath[]): readonly VisiblePath[] {
  const entries = new Map<string, VisiblePath>();
  for (const visible of paths) if (entries.get(visible.path)?.access !== 'write') entries.set(visible.path, visible);
  return [...entries.values()];
}

const notRunnable = (message: string) => new HiveError('AGENT_NOT_RUNNABLE', message);

function locate({ kind, directory, entry, name }: AgentSpec): { readonly directory: string; readonly entry: string } {
  if (kind !== 'process' || directory === undefined) throw notRunnable(`${name} is of kind ${kind}; a worker runs agents of kind process`);
  const real = canonical(directory, name);
  const file = canonical(join(real, entry), name);
  if (!isBelow(file, real)) throw notRunnable(`the entry of ${name} lies outside its directory`);
  return { directory: real, entry: file };
}

function canonical(path: string, name: string): string {
  try {
    return realpathSync(path);
  } catch {
    throw notRunnable(`${path} of agent ${name} is not present on this worker`);
  }
}

type Start = Runtime & { readonly args: readonly string[] };

function runtimeOf({ runtime, name, limits }: AgentSpec, entry: string, { node, python }: Runtimes): Start {
  switch (runtime) {
    case 'node':
      if (/\.[cm]?ts$/.test(entry) && entry.includes('/node_modules/'))
        throw notRunnable(`${entry}: Node runs no TypeScript below node_modules; register ${name} from its own directory`);
      return {
        ...node,
        args: ['--disable-warning=ExperimentalWarning', `--max-old-space-size=${heapMebibytes(limits.memoryBytes)}`, entry],
      };
    case 'python':
      if (python === undefined) throw notRunnable(`${name} needs python3, and there is none on this worker's PATH`);
      return { ...python, args: [entry] };
    case 'exec':
      if (!isExecutable(entry)) throw notRunnable(`${entry} is not executable`);
      return { file: entry, args: [], paths: node.paths };
  }
}

/** V8 must collect before the group's limit kills it: it gets three quarters, the rest is for buffers and code. */
const heapMebibytes = (memoryBytes: number): number => Math.max(16, Math.floor((memoryBytes * 0.75) / mebibyte));

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** What an agent sees of the environment: what it declares, and what we say. */
export function environmentOf(
  ticket: LeasedTicket,
  argument: string | undefined,
  { runtimes, environment }: Pick<CommandSources, 'runtimes' | 'environment'>,
): Readonly<Record<string, string>> {
  const declared = ticket.agent.environment
    .filter((name) => !withheld.test(name))
    .flatMap((name) => {
      const value = environment[name];
      return value === undefined ? [] : [[name, value] as const];
    });
  return {
    ...Object.fromEntries(declared),
    PATH: agentSearchPath(runtimes),
    HOME: '/tmp',
    LANG: 'C.UTF-8',
    HIVE_RUN_ID: ticket.runId,
    HIVE_NODE_ID: ticket.nodeId,
    HIVE_ATTEMPT: String(ticket.attempt),
    ...(ticket.action !== undefined && { HIVE_ACTION: ticket.action }),
    ...(argument !== undefined && { AGENT_INPUT: argument }),
  };
}
