/** The control plane as a process: arguments, signals, one line when ready. */
import { parseArgs } from 'node:util';
import { errorBodyOf, HiveError } from '@hivekeeper/contract';
import { newLog } from '@hivekeeper/kernel';
import { type ControlOptions, readConfig } from './config.ts';
import { type ControlPlane, startControlPlane } from './control-plane.ts';

const flags = {
  data: { type: 'string' },
  host: { type: 'string' },
  port: { type: 'string' },
  'no-auth': { type: 'boolean' },
  workers: { type: 'string' },
  root: { type: 'string', multiple: true },
  json: { type: 'boolean', default: false },
} as const;

function readArguments(): { readonly options: ControlOptions; readonly isJson: boolean } {
  try {
    const { values } = parseArgs({ options: flags, strict: true });
    const { data, host, port, workers, root } = values;
    return {
      isJson: values.json,
      options: {
        ...(data !== undefined && { dataDirectory: data }),
        ...(host !== undefined && { host }),
        ...(port !== undefined && { port }),
        ...(workers !== undefined && { workerCount: workers }),
        ...(root !== undefined && { roots: root.join(':') }),
        ...(values['no-auth'] === true && { isOpen: 'true' }),
      },
    };
  } catch (cause) {
    throw new HiveError('CONFIGURATION_INVALID', cause instanceof Error ? cause.message : 'the arguments cannot be read', { cause });
  }
}

function readyLine(plane: ControlPlane, isJson: boolean): string {
  if (isJson) return JSON.stringify({ ready: true, url: plane.url, dataDirectory: plane.dataDirectory, pid: process.pid });
  return `Hivekeeper ready at ${plane.url} (data ${plane.dataDirectory}, admin key in ${plane.dataDirectory}/admin.key)`;
}

/** On top of the drain: after that the process ends for good, whatever still hangs. */
const patienceMs = 5_000;

async function main(): Promise<void> {
  const { options, isJson } = readArguments();
  const config = readConfig(options, process.env);
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
  if (!isStopping) process.stdout.write(`${readyLine(plane, isJson)}\n`);
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
