import { type AgentSpec, HiveError, type LeasedTicket } from '@hivekeeper/contract';
import { type Container, isMountable, type RunContainer } from '../../sandbox/container/index.ts';
import { giveToAgent } from '../../sandbox/process/index.ts';
import type { ExecuteKind, ExecutionHooks } from '../attempt/index.ts';
import { type CommandSources, environmentOf, graceMs, hiddenIn, maxArgumentBytes, resolveGrants, runAgent } from '../process/index.ts';

/** What agents in containers are run with. */
export interface ContainerOptions extends CommandSources {
  /** Absent where no engine works here. */
  readonly run?: RunContainer | undefined;
}

/** Runs agents of the kind `container`: as processes are, but that the image brings what they need. */
export const newContainerKind =
  (options: ContainerOptions): ExecuteKind =>
  async (task, hooks) => {
    const { run } = options;
    if (run === undefined) throw new HiveError('AGENT_NOT_RUNNABLE', 'this worker runs no containers; `hive status` says why');
    const container = containerFor(task.ticket, options, hooks.socket);
    return runAgent((heard) => run(container, heard), { task, hooks });
  };

/** @throws HiveError AGENT_NOT_RUNNABLE, PATH_NOT_ALLOWED */
function containerFor(ticket: LeasedTicket, options: ContainerOptions, socket: ExecutionHooks['socket']): Container {
  const { agent, timeoutMs } = ticket;
  const { image, command } = imageOf(agent);
  const { visiblePaths: granted, input } = resolveGrants(agent.grants, ticket.input, options.workspace);
  const [hidden] = hiddenIn(granted, options.workspace);
  if (hidden !== undefined) throw new HiveError('PATH_NOT_ALLOWED', `A granted path holds ${hidden}, which no container can be kept from.`);
  for (const { path } of granted)
    if (!isMountable(path))
      throw new HiveError('PATH_NOT_ALLOWED', `${path} cannot be mounted: its name has a comma, a quote or a line break.`);
  const place = { path: socket.directory, access: 'read' as const, isNew: true, isPrivate: true };
  for (const visible of [...granted, place]) if (visible.isNew === true) giveToAgent(visible);
  const stdin = JSON.stringify(input);
  const environment = environmentOf(ticket, Buffer.byteLength(stdin) <= maxArgumentBytes ? stdin : undefined, options);
  return {
    ...{ image, command, stdin, mounts: [...granted, place], network: agent.network },
    // The image knows where its programs are.
    environment: { ...without(environment, ['PATH', 'HOME']), HIVE_SOCKET: socket.path },
    limits: { ...agent.limits, wallTimeMs: timeoutMs, graceMs },
  };
}

const without = (variables: Readonly<Record<string, string>>, names: readonly string[]): Record<string, string> =>
  Object.fromEntries(Object.entries(variables).filter(([name]) => !names.includes(name)));

function imageOf({ name, container }: AgentSpec) {
  if (container === undefined) throw new HiveError('AGENT_NOT_RUNNABLE', `${name} is of the kind container and has no image`);
  return container;
}
