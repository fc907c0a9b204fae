/** What can be typed. Each command's module is loaded when it is called, and no sooner: `hive --version` loads none. */
import { Command, Option } from 'commander';
import { type Act, collect } from './act.ts';
import { addAgent } from './program-agent.ts';
import { addBackups } from './program-backups.ts';
import { addCosts } from './program-models.ts';
import { addApprovals, addBreakers, addBudgets, addDeadTickets, addEffects, addKeys } from './program-people.ts';
import { addRegistry } from './program-registry.ts';
import { addRun, addRuns } from './program-runs.ts';
import { addEvents, addSchedules } from './program-time.ts';
import type { GlobalOptions } from './session.ts';
import type { Terminal } from './terminal.ts';

/** The commands, and the exit status the last one ended with. */
export interface Program {
  readonly command: Command;
  readonly exitCode: () => number;
}

/** The whole command line on a terminal. */
export function programFor(terminal: Terminal, version: string): Program {
  let exitCode = 0;
  const command = new Command('hive')
    .description('Run a fleet of AI agents, and keep it running.')
    .version(version, '-V, --version')
    .option('--json', 'print one JSON document (NDJSON where it streams)')
    .option('--url <url>', 'control plane (HIVE_URL, default http://127.0.0.1:9002)')
    .option('--token-file <path>', 'file with the API key (else HIVE_TOKEN, else admin.key in the data directory)')
    .option('--data <dir>', 'data directory (HIVE_DATA, default .hivekeeper)')
    .helpCommand(false)
    .configureHelp({ showGlobalOptions: true })
    .showHelpAfterError(false);
  const act: Act =
    (work) =>
    async (...received) => {
      // Commander passes the arguments, then the options, then the command.
      const self = received.at(-1) as Command;
      const options = self.optsWithGlobals() as GlobalOptions;
      const { openSession } = await import('./session.ts');
      exitCode = (await work(openSession(terminal, options), options as never, ...(self.processedArgs as string[]))) ?? 0;
    };
  const aboutWork = [
    addRun,
    addRuns,
    addAgents,
    addWorkflows,
    addApprovals,
    addBreakers,
    addKeys,
    addBudgets,
    addDeadTickets,
    addEffects,
    addCosts,
    addSchedules,
    addEvents,
  ];
  for (const add of [addStacks, addAgent, ...aboutWork, addRegistry, addBackups, addInsight]) add(command, act);
  return { command, exitCode: () => exitCode };
}

function addStacks(hive: Command, act: Act): void {
  hive
    .command('demo')
    .argument('[path]', 'repository to review (default: this checkout)')
    .description('start everything, review a repository, show what was found')
    .option('--keep', 'leave the stack up until Ctrl-C')
    .action(
      act<import('./commands/demo.ts').DemoOptions>(async (session, options, path) =>
        (await import('./commands/demo.ts')).demo(session, { ...options, ...(path !== undefined && { path }) }),
      ),
    );
  const control = (name: string, description: string) =>
    hive
      .command(name)
      .description(description)
      .option('--port <n>', 'port to listen on (default 9002)')
      .option('--host <address>', 'address to listen on (default 127.0.0.1)')
      .option('--no-auth', 'serve loopback callers without a key')
      .option('--root <dir>', 'directory below which agents may be granted paths; repeatable', collect)
      .option('--backups <dir>', 'directory for backups (default: backups in the data directory)')
      .option('--mqtt [port]', 'run an MQTT 3.1.1 broker too, for this machine only, that keeps nothing on disk (default 1883)');
  const start = (workerCount: number) =>
    act<import('./commands/apps.ts').ControlOptions>(async (session, options) => {
      const { become, controlCommand } = await import('./commands/apps.ts');
      return become(controlCommand(options, workerCount, session.terminal));
    });
  control('up', 'run control plane, worker and database').option('--workers <n>', 'worker processes (default 1)').action(start(1));
  control('control', 'run a control plane without workers').action(start(0));
  hive
    .command('worker')
    .description('run a worker for a control plane')
    .option('--token <key>', 'API key; others on this machine can see it, so prefer HIVE_TOKEN or --token-file')
    .option('--name <name>', 'name of the worker')
    .option('--parallel <n>', 'most agents at a time')
    .option('--root <dir>', 'directory below which agents may be granted paths; repeatable', collect)
    .option('--protect <dir>', 'directory that no agent may see; repeatable, the data directory is one', collect)
    .option('--label <label>', 'what only some workers have, for nodes that require it; repeatable', collect)
    .action(
      act<{ readonly token?: string; readonly protect?: readonly string[] }>(async ({ terminal, url, token, dataDirectory }, options) => {
        const { become, protectedBy, workerCommand } = await import('./commands/apps.ts');
        const protect = protectedBy(options.protect, dataDirectory, terminal);
        return become(workerCommand({ ...options, url, protect, token: options.token ?? token }, terminal));
      }),
    );
}

