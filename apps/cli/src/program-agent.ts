/** What can be typed about agents over MQTT (the 2389 protocol). They are programs of their own, which these commands become. */
import type { Command } from 'commander';
import type { Act } from './act.ts';
import type { Session } from './session.ts';

interface RunOptions {
  readonly port?: string;
  readonly host?: string;
  readonly state?: string;
  readonly drainMs?: string;
}

type Given = Readonly<Record<string, string | boolean | undefined>>;

async function becomeAgent({ terminal }: Session, args: readonly string[], options: Given = {}): Promise<number> {
  const { agentCommand, become } = await import('./commands/apps.ts');
  return become(agentCommand(args, options, terminal));
}

/** `hive agent …` */
export function addAgent(hive: Command, act: Act): void {
  const agent = hive.command('agent').description('agents over MQTT: run one, check its file');
  agent
    .command('run')
    .argument('[file]', 'TOML file of the agent', 'agent.toml')
    .description('run an agent until it is told to stop')
    .option('--port <n>', 'port of its health and metrics (HEALTH_PORT, default 8080)')
    .option('--host <address>', 'address they listen on (HEALTH_HOST, default 127.0.0.1)')
    .option('--state <dir>', 'directory of its journal, one per replica (HIVE_AGENT_STATE)')
    .option('--drain-ms <n>', 'how long tasks under way may still take when it stops (default 30000)')
    .action(
      act<RunOptions>(async (session, { port, host, state, drainMs }, file = '') =>
        becomeAgent(session, ['run', file], { port, host, state, 'drain-ms': drainMs }),
      ),
    );
  agent
    .command('validate')
    .argument('[file]', 'TOML file of the agent', 'agent.toml')
    .description('check the file of an agent; exit status 0 or 1')
    .action(act<{ readonly json?: boolean }>(async (session, { json }, file = '') => becomeAgent(session, ['validate', file], { json })));
  agent
    .command('config')
    .argument('[file]', 'TOML file of the agent', 'agent.toml')
    .description('check the file of an agent as validate does')
    .option('--show', 'print it with its defaults')
    .action(
      act<{ readonly json?: boolean; readonly show?: boolean }>(async (session, { json, show }, file = '') =>
        becomeAgent(session, [show === true ? 'config' : 'validate', file], { json }),
      ),
    );
}
