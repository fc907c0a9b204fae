/** The control plane as a process: arguments, signals, one line when ready. With a command it does one thing, and ends. */
import { parseArgs } from 'node:util';
import { errorBodyOf, HiveError } from '@hivekeeper/contract';
import { newLog, releaseStartMemory } from '@hivekeeper/kernel';
import { type ControlConfig, type ControlOptions, readConfig } from './config.ts';
import { type ControlPlane, startControlPlane } from './control-plane.ts';
import { restoredText, verifiedText } from './offline-report.ts';
import { restoreBackup, tryBackup } from './offline.ts';

const flags = {
  data: { type: 'string' },
  host: { type: 'string' },
  port: { type: 'string' },
  'no-auth': { type: 'boolean' },
  workers: { type: 'string' },
  root: { type: 'string', multiple: true },
  backups: { type: 'string' },
  mqtt: { type: 'string' },
  deep: { type: 'boolean', default: false },
  json: { type: 'boolean', default: false },
} as const;

/** `restore PATH`, `verify PATH`; absent where the control plane is to run. */
interface Command {
  readonly name: 'restore' | 'verify';
  readonly path: string;
  readonly isDeep: boolean;
}

interface Arguments {
  readonly options: ControlOptions;
  readonly isJson: boolean;
  readonly command: Command | undefined;
}

function readArguments(): Arguments {
  try {
    const { values, positionals } = parseArgs({ options: flags, strict: true, allowPositionals: true });
    const { data, host, port, workers, root, backups, mqtt } = values;
    return {
      isJson: values.json,
      command: commandOf(positionals, values.deep),
      options: {
        ...(data !== undefined && { dataDirectory: data }),
        ...(host !== undefined && { host }),
        ...(port !== undefined && { port }),
        ...(workers !== undefined && { workerCount: workers }),
        ...(root !== undefined && { roots: root.join(':') }),
        ...(backups !== undefined && { backupDirectory: backups }),
        ...(mqtt !== undefined && { mqttPort: mqtt }),
        ...(values['no-auth'] === true && { isOpen: 'true' }),
      },
    };
  } catch (cause) {
    throw new HiveError('CONFIGURATION_INVALID', cause instanceof Error ? cause.message : 'the arguments cannot be read', { cause });
  }
}

function commandOf([name, path, ...more]: readonly string[], isDeep: boolean): Command | undefined {
  if (name === undefined) return undefined;
  if ((name === 'restore' || name === 'verify') && path !== undefined && more.length === 0) return { name, path, isDeep };
  throw new HiveError('CONFIGURATION_INVALID', `expected restore PATH or verify PATH, not ${[name, path, ...more].join(' ').trim()}`);
}

function readyLine({ url, dataDirectory, mqttUrl }: ControlPlane, isJson: boolean): string {
  if (isJson) return JSON.stringify({ ready: true, url, dataDirectory, mqttUrl, pid: process.pid });
  const ready = `Hivekeeper ready at ${url} (data ${dataDirectory}, admin key in ${dataDirectory}/admin.key)`;
  return mqttUrl === undefined ? ready : `${ready}\nMQTT broker at ${mqttUrl} (MQTT 3.1.1, this machine only, keeps nothing on disk)`;
}

/** Does what the command says; gives the exit status. */
async function perform({ name, path, isDeep }: Command, config: ControlConfig, isJson: boolean): Promise<number> {
  // What it does is told at its end; its log is for faults.
  const log = newLog({ level: config.logLevel === 'info' ? 'warn' : config.logLevel, component: name });
  const say = (document: unknown, text: string) => process.stdout.write(`${isJson ? JSON.stringify(document, undefined, 2) : text}\n`);
  if (name === 'restore') {
    const restored = await restoreBackup(path, config, log);
    say(restored, restoredText(restored));
    return 0;
  }
  const found = await tryBackup(path, { isDeep }, log);
  say(found, verifiedText(found));
  return found.isSound ? 0 : new HiveError('BACKUP_INVALID').entry.exitCode;
}

/** On top of the drain: after that the process ends for good, whatever still hangs. */
const patienceMs = 5_000;

async function serve(config: ControlConfig, isJson: boolean): Promise<void> {
  const log = newLog({ level: config.logLevel, component: 'control' });
  const starting = startControlPlane(config, log, process.env);
  let isStopping = false;
  const stop = (reason: string) => {
    if (isStopping) return;
    isStopping = true;
    log.info({ reason }, 'stopping');
    setTimeout(() => process.exit(1), config.drainMs + patienceMs).unref();
    // What is still starting is stopped once it has: half a start has no order of stopping.
    starting
      .then((plane) => plane[Symbol.asyncDispose]())
      .then(
        () => process.exit(0),
        (error: unknown) => {
          log.error({ err: error }, 'stopping failed');
          process.exit(1);
        },
      );
  };
  process.on('SIGTERM', () => stop('SIGTERM'));
  process.on('SIGINT', () => stop('SIGINT'));
  // Started by another program of ours: its end is ours.
  process.on('disconnect', () => stop('parent gone'));
  const plane = await starting;
  if (isStopping) return;
  process.stdout.write(`${readyLine(plane, isJson)}\n`);
  releaseStartMemory();
}

async function main(): Promise<void> {
  const { options, isJson, command } = readArguments();
  const config = readConfig(options, process.env);
  if (command === undefined) await serve(config, isJson);
  else process.exitCode = await perform(command, config, isJson);
}

main().catch((error: unknown) => {
  const known = HiveError.is(error) ? error : undefined;
  if (process.argv.includes('--json')) process.stdout.write(`${JSON.stringify(errorBodyOf(known ?? new HiveError('INTERNAL')))}\n`);
  process.stderr.write(
    known === undefined
      ? `${error instanceof Error ? error.stack : String(error)}\n`
      : `${known.code}: ${known.message}\n${known.entry.remedy}\nNext: ${known.code === 'CONFIGURATION_INVALID' ? 'hive up --help' : 'hive doctor'}\n`,
  );
  process.exit(known?.entry.exitCode ?? 1);
});