function addAgents(hive: Command, act: Act): void {
  const agents = hive.command('agents').description('list, register and remove agents');
  agents
    .command('list', { isDefault: true })
    .description('all agents')
    .action(act(async (session) => (await import('./commands/agents.ts')).listAgents(session)));
  agents
    .command('register <path>')
    .description('register the agent in a directory with agent.json, or in one file')
    .option('--name <name>', 'name of an agent that is one file')
    .action(
      act<{ readonly name?: string }>(async (session, options, path = '') =>
        (await import('./commands/agents.ts')).registerAgent(session, path, options),
      ),
    );
  agents
    .command('remove <name>')
    .description('remove an agent')
    .action(act(async (session, _options, name = '') => (await import('./commands/agents.ts')).removeAgent(session, name)));
  agents
    .command('versions <name>')
    .description('the versions of an agent, and how new runs are shared among them')
    .option('--add <path>', 'keep the version that lies there beside the current one')
    .action(
      act<{ readonly add?: string }>(async (session, options, name = '') =>
        (await import('./commands/agents.ts')).agentVersions(session, name, options),
      ),
    );
  agents
    .command('rollout <name> [version=weight...]')
    .description('share new runs among versions (1.0.0=90 2.0.0=10); without any, all get the current one')
    .action(
      act(async (session, _options, ...typed) => {
        const [name = '', ...weights] = typed.flat();
        return (await import('./commands/agents.ts')).rollOutAgent(session, name, weights);
      }),
    );
}

function addWorkflows(hive: Command, act: Act): void {
  const workflows = hive.command('workflows').description('validate, deploy, list, show and draw workflows');
  const load = () => import('./commands/workflows.ts');
  workflows
    .command('list', { isDefault: true })
    .description('all workflows')
    .action(act(async (session) => (await load()).listWorkflows(session)));
  workflows
    .command('validate <file>')
    .description('check a workflow (JSON, YAML, TypeScript) without storing it')
    .action(act(async (session, _options, file = '') => (await load()).validateWorkflow(session, file)));
  workflows
    .command('deploy <file>')
    .description('store a new version of a workflow')
    .action(act(async (session, _options, file = '') => (await load()).deployWorkflow(session, file)));
  workflows
    .command('show <name>')
    .description('a workflow as YAML')
    .option('--revision <n>', 'this version instead of the newest')
    .action(
      act<{ readonly revision?: string }>(async (session, options, name = '') => (await load()).showWorkflow(session, name, options)),
    );
  workflows
    .command('graph <file|name>')
    .description('a workflow as a tree and as a Mermaid flowchart')
    .addOption(new Option('--format <format>', 'only one of them').choices(['tree', 'mermaid']))
    .action(
      act<{ readonly format?: string }>(async (session, options, source = '') => (await load()).graphWorkflow(session, source, options)),
    );
}

function addInsight(hive: Command, act: Act): void {
  hive
    .command('why <id>')
    .description('the one thing an unfinished run waits for')
    .action(act(async (session, _options, id = '') => (await import('./commands/insight.ts')).why(session, id)));
  hive
    .command('logs <run>')
    .description('what happened in a run')
    .option('--follow', 'keep printing until the run ends')
    .action(
      act<{ readonly follow?: boolean }>(async (session, options, id = '') =>
        (await import('./commands/insight.ts')).logs(session, id, options),
      ),
    );
  hive
    .command('status')
    .description('the control plane, its runs and its workers')
    .action(act(async (session) => (await import('./commands/insight.ts')).status(session)));
  hive
    .command('doctor')
    .description('what this machine has and lacks to run Hivekeeper')
    .action(act(async (session) => (await import('./commands/doctor.ts')).doctor(session)));
}
