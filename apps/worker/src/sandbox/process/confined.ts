import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { constants } from 'node:os';
import type { Readable } from 'node:stream';
import type { Clock, Log } from '@hivekeeper/kernel';
import { type BubblewrapFeatures, type SystemView, confinementArguments, etcDirectory, inMountOrder } from './bubblewrap.ts';
import { type Cgroup, type CgroupSite, taskAllowance } from './cgroup.ts';
import type { Command, CommandEnd, CommandHooks, CommandResult, Runner, VisiblePath } from './command.ts';
import { type Identity, chooseIdentity, culpritAmong } from './identity.ts';
import { type Child, type Ending, type Tree, handOverFaultOf, startFaultOf, supervise } from './supervise.ts';
import { giveAway, openPaths } from './visible.ts';

/** What the probe found to confine with. */
export interface Confinement {
  readonly clock: Clock;
  readonly log: Log;
  readonly bubblewrapPath: string;
  readonly features: BubblewrapFeatures;
  readonly system: SystemView;
  /** Where limits are enforced; without it {@link prlimitPath} bounds each process by itself. */
  readonly cgroups?: CgroupSite;
  readonly prlimitPath?: string;
  /** Set where this process is root and can hand the command to somebody else. */
  readonly setprivPath?: string;
}

/** Largest file a command may write, in the shell's units of 512 bytes: 4 GiB. Nothing else bounds a granted directory. */
const maxFileBlocks = 8_388_608;
const maxOpenFiles = 4_096;
/** V8 alone maps about 0.6 GiB of private memory before it runs a line (measured: it dies at 400 MB, starts at 600 MB). */
const runtimeReserveBytes = 1024 * 1024 * 1024;

// The shell, not we, joins the groups: a process that moves itself before it starts anything leaves no moment in which
// a child is outside. Agents are the first that the kernel ends when the whole machine runs out of memory.
const launcher = `ulimit -c 0; ulimit -f ${maxFileBlocks}; ulimit -n ${maxOpenFiles} 2>/dev/null
{ echo 500 >/proc/self/oom_score_adj; } 2>/dev/null
while [ "$1" != -- ]; do echo 0 >"$1" || exit 126; shift; done
shift
exec "$@"`;

/**
 * Runs commands in bubblewrap inside a control group of their own. When `run` resolves, nothing that the command started
 * is alive: its pid namespace died with it, and the group was killed. The same holds soon after this process dies, in
 * whatever way (`--die-with-parent`).
 */
export function newConfinedRunner(confinement: Confinement): Runner {
  return { confines: true, run: (command, hooks) => runConfined(confinement, command, hooks) };
}

async function runConfined(options: Confinement, command: Command, hooks: CommandHooks): Promise<CommandResult> {
  try {
    const identity = identityFor(options, command);
    using paths = openPaths(options.features.canBindDescriptors ? inMountOrder(command.visiblePaths) : []);
    return await runAs(options, command, { hooks, identity, descriptors: paths.descriptors });
  } catch (error) {
    // A path that is not there or not what it was, no descriptor or group to be had: nothing of the command ran.
    return notStarted(error instanceof Error ? error.message : String(error));
  }
}

interface Launch {
  readonly hooks: CommandHooks;
  readonly identity: Identity | undefined;
  readonly descriptors: readonly number[];
}

async function runAs(options: Confinement, command: Command, { hooks, identity, descriptors }: Launch): Promise<CommandResult> {
  const group = options.cgroups?.create(command.limits);
  try {
    const [file = '', ...args] = commandLine(options, command, { group, identity });
    const child = spawn(file, args, {
      cwd: '/',
      env: command.environment,
      detached: true,
      stdio: ['pipe', 'pipe', 'pipe', 'pipe', ...descriptors],
    });
    const fault = startFaultOf(child);
    if (fault !== undefined) return notStarted(await fault);
    const status = readStatus(child.stdio[3] as Readable);
    const tree = treeOf(child as unknown as Child, status, group);
    const ending = await supervise({ child: child as unknown as Child, tree, command, hooks, clock: options.clock });
    return { ...endOf(ending, status(), group?.hadMemoryKill() ?? false), stdout: ending.stdout, stderrTail: ending.stderrTail };
  } finally {
    group?.killAll();
    await group?.remove();
  }
}

const notStarted = (reason: string): CommandResult => ({ kind: 'not-started', reason, stdout: Buffer.alloc(0), stderrTail: '' });

