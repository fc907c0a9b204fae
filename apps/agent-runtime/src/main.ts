/**
 * An agent of the 2389 protocol as a process (`run FILE`), and what is done with its file (`validate FILE`, `config FILE`) and
 * beside it (`inject`, `monitor`). An agent's logs are JSON lines on stdout.
 *
 * Ends with 0 after a drain (SIGTERM or SIGINT; a second one ends it at once with 1), 1 where its file, a tool or its model
 * cannot be used, 2 where an option or variable is wrong.
 */
import { randomUUID } from 'node:crypto';
import { HiveError, errorBodyOf } from '@hivekeeper/contract';
import { systemClock, systemRandom } from '@hivekeeper/kernel';
import { stringify } from 'smol-toml';
import { startAgent } from './agent.ts';
import { type Arguments, monitorChoice, readArguments, waitOf } from './arguments.ts';
import { readAgentFile } from './config/index.ts';
import { inject, monitor } from './desk/index.ts';
import { newAgentLog } from './observe/index.ts';
import { readAgentSettings } from './settings.ts';
import { openTools } from './tools/index.ts';

const say = (text: string): void => void process.stdout.write(`${text}\n`);
const parts = { clock: systemClock, random: systemRandom, environment: process.env };

/** Resolves with the first request to stop; a second one ends the process. */
function stopRequest(): Promise<string> {
  const asked = Promise.withResolvers<string>();
  let requests = 0;
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.on(signal, () => {
      requests += 1;
      if (requests > 1) process.exit(1);
      asked.resolve(signal);
    });
  }
  return asked.promise;
}

async function run({ path, values }: Arguments): Promise<number> {
  const { port: healthPort, host: healthHost, state, 'drain-ms': drainMs } = values;
  const settings = readAgentSettings({ healthPort, healthHost, state, drainMs }, process.env);
  const { logLevel: level, logFormat: format } = settings;
  const log = newAgentLog({ level, format, clock: systemClock, write: (line) => void process.stdout.write(line) });
  const file = readAgentFile(path);
  log.info('Configuration loaded', { path, agent_id: file.agent.id });
  const stopped = stopRequest();
  // Whoever rotates logs by it must not end the agent: they are on stdout, so there is nothing to reopen.
  process.on('SIGUSR1', () => log.info('SIGUSR1: logs are on stdout, nothing to rotate'));
  const agent = await startAgent({ ...parts, file, settings, log });
  log.info('Stopping', { signal: await stopped });
  await agent.drain();
  return 0;
}

/** Checks the file as `run` would, and what of its tools can be checked without starting any. */
function validate({ path, isJson }: Arguments): number {
  const file = readAgentFile(path);
  openTools(file, parts);
  say(isJson ? JSON.stringify({ valid: true, agentId: file.agent.id }) : `${path}: agent ${file.agent.id} is valid`);
  return 0;
}

function show({ path, isJson }: Arguments): number {
  const file = readAgentFile(path);
  say(isJson ? JSON.stringify(file, undefined, 2) : stringify(file));
  return 0;
}

const brokerOf = ({ broker }: Arguments['values']) => ({ ...parts, url: broker ?? process.env['MQTT_URL'] ?? 'mqtt://localhost:1883' });

async function injectTask({ values, isJson }: Arguments): Promise<number> {
  const { 'agent-id': agent = '', 'conversation-id': conversation, 'tool-params': toolParams, 'next-agent': nextAgents, ...rest } = values;
  const waitMs = waitOf(values['wait-ms']);
  const injected = await inject(
    { ...rest, agent, conversation, toolParams, nextAgents },
    { ...brokerOf(values), taskId: randomUUID(), waitMs },
  );
  const { task_id, conversation_id, topic, answer } = injected;
  if (isJson) say(JSON.stringify(injected));
  else
    say(
      [`Task ${task_id} sent to ${topic}, conversation ${conversation_id}`, answer?.response ?? answer?.error?.message]
        .filter(Boolean)
        .join('\n'),
    );
  return answer?.error === undefined ? 0 : 1;
}

async function watch({ values, isJson }: Arguments): Promise<number> {
  const { 'agent-id': agent, 'conversation-id': conversation, filter } = values;
  const only = { ...(agent !== undefined && { agent }), ...(conversation !== undefined && { conversation }) };
  await monitor({ ...brokerOf(values), ...monitorChoice(values, isJson), ...only, text: filter, say, stopped: stopRequest() });
  return 0;
}

const commands: Readonly<Record<string, (given: Arguments) => number | Promise<number>>> = {
  run,
  validate,
  config: show,
  inject: injectTask,
  monitor: watch,
};

async function perform(given: Arguments): Promise<number> {
  const command = Object.hasOwn(commands, given.command) ? commands[given.command] : undefined;
  if (command !== undefined) return command(given);
  throw new HiveError('CONFIGURATION_INVALID', `expected one of ${Object.keys(commands).join(', ')}, not "${given.command}"`);
}

// A reader that has seen enough is no reason to stop working.
process.stdout.on('error', () => {});
const keepAlive = setInterval(() => undefined, 60_000);
const args = process.argv.slice(2);
try {
  process.exitCode = await perform(readArguments(args));
} catch (error) {
  const known = HiveError.is(error)
    ? error
    : new HiveError('INTERNAL', error instanceof Error ? error.message : String(error), { cause: error });
  // An agent's lines are read by programs, what commands say by people.
  const isForPrograms = args.includes('--json') || args[0] === 'run';
  const document = { timestamp: new Date(systemClock.nowMs()).toISOString(), level: 'ERROR', target: 'agent2389', ...errorBodyOf(known) };
  const text = isForPrograms ? JSON.stringify(document) : `${known.code}: ${known.message}\n\nNext: ${known.entry.remedy}`;
  process.stderr.write(`${text}\n`);
  process.exitCode = known.entry.exitCode;
}
clearInterval(keepAlive);
process.exit();
