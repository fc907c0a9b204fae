import { HiveError, type LeasedTicket } from '@hivekeeper/contract';
import type { Command, Runner } from '../../sandbox/process/index.ts';
import { type ExecuteKind, type Execution, type ExecutionHooks, printable, type Task, type Told } from '../attempt/index.ts';
import { type CommandSources, commandFor } from './command.ts';
import { outcomeOf } from './outcome.ts';
import { readStderrLine } from './stderr-lines.ts';
import { isBelow } from './workspace.ts';

/** What agents are run with. */
export interface ProcessOptions extends CommandSources {
  /** Confines; absent where the probe found no way to. */
  readonly sandbox?: Runner;
  /** For trusted agents where there is no sandbox. */
  readonly plain: Runner;
}

/** Runs agents of kind `process`. */
export const newProcessKind =
  (options: ProcessOptions): ExecuteKind =>
  async (task, hooks) => {
    const runner = runnerFor(task.ticket, options);
    const command = commandFor(task.ticket, options, hooks.socket);
    if (!runner.confines) refuseToHide(command);
    return runCommand(command, { runner, task, hooks });
  };

/** Runs a command for an agent, hears what it says, and makes an outcome of its end. */
async function runCommand(
  command: Command,
  { runner, task, hooks }: { readonly runner: Runner; readonly task: Task; readonly hooks: ExecutionHooks },
): Promise<Execution> {
  const { agent, timeoutMs } = task.ticket;
  const heard: Heard = {};
  const onStderrLine = (line: string) => hear(line, heard, hooks);
  const result = await runner.run(command, { signal: hooks.signal, onStderrLine });
  const { limits, dependsOn = {} } = agent;
  const outcome = outcomeOf(result, { timeoutMs, limits, dependsOn, rules: task.rules, told: heard.told }, task.check);
  return outcome === undefined ? { kind: 'aborted' } : { kind: 'finished', outcome, ...(result.kind === 'exited' && heard.cost) };
}

/** What an agent said on stderr that counts at its end. */
interface Heard {
  told?: Told;
  cost?: { readonly costMicroUsd: number };
}

function hear(text: string, heard: Heard, { onProgress, log }: ExecutionHooks): void {
  const line = readStderrLine(text);
  if (line.kind === 'progress') onProgress(line.progress);
  else log.debug({ line: printable(text) }, 'agent says');
  if (line.kind === 'error') heard.told = line;
  if (line.kind === 'cost') heard.cost = { costMicroUsd: line.microUsd };
}

/** Without walls nothing can be hidden. What came with the product may look around a protected directory; it may not write there. */
function refuseToHide({ visiblePaths, hiddenPaths }: Command): void {
  const wide = visiblePaths.find(({ path, access }) => access === 'write' && hiddenPaths.some((hidden) => isBelow(hidden, path)));
  if (wide !== undefined)
    throw new HiveError(
      'PATH_NOT_ALLOWED',
      `${wide.path} cannot be granted for writing: ${hiddenPaths.join(', ')} lies in it, and this worker has no sandbox to hide it.`,
    );
}

function runnerFor({ agent }: LeasedTicket, { sandbox, plain }: ProcessOptions): Runner {
  if (sandbox !== undefined) return sandbox;
  if (agent.trust === 'trusted') return plain;
  throw new HiveError('SANDBOX_UNAVAILABLE', `${agent.name} is untrusted and this worker has no working sandbox.`);
}
