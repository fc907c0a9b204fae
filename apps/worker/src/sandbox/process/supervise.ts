import type { ChildProcessByStdio } from 'node:child_process';
import type { Readable, Writable } from 'node:stream';
import type { Clock } from '@hivekeeper/kernel';
import { captureLines, captureOutput } from './capture.ts';
import type { Command, CommandHooks } from './command.ts';

/** What a runner started. Both calls may come at any time, and again. */
export interface Tree {
  /** Asks the command to end. */
  terminate(): void;
  /** Ends everything the command started, at once. */
  kill(): void;
}

/** Why the supervisor ended a command. */
export type Stop = 'timed-out' | 'aborted' | 'output-too-large';

/** How the child ended, before a runner makes sense of it. */
export interface Ending {
  readonly stop?: Stop;
  readonly exitCode: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: Buffer;
  readonly stderrTail: string;
}

/** A child process with the three pipes of every command. */
export type Child = ChildProcessByStdio<Writable, Readable, Readable>;

/** A started child and all that watches over it. */
export interface Supervision {
  readonly child: Child;
  readonly tree: Tree;
  readonly command: Command;
  readonly hooks: CommandHooks;
  readonly clock: Clock;
}

/** A descendant that escaped the tree may hold the pipes open; its output is not waited for longer than this. */
const lingerMs = 250;

/** Feeds stdin, bounds time and output, and resolves when the child has ended and its tree was killed. */
export async function supervise({ child, tree, command, hooks, clock }: Supervision): Promise<Ending> {
  const { limits } = command;
  using cleanup = new DisposableStack();
  let stop: Stop | undefined;
  const halt = (reason: Stop) => {
    if (stop !== undefined) return;
    stop = reason;
    if (reason === 'output-too-large') return tree.kill();
    tree.terminate();
    cleanup.use(clock.after(limits.graceMs, () => tree.kill()));
  };
  const exit = new Promise<Pick<Ending, 'exitCode' | 'signal'>>((resolve) =>
    child.once('exit', (exitCode, signal) => resolve({ exitCode, signal })),
  );
  const close = new Promise<void>((resolve) => child.once('close', () => resolve()));
  const stdout = captureOutput(child.stdout, limits.outputBytes, () => halt('output-too-large'));
  const stderrTail = captureLines(child.stderr, hooks.onStderrLine);
  cleanup.use(clock.after(limits.wallTimeMs, () => halt('timed-out')));
  cleanup.defer(onceAborted(hooks.signal, () => halt('aborted')));
  // The command may end without reading its input.
  child.stdin.on('error', () => undefined).end(command.stdin);

  const end = await exit;
  tree.kill();
  await Promise.race([close, new Promise<void>((resolve) => cleanup.use(clock.after(lingerMs, resolve)))]);
  child.stdout.destroy();
  child.stderr.destroy();
  return { ...end, ...(stop !== undefined && { stop }), stdout: stdout(), stderrTail: stderrTail() };
}

function onceAborted(signal: AbortSignal, callback: () => void): () => void {
  signal.addEventListener('abort', callback, { once: true });
  if (signal.aborted) callback();
  return () => signal.removeEventListener('abort', callback);
}

/** The reason for which no process came to be: no such program, no permission, no process or descriptor left. */
export function startFaultOf(child: {
  readonly pid?: number | undefined;
  once(event: 'error', listener: (error: Error) => void): unknown;
}): Promise<string> | undefined {
  if (child.pid !== undefined) return undefined;
  return new Promise((resolve) => child.once('error', (error) => resolve(error.message)));
}

/** The same, told by a program of util-linux that was to become the command and could not. */
export function handOverFaultOf(exitCode: number | null | undefined, stderrTail: string): string | undefined {
  const isFault = (exitCode === 126 || exitCode === 127) && /^(setpriv|prlimit): failed to execute/.test(stderrTail);
  return isFault ? stderrTail.trim() : undefined;
}
