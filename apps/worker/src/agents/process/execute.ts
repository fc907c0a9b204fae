import { HiveError, type JsonValue, type LeasedTicket, type Outcome } from '@hivekeeper/contract';
import type { Log } from '@hivekeeper/kernel';
import type { Command, Runner } from '../../sandbox/process/index.ts';
import { type CommandSources, commandFor, type SocketPaths } from './command.ts';
import { failed, printable } from './failure.ts';
import { type Attempt, type Capability, outcomeOf } from './outcome.ts';
import { type SchemaCheck, newSchemaCheck } from './schema.ts';
import { readStderrLine } from './stderr-lines.ts';
import { isBelow } from './workspace.ts';

/** What came of executing a ticket. `aborted`: the signal ended it, and no result is wanted. */
export type Execution = ({ readonly kind: 'finished' } & Finished) | { readonly kind: 'aborted' };

/** What an attempt came to, and what it cost where that is known: an agent that was ended may have spent more than it told. */
export interface Finished {
  readonly outcome: Outcome;
  readonly costMicroUsd?: number;
}

/** What the caller may do and hear while an agent runs. */
export interface ExecutionHooks {
  readonly signal: AbortSignal;
  readonly onProgress: (progress: JsonValue) => void;
  /** By which the agent asks its worker. */
  readonly socket: SocketPaths;
  readonly log: Log;
}

/** Does the work of a ticket. Resolves in every case; nothing of the agent is alive then. */
export type ExecuteTicket = (ticket: LeasedTicket, hooks: ExecutionHooks) => Promise<Execution>;

/** What agents are run with. */
export interface ExecutorOptions extends CommandSources {
  /** Confines; absent where the probe found no way to. */
  readonly sandbox?: Runner;
  /** For trusted agents where there is no sandbox. */
  readonly plain: Runner;
}

/** Runs agents of kind `process`. */
export function newExecutor(options: ExecutorOptions): ExecuteTicket {
  const check = newSchemaCheck();
  return async (ticket, hooks) => {
    try {
      const finished = await attempt(ticket, hooks, { ...options, check });
      return finished === undefined ? { kind: 'aborted' } : { kind: 'finished', ...finished };
    } catch (error) {
      if (HiveError.is(error)) return { kind: 'finished', ...notStarted(failed(error.code, error.message)) };
      hooks.log.error({ err: error }, 'the agent could not be run');
      return { kind: 'finished', outcome: failed('INTERNAL', error instanceof Error ? error.message : String(error)) };
    }
  };
}

async function attempt(
  ticket: LeasedTicket,
  hooks: ExecutionHooks,
  { check, ...options }: ExecutorOptions & { readonly check: SchemaCheck },
): Promise<Finished | undefined> {
  const capability = capabilityOf(ticket);
  const breach = capability?.inputSchema === undefined ? undefined : check(capability.inputSchema, ticket.input);
  if (breach !== undefined)
    return notStarted(failed('AGENT_INPUT_SCHEMA', `The input breaks the schema of ${ticket.agent.name}: ${breach}.`));
  const runner = runnerFor(ticket, options);
  const heard: Heard = {};
  const onStderrLine = (line: string) => hear(line, heard, hooks);
  const command = commandFor(ticket, options, hooks.socket);
  if (!runner.confines) refuseToHide(command);
  const result = await runner.run(command, { signal: hooks.signal, onStderrLine });
  const known = {
    ...{ timeoutMs: ticket.timeoutMs, limits: ticket.agent.limits },
    ...(capability?.outputSchema !== undefined && { outputSchema: capability.outputSchema }),
    ...(ticket.agent.successFalseFails === true && { successFalseFails: true }),
    ...(heard.told !== undefined && { told: heard.told }),
    dependsOn: ticket.agent.dependsOn ?? {},
  };
  const outcome = outcomeOf(result, known, check);
  return outcome && { outcome, ...(result.kind === 'exited' && heard.cost) };
}

/** What an agent said on stderr that counts at its end. */
interface Heard {
  told?: Exclude<Attempt['told'], undefined>;
  cost?: { readonly costMicroUsd: number };
}

function hear(text: string, heard: Heard, { onProgress, log }: ExecutionHooks): void {
  const line = readStderrLine(text);
  if (line.kind === 'progress') onProgress(line.progress);
  else log.debug({ line: printable(text) }, 'agent says');
  if (line.kind === 'error') heard.told = line;
  if (line.kind === 'cost') heard.cost = { costMicroUsd: line.microUsd };
}

const notStarted = (outcome: Outcome): Finished => ({ outcome, costMicroUsd: 0 });

function capabilityOf({ agent, action }: LeasedTicket): Capability | undefined {
  if (action === undefined || agent.capabilities.length === 0) return undefined;
  const capability = agent.capabilities.find(({ name }) => name === action);
  if (capability === undefined)
    throw new HiveError(
      'AGENT_UNKNOWN_ACTION',
      `${agent.name} has no action "${action}"; it has ${agent.capabilities.map(({ name }) => name).join(', ')}`,
    );
  return capability;
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

function runnerFor({ agent }: LeasedTicket, { sandbox, plain }: ExecutorOptions): Runner {
  if (sandbox !== undefined) return sandbox;
  if (agent.trust === 'trusted') return plain;
  throw new HiveError('SANDBOX_UNAVAILABLE', `${agent.name} is untrusted and this worker has no working sandbox.`);
}
