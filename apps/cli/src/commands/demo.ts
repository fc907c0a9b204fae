import { existsSync, mkdirSync, statSync } from 'node:fs';
import { join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Failure, RunView } from '@hivekeeper/contract';
import { HiveError } from '@hivekeeper/contract/hive-error';
import type { Colors } from '../output.ts';
import { openSession, type Session } from '../session.ts';
import { type Stack, startStack } from '../stack.ts';
import { findingsText, reviewOf } from '../views/findings.ts';
import { durationText, statusText } from '../views/words.ts';
import { watchRun } from '../watch.ts';
import { controlCommand } from './apps.ts';

/** Options of `hive demo`. */
export interface DemoOptions {
  readonly path?: string;
  readonly data?: string;
  readonly keep?: boolean;
}

const checkout = fileURLToPath(new URL('../../../..', import.meta.url)).replace(/\/$/, '');
const workflow = 'repo-review';
const maxShown = 20;
const interrupted = 130;

/** `hive demo`: starts a stack of its own, reviews a repository, shows what was found, stops the stack. */
export async function demo(session: Session, options: DemoOptions): Promise<number> {
  const { terminal, output } = session;
  const target = targetOf(resolve(terminal.workingDirectory, options.path ?? checkout));
  const data = options.data === undefined ? join(checkout, '.hivekeeper', 'demo') : resolve(terminal.workingDirectory, options.data);
  const reports = join(data, 'reports', new Date(terminal.clock.nowMs()).toISOString().slice(0, 19).replaceAll(':', '-'));
  mkdirSync(reports, { recursive: true });

  const interrupt = new AbortController();
  const onSignal = () => interrupt.abort(new HiveError('SHUTTING_DOWN', 'the demo was interrupted'));
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, onSignal);
  try {
    await using stack = await startedStack(session, { data, target, signal: interrupt.signal });
    const local = openSession(terminal, { url: stack.url, data, json: output.isJson });
    const run = await review(local, { target, reports, signal: interrupt.signal });
    if (run === undefined) return interrupted;
    tell(local, { run, stack, data, keep: options.keep === true });
    if (options.keep)
      await Promise.race([
        stack.ended,
        new Promise<void>((done) => interrupt.signal.addEventListener('abort', () => done(), { once: true })),
      ]);
    else output.say(output.colors.dim('\nStopping…'));
    return run.status === 'SUCCESS' ? 0 : 1;
  } catch (error) {
    if (interrupt.signal.aborted) return interrupted;
    throw error;
  } finally {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.removeListener(signal, onSignal);
  }
}

function targetOf(path: string): string {
  if (existsSync(path) && statSync(path).isDirectory()) return path;
  throw new HiveError('COMMAND_INVALID', `${path} is not a directory`);
}

async function startedStack(
  { terminal, output }: Session,
  { data, target, signal }: { readonly data: string; readonly target: string; readonly signal: AbortSignal },
): Promise<Stack> {
  const command = controlCommand({ data, json: true, port: '0', auth: true, workers: '1', root: [target] }, 1, terminal);
  const starting = 'Starting PostgreSQL, control plane and worker';
  const spinner = output.isLive ? (await import('@clack/prompts')).spinner() : undefined;
  spinner?.start(starting);
  if (spinner === undefined) output.say(starting);
  const beganMs = terminal.clock.monotonicMs();
  try {
    const stack = await startStack(command, { logFile: join(data, 'control.log'), clock: terminal.clock, signal });
    const ready = `Ready in ${durationText(terminal.clock.monotonicMs() - beganMs)} at ${stack.url}`;
    spinner?.stop(ready);
    if (spinner === undefined) output.say(ready);
    return stack;
  } catch (error) {
    spinner?.error('It did not start');
    throw error;
  }
}

/** Runs the review to its end; undefined where it was interrupted. */
async function review(
  session: Session,
  { target, reports, signal }: { readonly target: string; readonly reports: string; readonly signal: AbortSignal },
): Promise<RunView | undefined> {
  const started = await session.client.startRun(workflow, { context: { target, outputDirectory: reports } });
  session.output.say(`Reviewing ${target}  ${session.output.colors.dim(started.id)}\n`);
  const run = await watchRun(session, started.id, { signal });
  return signal.aborted ? undefined : run;
}

function tell(
  { output, terminal }: Session,
  { run, stack, data, keep }: { readonly run: RunView; readonly stack: Stack; readonly data: string; readonly keep: boolean },
): void {
  const { findings, reports } = reviewOf(run);
  const { colors, widthColumns } = output;
  output.record({
    type: 'demo',
    status: run.status,
    runId: run.id,
    durationMs: run.durationMs,
    error: run.error,
    findingCount: findings.length,
    findings,
    reports,
    url: stack.url,
  });
  if (run.status === 'SUCCESS') output.say(`\n${findingsText(findings, { colors, widthColumns, maxShown })}`);
  output.say(
    `\n${statusText(run.status, colors)} in ${durationText(run.durationMs ?? 0)}${run.error === undefined ? '' : `  ${reasonOf(run.error, colors)}`}`,
  );
  for (const path of reports) output.say(`report   ${path}`);
  output.say(`API      ${stack.url}/v1/openapi.json${keep ? '' : colors.dim('  (until the demo ends; --keep leaves it up)')}`);
  const near = relative(terminal.workingDirectory, data);
  const place = `--data ${near.startsWith('..') ? data : near}`;
  for (const line of nextCommands(run, keep ? `--url ${stack.url} ${place}` : place, keep)) output.say(line);
}

function reasonOf({ code, message, nodeId, excerpt }: Failure, colors: Colors): string {
  const end = excerpt === undefined ? '' : `\n${colors.dim(excerpt.trimEnd())}`;
  return `${nodeId === undefined ? '' : `${nodeId}: `}${code}, ${message}${end}`;
}

function nextCommands(run: RunView, options: string, isUp: boolean): string[] {
  const commands = [...(isUp ? [] : ['up']), `run show ${run.id}`, `logs ${run.id}`, `workflows graph ${workflow}`];
  const title = isUp ? `The stack stays up; Ctrl-C stops it (or: kill ${process.pid}). In another terminal:` : 'Next:';
  return ['', title, ...commands.map((command) => `  npx hive ${command} ${options}`)];
}
