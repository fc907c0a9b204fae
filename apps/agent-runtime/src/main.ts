/**
 * An agent of the 2389 protocol as a process: `run FILE`, `validate FILE`, `config FILE`. Logs are JSON lines on stdout.
 *
 * Ends with 0 after a drain (SIGTERM or SIGINT; a second one ends it at once with 1), 1 where its file, a tool or its model
 * cannot be used, 2 where an option or variable is wrong.
 */
import { parseArgs } from 'node:util';
import { HiveError, errorBodyOf } from '@hivekeeper/contract';
import { systemClock, systemRandom } from '@hivekeeper/kernel';
import { stringify } from 'smol-toml';
import { startAgent } from './agent.ts';
import { readAgentFile } from './config/index.ts';
import { newAgentLog } from './observe/index.ts';
import { readAgentSettings } from './settings.ts';
import { openTools } from './tools/index.ts';

const say = (text: string): void => void process.stdout.write(`${text}\n`);

interface Arguments {
  readonly command: string;
  readonly path: string;
  readonly options: Readonly<Record<string, string | undefined>>;
  readonly isJson: boolean;
}

function readArguments(): Arguments {
  const text = { type: 'string' } as const;
  const options = { port: text, host: text, state: text, 'drain-ms': text, json: { type: 'boolean', default: false } } as const;
  try {
    const { values, positionals } = parseArgs({ options, strict: true, allowPositionals: true });
    const [command = 'run', path = 'agent.toml'] = positionals;
    const { port, host, state, 'drain-ms': drainMs } = values;
    return { command, path, isJson: values.json, options: { healthPort: port, healthHost: host, state, drainMs } };
  } catch (cause) {
    throw new HiveError('CONFIGURATION_INVALID', cause instanceof Error ? cause.message : 'the arguments cannot be read', { cause });
  }
}

async function run({ path, options }: Arguments): Promise<number> {
  const settings = readAgentSettings(options, process.env);
  const log = newAgentLog({
    ...{ level: settings.logLevel, format: settings.logFormat, clock: systemClock },
    write: (line) => void process.stdout.write(line),
  });
  const file = readAgentFile(path);
  log.info('Configuration loaded', { path, agent_id: file.agent.id });
  const asked = Promise.withResolvers<string>();
  let requests = 0;
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.on(signal, () => {
      requests += 1;
      if (requests > 1) process.exit(1);
      asked.resolve(signal);
    });
  }
  // Whoever rotates logs by it must not end the agent: they are on stdout, so there is nothing to reopen.
  process.on('SIGUSR1', () => log.info('SIGUSR1: logs are on stdout, nothing to rotate'));
  const agent = await startAgent({ file, settings, environment: process.env, clock: systemClock, random: systemRandom, log });
  log.info('Stopping', { signal: await asked.promise });
  await agent.drain();
  return 0;
}

/** Checks the file as `run` would, and what of its tools can be checked without starting any. */
function validate({ path, isJson }: Arguments): number {
  const file = readAgentFile(path);
  openTools(file, { environment: process.env, clock: systemClock });
  say(isJson ? JSON.stringify({ valid: true, agentId: file.agent.id }) : `${path}: agent ${file.agent.id} is valid`);
  return 0;
}

function show({ path, isJson }: Arguments): number {
  const file = readAgentFile(path);
  say(isJson ? JSON.stringify(file, undefined, 2) : stringify(file));
  return 0;
}

async function perform(args: Arguments): Promise<number> {
  if (args.command === 'run') return run(args);
  if (args.command === 'validate') return validate(args);
  if (args.command === 'config') return show(args);
  throw new HiveError('CONFIGURATION_INVALID', `expected run, validate or config, not "${args.command}"`);
}

// A reader that has seen enough is no reason to stop working.
process.stdout.on('error', () => {});
const keepAlive = setInterval(() => undefined, 60_000);
try {
  process.exitCode = await perform(readArguments());
} catch (error) {
  const known = HiveError.is(error)
    ? error
    : new HiveError('INTERNAL', error instanceof Error ? error.message : String(error), { cause: error });
  process.stderr.write(`${JSON.stringify({ level: 'ERROR', ...errorBodyOf(known) })}\n`);
  process.exitCode = known.entry.exitCode;
}
clearInterval(keepAlive);
process.exit();
