import { type DestinationStream, type Logger, pino } from 'pino';

/** Object first, then the sentence: `log.info({ runId }, 'run accepted')`. */
export type Log = Logger;

/** How a process logs. */
export interface LogOptions {
  readonly level: string;
  readonly component: string;
  /** Where lines go; stderr when absent, because stdout belongs to results. */
  readonly destination?: DestinationStream;
}

// Whatever a caller logs by mistake, these never reach a line.
const secretPaths = [
  'authorization',
  'headers.authorization',
  '*.headers.authorization',
  'token',
  '*.token',
  'apiKey',
  '*.apiKey',
  'password',
  '*.password',
  'cookie',
  '*.cookie',
];

/** A JSON logger (one line an event, epoch milliseconds, names of levels). */
export function newLog({ level, component, destination }: LogOptions): Log {
  return pino(
    {
      level,
      base: { component },
      formatters: { level: (label) => ({ level: label }) },
      redact: { paths: secretPaths, censor: '[redacted]' },
    },
    destination ?? standardError(),
  );
}

/** What cannot be written is lost: a full disk behind the log must not end the process. */
function standardError(): DestinationStream {
  const stream = pino.destination({ dest: 2, sync: true });
  stream.on('error', () => {});
  return stream;
}
