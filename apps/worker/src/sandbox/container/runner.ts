import { randomUUID } from 'node:crypto';
import { constants } from 'node:os';
import type { Log } from '@hivekeeper/kernel';
import type { CommandEnd, CommandHooks, CommandResult, Runner } from '../process/index.ts';
import type { Container, Engine } from './container.ts';
import { ask, ownerOf, remove } from './engine.ts';
import { runArguments } from './run-arguments.ts';

/** Runs containers. When it resolves the container is gone. */
export type RunContainer = (container: Container, hooks: CommandHooks) => Promise<CommandResult>;

/**
 * Runs containers by the engine's command line, which `plain` bounds in time and output. What a killed worker leaves runs on
 * until the next one starts on the machine and sweeps: an engine knows nothing of our death.
 */
export const newContainerRunner =
  (engine: Engine, { plain, log }: { readonly plain: Runner; readonly log: Log }): RunContainer =>
  async (container, hooks) => {
    const name = `hive-${randomUUID()}`;
    const command = {
      ...{ file: engine.file, args: runArguments(container, { name, owner: ownerOf() }), workingDirectory: '/' },
      // The engine's own come last: nothing that an agent is given may steer its command line.
      environment: { ...container.environment, ...engine.environment },
      ...{ stdin: container.stdin, visiblePaths: [], hiddenPaths: [], network: true, limits: container.limits },
    };
    const result = await plain.run(command, hooks);
    const wasOutOfMemory = result.kind === 'exited' && result.exitCode === killed && (await hadMemoryKill(engine, name));
    await remove(engine, name).catch((error: unknown) => log.warn({ err: error, name }, 'a container stays behind'));
    return { ...endOf(result, wasOutOfMemory), stdout: result.stdout, stderrTail: result.stderrTail };
  };

const killed = 128 + constants.signals.SIGKILL;

/** Not every engine says so (Podman 4 on control groups of version 1 does not): then it is just a SIGKILL. */
const hadMemoryKill = async (engine: Engine, name: string): Promise<boolean> =>
  (await ask(engine, ['inspect', '--format', '{{.State.OOMKilled}}', name]).catch(() => '')).trim() === 'true';

/** What the exit status of `run` means: 125 to 127 are the engine's own, above 128 stands the signal. */
export function endOf(result: CommandEnd & { readonly stderrTail: string }, wasOutOfMemory: boolean): CommandEnd {
  if (wasOutOfMemory) return { kind: 'out-of-memory' };
  if (result.kind !== 'exited') return result;
  const { exitCode, stderrTail } = result;
  if (exitCode >= 125 && exitCode <= 127) return { kind: 'not-started', reason: stderrTail.trim() || `the engine ended with ${exitCode}` };
  const signal = Object.entries(constants.signals).find(([, number]) => number === exitCode - 128)?.[0];
  return signal === undefined ? { kind: 'exited', exitCode } : { kind: 'signalled', signal };
}
