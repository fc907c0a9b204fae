import type { RegisterWorker } from '@hivekeeper/contract';
import { type Log, systemClock } from '@hivekeeper/kernel';
import { findRuntimes, type Runtimes } from './agents/process/index.ts';
import { type EngineProbe, probeEngine, sweepContainers } from './sandbox/container/index.ts';
import { findProgram, probeSandbox, type SandboxProbe } from './sandbox/process/index.ts';

/** What this machine has to run agents with. */
export interface Machine {
  readonly sandbox: SandboxProbe;
  readonly runtimes: Runtimes;
  readonly engine: EngineProbe;
  /** PATH, on which programs are looked for. */
  readonly searchPath: string;
  /** The worker's own. */
  readonly environment: Readonly<Record<string, string | undefined>>;
}

/** Tries everything out, side by side, and removes what killed workers left in an engine of containers. */
export async function readMachine(log: Log, environment: Readonly<Record<string, string | undefined>>): Promise<Machine> {
  const searchPath = environment['PATH'] ?? '/usr/local/bin:/usr/bin:/bin';
  const [sandbox, runtimes, engine] = await Promise.all([
    probeSandbox({ clock: systemClock, log, searchPath }),
    findRuntimes(searchPath),
    probeEngine(environment),
  ]);
  if ('engine' in engine)
    await sweepContainers(engine.engine).catch((error: unknown) => log.warn({ err: error }, 'containers of killed workers may be left'));
  return { sandbox, runtimes, engine, searchPath, environment };
}

/** What a worker on the machine can run, and why it cannot run what others may. */
export function abilitiesOf({ sandbox, runtimes, engine }: Machine): Required<Pick<RegisterWorker, 'capabilities' | 'lacks'>> {
  const noCoding = whyNoCoding(sandbox);
  const noContainer = 'reason' in engine ? engine.reason : undefined;
  return {
    capabilities: [
      ...['node', 'exec', 'http'],
      ...(runtimes.python === undefined ? [] : ['python']),
      ...(noCoding === undefined ? ['coding'] : []),
      ...(noContainer === undefined ? ['container'] : []),
      ...(sandbox.available ? ['sandbox'] : []),
      ...(sandbox.cgroup === 'none' ? [] : ['cgroup']),
    ],
    lacks: {
      ...(noCoding !== undefined && { coding: noCoding.slice(0, longestReason) }),
      ...(noContainer !== undefined && { container: noContainer.slice(0, longestReason) }),
    },
  };
}

/** As the contract has it. */
const longestReason = 500;

/** Coding agents need a sandbox, and git where it is seen inside. */
function whyNoCoding(sandbox: SandboxProbe): string | undefined {
  if (!sandbox.available) return `no sandbox: ${sandbox.reasons.join('; ')}`;
  return findProgram('git', '/usr/local/bin:/usr/bin:/bin') === undefined ? 'git is not installed' : undefined;
}
