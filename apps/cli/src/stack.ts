import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { isErrorCode } from '@hivekeeper/contract/error-codes';
import { HiveError } from '@hivekeeper/contract/hive-error';
import type { Clock } from '@hivekeeper/kernel/clock';
import type { AppCommand } from './commands/apps.ts';

/** A control plane with its workers and database, started by this process and ended with it. */
export interface Stack extends AsyncDisposable {
  readonly url: string;
  readonly dataDirectory: string;
  /** Resolves when the stack has ended, whoever ended it. */
  readonly ended: Promise<void>;
}

const maxLogExcerpt = 2_000;
// A draining control plane gives itself 30 s.
const stopPatienceMs = 35_000;

/**
 * Starts a stack and waits until it is ready; its log goes to `logFile`. The channel between the two processes closes
 * when this one dies, however it dies, and the control plane stops by itself.
 * @throws HiveError with the code the control plane gave, INTERNAL where it gave none
 */
export async function startStack(
  command: AppCommand,
  { logFile, clock, signal }: { readonly logFile: string; readonly clock: Clock; readonly signal: AbortSignal },
): Promise<Stack> {
  const log = openSync(logFile, 'w');
  // A process group of its own: Ctrl-C reaches this process only, which then stops the stack once.
  const child = spawn(command.file, command.args, { env: command.environment, stdio: ['ignore', 'pipe', log, 'ipc'], detached: true });
  closeSync(log);
  const ended = once(child, 'exit').then(() => undefined);
  const stop = () => stopChild(child, ended, clock);
  try {
    const ready = await Promise.race([
      readyLine(child),
      ended.then(() => Promise.reject(faultIn(readFileSync(logFile, 'utf8')))),
      whenAborted(signal),
    ]);
    return { ...ready, ended, [Symbol.asyncDispose]: stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function readyLine({ stdout }: ChildProcess): Promise<Pick<Stack, 'url' | 'dataDirectory'>> {
  if (stdout === null) throw new HiveError('INTERNAL', 'the control plane has no output');
  for await (const line of createInterface({ input: stdout })) {
    const { url, dataDirectory } = JSON.parse(line) as Partial<Stack>;
    // The other line there may be is the error, which its log has too.
    if (url !== undefined && dataDirectory !== undefined) return { url, dataDirectory };
  }
  // The output ends before the process does; its end says why.
  return new Promise(() => undefined);
}

const whenAborted = (signal: AbortSignal): Promise<never> =>
  new Promise((_resolve, reject) => {
    if (signal.aborted) reject(signal.reason);
    else signal.addEventListener('abort', () => reject(signal.reason), { once: true });
  });

/** The error a control plane that did not start left in its log: the last line `CODE: message`. */
export function faultIn(log: string): HiveError {
  const told = log.split('\n').findLast((line) => isErrorCode(line.split(':')[0] ?? ''));
  const [code = '', ...rest] = told?.split(':') ?? [];
  if (isErrorCode(code)) return new HiveError(code, rest.join(':').trim());
  return new HiveError('INTERNAL', `the control plane ended before it was ready: ${log.slice(-maxLogExcerpt).trim()}`);
}

async function stopChild(child: ChildProcess, ended: Promise<void>, clock: Clock): Promise<void> {
  child.kill('SIGTERM');
  const patience = clock.after(stopPatienceMs, () => child.kill('SIGKILL'));
  await ended;
  patience.cancel();
}
