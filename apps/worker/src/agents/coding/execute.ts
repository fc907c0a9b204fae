import { type AgentSpec, type Coding, HiveError, type LeasedTicket } from '@hivekeeper/contract';
import type { Clock } from '@hivekeeper/kernel';
import type { Room } from '../../room/index.ts';
import type { Command, CommandResult, Runner } from '../../sandbox/process/index.ts';
import { type ExecuteKind, type Execution, type ExecutionHooks, failed, judge, type Task } from '../attempt/index.ts';
import {
  type CommandSources,
  environmentOf,
  failureOf,
  graceMs,
  hiddenIn,
  isBelow,
  merged,
  resolveGrants,
  runHeard,
  surroundingsOf,
  waysTo,
} from '../process/index.ts';
import { type Checkout, differenceCommand, gitVariables, layOut, prepareCommand, type Reading } from './checkout.ts';
import { outputOf, readDifference } from './difference.ts';
import { type Filled, filled, refOf } from './filled.ts';
import { directoryOf, type Program, programOf } from './program.ts';

/** What coding agents are run with. */
export interface CodingOptions extends CommandSources {
  /** Absent where the probe found no way to confine: then none is run. */
  readonly sandbox?: Runner;
  /** Where checkouts lie. */
  readonly room: Room;
  /** PATH, on which programs are looked for. */
  readonly searchPath: string;
  readonly clock: Clock;
}

/** Everything that is known before anything is made. */
interface Plan {
  readonly task: Task;
  readonly hooks: ExecutionHooks;
  readonly runner: Runner;
  /** The agent's own. */
  readonly directory: string;
  readonly program: Program;
  readonly words: Filled;
  readonly repository: Reading;
  readonly ref: string;
  /** What the manifest's own grants make visible. */
  readonly granted: ReturnType<typeof resolveGrants>['visiblePaths'];
}

/** Runs agents of the kind `coding`: a checkout, the command in it, and what it changed; nothing of that stays behind. */
export const newCodingKind =
  (options: CodingOptions): ExecuteKind =>
  async (task, hooks) => {
    const plan = planOf(task, hooks, options);
    await using cleanup = new AsyncDisposableStack();
    const place = options.room.makePlace();
    // An agent may leave what this account cannot remove; its result counts all the same, and the sweep tries again.
    cleanup.defer(async () => {
      try {
        await place[Symbol.asyncDispose]();
      } catch (error) {
        hooks.log.warn({ err: error }, 'a checkout stays behind');
      }
    });
    // Awaited here: the place is gone at the end of this scope.
    return await new Attempt(plan, options, place.directory).execute();
  };

/** @throws HiveError SANDBOX_UNAVAILABLE, AGENT_NOT_RUNNABLE, AGENT_INPUT_SCHEMA, PATH_NOT_ALLOWED */
function planOf(task: Task, hooks: ExecutionHooks, options: CodingOptions): Plan {
  const { agent, input } = task.ticket;
  if (options.sandbox === undefined)
    throw new HiveError('SANDBOX_UNAVAILABLE', `${agent.name} writes code and this worker has no working sandbox.`);
  const coding = codingOf(agent);
  const directory = directoryOf(agent, options.workspace);
  const { visiblePaths: granted, input: resolved } = resolveGrants(agent.grants, input, options.workspace);
  const words = filled(coding, resolved);
  return {
    ...{ task, hooks, runner: options.sandbox, words, granted },
    directory,
    program: programOf(words.program, directory, options.searchPath),
    repository: repositoryOf(coding, task.ticket, options),
    ref: refOf(coding, input),
  };
}

function codingOf({ name, coding }: AgentSpec): Coding {
  if (coding === undefined) throw new HiveError('AGENT_NOT_RUNNABLE', `${name} is of the kind coding and has no command`);
  return coding;
}

function repositoryOf({ repositoryField: field }: Coding, { input }: LeasedTicket, { workspace }: CodingOptions): Reading {
  const { visiblePaths } = resolveGrants([{ field, access: 'read' }], input, workspace);
  const [repository] = visiblePaths;
  if (repository === undefined) throw new HiveError('AGENT_INPUT_SCHEMA', `The input has no "${field}", which names the repository.`);
  const hiddenPaths = hiddenIn(visiblePaths, workspace);
  return { path: repository.path, visiblePaths: merged([...visiblePaths, ...waysTo(hiddenPaths, visiblePaths)]), hiddenPaths };
}

/** One attempt in its place. */
class Attempt {
  readonly #plan: Plan;
  readonly #options: CodingOptions;
  readonly #directory: string;
  readonly #checkout: Checkout;
  readonly #startedAtMs: number;

