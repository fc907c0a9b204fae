import { spawn } from 'node:child_process';
import type { Clock } from '@hivekeeper/kernel';
import type { CommandEnd, Runner } from './command.ts';
import { type Child, type Ending, type Tree, handOverFaultOf, startFaultOf, supervise } from './supervise.ts';

/** What a plain runner needs. */
export interface PlainRunnerOptions {
  readonly clock: Clock;
  /** Absolute path of util-linux's setpriv: with it the command dies when this process does, also by SIGKILL. */
  readonly setprivPath?: string;
}

/**
 * Runs commands as plain children, for code that is trusted, where nothing better can be had. Bounds time, output and
 * environment, and kills the process group; keeps no file, no network and no descendant that left its group away.
 */
export function newPlainRunner({ clock, setprivPath }: PlainRunnerOptions): Runner {
  return {
    confines: false,
    run: async (command, hooks) => {
      const [file, ...args] = [
        ...(setprivPath === undefined ? [] : [setprivPath, '--pdeathsig', 'KILL', '--']),
        command.file,
        ...command.args,
      ];
      const child = spawn(file ?? command.file, args, {
        cwd: command.workingDirectory,
        env: command.environment,
        detached: true,
        stdio: ['pipe', 'pipe', 'pipe'],
      });
      const fault = startFaultOf(child);
      if (fault !== undefined) return { kind: 'not-started', reason: await fault, stdout: Buffer.alloc(0), stderrTail: '' };
      const ending = await supervise({ child, tree: groupOf(child), command, hooks, clock });
      return { ...endOf(ending), stdout: ending.stdout, stderrTail: ending.stderrTail };
    },
  };
}

/** The process group that `detached` made: its id is the child's pid, and stays reserved while a member lives. */
function groupOf(child: Child): Tree {
  const signal = (name: NodeJS.Signals) => {
    try {
      if (child.pid !== undefined) process.kill(-child.pid, name);
    } catch {
      // ESRCH: nobody of the group is left.
    }
  };
  return { terminate: () => signal('SIGTERM'), kill: () => signal('SIGKILL') };
}

function endOf({ stop, exitCode, signal, stderrTail }: Ending): CommandEnd {
  if (stop !== undefined) return { kind: stop };
  if (signal !== null) return { kind: 'signalled', signal };
  const fault = handOverFaultOf(exitCode, stderrTail);
  if (fault !== undefined) return { kind: 'not-started', reason: fault };
  return { kind: 'exited', exitCode: exitCode ?? 1 };
}
