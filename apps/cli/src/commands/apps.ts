/** Commands that become another app: up, control, worker, agents over MQTT, and what is done with a backup where no control plane runs. */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { getCompileCacheDir } from 'node:module';
import { constants } from 'node:os';
import { fileURLToPath } from 'node:url';
import type { Terminal } from '../terminal.ts';

/** Options of `hive up` and `hive control`, besides the global ones. */
export interface ControlOptions {
  readonly data?: string;
  readonly json?: boolean;
  readonly port?: string;
  readonly host?: string;
  /** False with `--no-auth`. */
  readonly auth: boolean;
  readonly workers?: string;
  readonly root?: readonly string[];
  readonly backups?: string;
  /** `true` where no port was given. */
  readonly mqtt?: string | true;
}

/** Options of `hive worker`, besides the global ones. */
export interface WorkerOptions {
  readonly url: string;
  readonly token: string | undefined;
  readonly name?: string;
  readonly parallel?: string;
  readonly root?: readonly string[];
  readonly protect?: readonly string[];
  readonly label?: readonly string[];
}

/** A program to run: its arguments may be seen by anyone on the machine, its environment may not. */
export interface AppCommand {
  readonly file: string;
  readonly args: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
}

// Where MQTT is looked for.
const mqttPort = '1883';

const option = (name: string, value: string | undefined): string[] => (value === undefined ? [] : [`--${name}`, value]);
const repeated = (name: string, values: readonly string[] = []): string[] => values.flatMap((value) => option(name, value));

/** The command of a control plane with the given number of local workers where the options name none. */
export const controlCommand = (options: ControlOptions, workerCount: number, { environment }: Pick<Terminal, 'environment'>): AppCommand =>
  appCommand(
    'control',
    [
      ...option('data', options.data),
      ...option('port', options.port),
      ...option('host', options.host),
      ...option('workers', options.workers ?? (environment['HIVE_WORKERS'] ? undefined : String(workerCount))),
      ...repeated('root', options.root),
      ...option('backups', options.backups),
      ...option('mqtt', options.mqtt === true ? mqttPort : options.mqtt),
      ...(options.auth ? [] : ['--no-auth']),
      ...(options.json ? ['--json'] : []),
    ],
    environment,
  );

/** What a worker of this machine keeps from agents: what it was told, and the keys of a control plane that runs here. */
export const protectedBy = (
  given: readonly string[] | undefined,
  dataDirectory: string,
  { environment }: Pick<Terminal, 'environment'>,
): readonly string[] => [
  ...(given ?? environment['HIVE_PROTECTED']?.split(':') ?? []),
  ...(existsSync(dataDirectory) ? [dataDirectory] : []),
];

/** The command of something the control plane's program does once, and ends. */
export const offlineCommand = (args: readonly string[], isJson: boolean, { environment }: Pick<Terminal, 'environment'>): AppCommand =>
  appCommand('control', [...args, ...(isJson ? ['--json'] : [])], environment);

/** The command of a worker. */
export const workerCommand = ({ url, token, ...options }: WorkerOptions, { environment }: Pick<Terminal, 'environment'>): AppCommand =>
  appCommand(
    'worker',
    [
      ...option('url', url),
      ...option('name', options.name),
      ...option('parallel', options.parallel),
      ...repeated('root', options.root),
      ...repeated('protect', options.protect),
      ...repeated('label', options.label),
    ],
    {
      ...environment,
      ...(token !== undefined && { HIVE_TOKEN: token }),
    },
  );

/** The command of an agent of the 2389 protocol, or of what is done with its file or beside it. */
export const agentCommand = (
  args: readonly string[],
  options: Readonly<Record<string, string | boolean | undefined>>,
  { environment }: Pick<Terminal, 'environment'>,
): AppCommand => {
  const given = Object.entries(options).flatMap(([name, value]) =>
    value === true ? [`--${name}`] : typeof value === 'string' ? option(name, value) : [],
  );
  return appCommand('agent-runtime', [...args, ...given], environment);
};

function appCommand(
  app: 'control' | 'worker' | 'agent-runtime',
  args: readonly string[],
  environment: Terminal['environment'],
): AppCommand {
  const main = fileURLToPath(new URL(`../../../${app}/src/main.ts`, import.meta.url));
  const compileCache = getCompileCacheDir();
  const set = { ...(compileCache !== undefined && { NODE_COMPILE_CACHE: compileCache }), ...environment };
  return {
    file: process.execPath,
    args: [main, ...args],
    environment: Object.fromEntries(Object.entries(set).filter((entry): entry is [string, string] => entry[1] !== undefined)),
  };
}

/** Replaces this process by the program, so that no parent is left that could die before it. Returns only where that cannot be done. */
export async function become({ file, args, environment }: AppCommand): Promise<number> {
  if (process.execve !== undefined && process.platform !== 'win32') process.execve(file, [file, ...args], environment);
  const child = spawn(file, args, { env: environment, stdio: 'inherit' });
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => child.kill(signal));
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('exit', (code, signal) => resolve(code ?? 128 + constants.signals[signal ?? 'SIGTERM']));
  });
}