  constructor(plan: Plan, options: CodingOptions, directory: string) {
    this.#plan = plan;
    this.#options = options;
    this.#directory = directory;
    this.#checkout = layOut(directory);
    this.#startedAtMs = options.clock.monotonicMs();
  }

  async execute(): Promise<Execution> {
    const { runner, hooks, repository, ref, task } = this.#plan;
    const prepared = await runner.run(prepareCommand(this.#frame(), { directory: this.#directory, repository, ref }), hooks);
    const unprepared = this.#endOf(prepared, 'REPOSITORY_UNUSABLE', 'git could not make a checkout.');
    if (unprepared !== undefined) return unprepared;
    const [base = '', objects = ''] = prepared.stdout.toString().trim().split('\n');
    if (!isBelow(objects, repository.path)) return finished(failed('REPOSITORY_UNUSABLE', `Its objects lie elsewhere, in ${objects}.`));

    const { result, cost, ...attempt } = await runHeard((heard) => runner.run(this.#command(objects), heard), {
      ticket: task.ticket,
      hooks,
    });
    if (result.kind === 'aborted') return { kind: 'aborted' };
    const failure = failureOf(result, attempt);
    if (failure !== undefined) return { ...finished(failure), ...cost };

    const { tree } = this.#checkout;
    const compared = await runner.run(differenceCommand(this.#frame(), { directory: this.#directory, tree, base, objects }), hooks);
    const uncompared = this.#endOf(compared, 'AGENT_OUTPUT_INVALID', 'What the agent left behind cannot be compared.');
    if (uncompared !== undefined) return uncompared.kind === 'finished' ? { ...uncompared, ...cost } : uncompared;
    const difference = readDifference(compared.stdout);
    if (difference === undefined) return { ...finished(failed('AGENT_OUTPUT_INVALID', 'The diff is not UTF-8.')), ...cost };
    return { kind: 'finished', outcome: judge(outputOf(difference, { base, said: result.stdout }), task.rules, task.check), ...cost };
  }

  /** What all three commands share; they have the ticket's time together. */
  #frame(): Pick<Command, 'environment' | 'limits'> {
    const { ticket } = this.#plan.task;
    const elapsedMs = this.#options.clock.monotonicMs() - this.#startedAtMs;
    const environment = environmentOf({ ...ticket, agent: { ...ticket.agent, environment: [] } }, undefined, this.#options);
    return {
      environment: { ...environment, ...gitVariables(this.#checkout) },
      limits: { ...ticket.agent.limits, wallTimeMs: Math.max(1, Math.ceil(ticket.timeoutMs - elapsedMs)), graceMs },
    };
  }

  /** The agent sees its tree, the objects that it borrows, its own directory and program, and what it was granted. */
  #command(objects: string): Command {
    const { task, directory, program, words, granted, hooks } = this.#plan;
    const { agent } = task.ticket;
    const { limits, environment } = this.#frame();
    const { tree, configFile } = this.#checkout;
    const readable = [directory, ...surroundingsOf(directory), ...program.paths, configFile, objects];
    const visible = [...readable.map((path) => ({ path, access: 'read' as const })), ...granted];
    const hiddenPaths = hiddenIn(visible, this.#options.workspace);
    return {
      file: program.file,
      args: words.args,
      environment: { ...environment, ...environmentOf(task.ticket, undefined, this.#options), HIVE_SOCKET: hooks.socket.path },
      workingDirectory: tree,
      stdin: words.stdin,
      visiblePaths: merged([
        ...visible,
        ...waysTo(hiddenPaths, visible),
        { path: tree, access: 'write' },
        { path: hooks.socket.directory, access: 'read', isNew: true, isPrivate: true },
      ]),
      hiddenPaths,
      network: agent.network,
      limits,
    };
  }

  /** What a step of ours comes to that did not go well. */
  #endOf(result: CommandResult, code: 'REPOSITORY_UNUSABLE' | 'AGENT_OUTPUT_INVALID', message: string): Execution | undefined {
    if (result.kind === 'aborted') return { kind: 'aborted' };
    if (result.kind === 'exited') return result.exitCode === 0 ? undefined : finished(failed(code, message, result.stderrTail));
    const { limits } = this.#plan.task.ticket.agent;
    const failure = failureOf(result, { timeoutMs: this.#plan.task.ticket.timeoutMs, limits });
    return failure && finished(failure);
  }
}

const finished = (outcome: ReturnType<typeof failed>): Execution => ({ kind: 'finished', outcome });