/** Undefined: stay who we are. */
function identityFor({ setprivPath, log }: Confinement, { visiblePaths }: Command): Identity | undefined {
  if (setprivPath === undefined) return undefined;
  const paths: readonly VisiblePath[] = [...visiblePaths, { path: etcDirectory, access: 'read' }];
  const identity = chooseIdentity(paths);
  if (identity === undefined)
    throw new RangeError(
      `no account can use ${culpritAmong(paths)?.path} and whatever else the agent is to see: let others read it, or move it`,
    );
  if (identity.uid === 0) log.info({ paths: visiblePaths }, 'a path is for root only: the agent runs as root without capabilities');
  for (const visible of visiblePaths) if (visible.isNew === true) giveAway(visible, identity);
  return identity;
}

function commandLine(
  options: Confinement,
  command: Command,
  { group, identity }: { readonly group: Cgroup | undefined; readonly identity: Identity | undefined },
): readonly string[] {
  const { setprivPath, prlimitPath, bubblewrapPath } = options;
  return [
    ...['/bin/sh', '-c', launcher, 'sh', ...(group?.joinFiles ?? []), '--'],
    ...(setprivPath === undefined || identity === undefined
      ? []
      : [setprivPath, '--reuid', String(identity.uid), '--regid', String(identity.gid), '--clear-groups', '--']),
    ...[bubblewrapPath, '--json-status-fd', '3', ...confinementArguments(command, options.system, options.features), '--'],
    ...(group !== undefined || prlimitPath === undefined ? [] : [prlimitPath, ...processLimits(command), '--']),
    ...[command.file, ...command.args],
  ];
}

/**
 * Without a control group. Set inside the user namespace, because there the kernel counts the command's processes alone.
 * Memory is bounded per process and generously (RLIMIT_AS would break V8, see {@link runtimeReserveBytes}); cpu not at all.
 */
const processLimits = ({ limits }: Command): readonly string[] => [
  `--nproc=${limits.maxProcesses + taskAllowance}`,
  `--data=${limits.memoryBytes + runtimeReserveBytes}`,
];

/** bubblewrap's report: the pid of the namespace's first process, and later, only if the command did start, its status. */
interface Status {
  readonly initPid?: number;
  readonly exitCode?: number;
}

function readStatus(stream: Readable): () => Status {
  let text = '';
  stream.on('data', (chunk: Buffer) => (text += chunk.toString('latin1'))).on('error', () => undefined);
  const numberAfter = (name: string) => {
    const found = new RegExp(`"${name}": (\\d+)`).exec(text)?.[1];
    return found === undefined ? undefined : Number(found);
  };
  return () => {
    const [initPid, exitCode] = [numberAfter('child-pid'), numberAfter('exit-code')];
    return { ...(initPid !== undefined && { initPid }), ...(exitCode !== undefined && { exitCode }) };
  };
}

function treeOf(child: Child, status: () => Status, group: Cgroup | undefined): Tree {
  return {
    // bubblewrap passes no signal on, and the namespace's first process is its own: the command is that one's child.
    terminate: () => {
      const { initPid } = status();
      if (initPid !== undefined) for (const pid of childrenOf(initPid)) signal(pid, 'SIGTERM');
    },
    // The namespace dies with bubblewrap; the group also catches what had not yet entered the namespace.
    kill: () => {
      child.kill('SIGKILL');
      group?.killAll();
    },
  };
}

function childrenOf(pid: number): readonly number[] {
  try {
    return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean).map(Number);
  } catch {
    return [];
  }
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch {
    // ESRCH: it ended by itself.
  }
}

/** What the ending means. A status above 128 is bubblewrap's way of naming the signal that ended the command. */
function endOf(ending: Pick<Ending, 'stop' | 'signal' | 'stderrTail'>, { exitCode }: Status, hadMemoryKill: boolean): CommandEnd {
  if (ending.stop !== undefined) return { kind: ending.stop };
  // A command that lost a helper to the limit and still ended well did its work.
  if (hadMemoryKill && exitCode !== 0) return { kind: 'out-of-memory' };
  const fault = handOverFaultOf(exitCode, ending.stderrTail);
  if (fault !== undefined) return { kind: 'not-started', reason: fault };
  if (exitCode !== undefined) {
    const signalName = Object.entries(constants.signals).find(([, number]) => number === exitCode - 128)?.[0];
    return signalName === undefined ? { kind: 'exited', exitCode } : { kind: 'signalled', signal: signalName };
  }
  if (ending.signal !== null) return { kind: 'signalled', signal: ending.signal };
  return { kind: 'not-started', reason: ending.stderrTail.trim() || 'bubblewrap ended without a word' };
}
