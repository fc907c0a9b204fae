import { HiveError, type LeasedTicket } from '@hivekeeper/contract';
import type { Command, CommandHooks, CommandResult, Runner } from '../../sandbox/process/index.ts';
import { type ExecuteKind, type Execution, type ExecutionHooks, printable, type Task, type Told } from '../attempt/index.ts';
import { type CommandSources, commandFor } from './command.ts';
import { type Attempt, outcomeOf } from './outcome.ts';
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
    return runAgent((heard) => runner.run(command, heard), { task, hooks });
  };

/** Runs what prints an agent's document, and makes an outcome of how it ends. */
export async function runAgent(
  run: RunHeard,
  { task, hooks }: { readonly task: Task; readonly hooks: ExecutionHooks },
): Promise<Execution> {
  const { result, cost, ...attempt } = await runHeard(run, { ticket: task.ticket, hooks });
  const outcome = outcomeOf(result, { ...attempt, rules: task.rules }, task.check);
  return outcome === undefined ? { kind: 'aborted' } : { kind: 'finished', outcome, ...cost };
}

/** Starts a command or a container, with the hooks that it is to be heard and ended by. */
export type RunHeard = (hooks: CommandHooks) => Promise<CommandResult>;

/** How an agent's command ended, what it said that counts, and what is known of it to judge that by. */
export interface HeardCommand extends Attempt {
  readonly result: CommandResult;
  /** Absent where it was ended before it could say all. */
  readonly cost?: { readonly costMicroUsd: number } | undefined;
}

/** Runs something for an agent, and hears what it says on stderr. */
export async function runHeard(
  run: RunHeard,
  { ticket, hooks }: { readonly ticket: LeasedTicket; readonly hooks: ExecutionHooks },
): Promise<HeardCommand> {
  const { agent, timeoutMs } = ticket;
  const heard: Heard = {};
  const onStderrLine = (line: string) => hear(line, heard, hooks);
  const result = await run({ signal: hooks.signal, onStderrLine });
  const { limits, dependsOn = {} } = agent;
  return { result, timeoutMs, limits, dependsOn, told: heard.told, cost: result.kind === 'exited' ? heard.cost : undefined };
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
