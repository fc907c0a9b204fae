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
  const agent = hive.command('agent').description('agents over MQTT: run one, check its file, send tasks, watch');
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
  agent
    .command('inject')
    .description('send a task to an agent')
    .requiredOption('--agent-id <id>', 'the agent')
    .option('--message <text>', 'a task of the first version: process this message')
    .option('--query <text>', 'a task of the second version, which a router may hand on')
    .option('--conversation-id <id>', 'conversation for the answer')
    .option('--instruction <text>', 'instruction, where the usual one will not do')
    .option('--input <json>', 'input, where the usual one will not do')
    .option('--tool <name>', 'tool that the message asks for')
    .option('--tool-params <json>', 'its parameters')
    .option('--next-agent <ids>', 'agents that go on with it, separated by commas')
    .option('--wait-ms <n>', 'wait so long for the answer and print it; exit status 1 where it is an error')
    .option('--broker <url>', 'broker (MQTT_URL, default mqtt://localhost:1883; MQTT_USERNAME, MQTT_PASSWORD)')
    .action(act<Given>(async (session, options) => becomeAgent(session, ['inject'], kebab(options))));
  agent
    .command('monitor')
    .description('show what agents say, until Ctrl-C')
    .option('--mode <mode>', 'all, availability, conversations, inputs or progress (default all)')
    .option('--format <format>', 'pretty, compact or json (default pretty)')
    .option('--agent-id <id>', 'only this agent')
    .option('--conversation-id <id>', 'only this conversation')
    .option('--filter <text>', 'only messages that hold this text')
    .option('--broker <url>', 'broker (MQTT_URL, default mqtt://localhost:1883; MQTT_USERNAME, MQTT_PASSWORD)')
    .action(act<Given>(async (session, options) => becomeAgent(session, ['monitor'], kebab(options))));
}

const ofTheControlPlane: ReadonlySet<string> = new Set(['url', 'tokenFile', 'data']);

/** Options as they were typed, without those that are about a control plane. */
const kebab = (options: Given): Given =>
  Object.fromEntries(
    Object.entries(options)
      .filter(([name]) => !ofTheControlPlane.has(name))
      .map(([name, value]) => [name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`), value]),
  );
