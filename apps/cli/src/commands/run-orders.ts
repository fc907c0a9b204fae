/** Orders that one run is given. */
import { HiveError } from '@hivekeeper/contract/hive-error';
import { contextOf, payloadOf } from '../inputs.ts';
import type { Session } from '../session.ts';
import { watchRun } from '../watch.ts';
import { endOf } from './runs.ts';

/** `hive run cancel|pause|resume <id>` */
export async function orderRun(
  { client, output }: Session,
  id: string,
  { verb, reason }: { readonly verb: 'cancel' | 'pause' | 'resume'; readonly reason?: string },
): Promise<void> {
  const next = { cancel: `hive run retry ${id}`, pause: `hive run resume ${id}`, resume: `hive logs ${id} --follow` }[verb];
  const order = { cancel: client.cancelRun, pause: client.pauseRun, resume: client.resumeRun }[verb];
  const run = await order(id, reason);
  const is = { cancel: `is ${run.status}`, pause: 'is paused', resume: 'goes on' }[verb];
  output.show(run, () => `${id} ${is}.`, `${next}`);
}

/** `hive run priority <id> <priority>` */
export async function reprioritiseRun(
  { client, output }: Session,
  id: string,
  { priority, reason }: { readonly priority: string; readonly reason?: string },
): Promise<void> {
  if (!/^-?\d{1,3}$/.test(priority)) throw new HiveError('COMMAND_INVALID', `${priority} is no priority from -100 to 100`);
  const run = await client.reprioritiseRun(id, { priority: Number(priority), ...(reason !== undefined && { reason }) });
  output.show(run, () => `${id} has priority ${Number(priority)}.`, `hive why ${id}`);
}

/** Options of `hive signal`. */
export interface SignalOptions {
  readonly key?: string;
  readonly payload?: string;
  readonly idempotencyKey?: string;
}

/** `hive signal <run> <name>` */
export async function signalRun(
  { client, output, terminal }: Session,
  id: string,
  { name, key, payload, idempotencyKey }: SignalOptions & { readonly name: string },
): Promise<void> {
  const body = {
    name,
    ...(key !== undefined && { key }),
    ...(payload !== undefined && { payload: await payloadOf(payload, terminal.workingDirectory) }),
  };
  const run = await client.signalRun(id, body, { idempotencyKey });
  output.show(run, () => `${id} got the signal ${name}; it is ${run.status}.`, `hive run show ${id}`);
}

/** What every rerun takes. */
interface RerunOptions {
  readonly watch?: boolean;
  readonly idempotencyKey?: string;
}

/** Options of `hive run retry`. */
export interface RetryOptions extends RerunOptions {
  readonly fromFailed?: boolean;
}

/** `hive run retry <id>` */
export async function retryRun(session: Session, id: string, options: RetryOptions): Promise<number> {
  const { idempotencyKey, fromFailed = false } = options;
  const run = await session.client.retryRun(id, fromFailed ? { from: 'failed' } : {}, { idempotencyKey });
  return tell(session, run, { ...options, text: `${run.id} retries ${id}${fromFailed ? ' from what failed' : ''}.` });
}

/** Options of `hive run fork`. */
export interface ForkOptions extends RerunOptions {
  readonly input: readonly string[];
}

/** `hive run fork <id> <node>` */
export async function forkRun(session: Session, id: string, options: ForkOptions & { readonly node: string }): Promise<number> {
  const { idempotencyKey, input, node } = options;
  const context = input.length === 0 ? {} : { context: await contextOf(input, session.terminal.workingDirectory) };
  const run = await session.client.forkRun(id, { nodeId: node, ...context }, { idempotencyKey });
  return tell(session, run, { ...options, text: `${run.id} goes on from ${node} of ${id}.` });
}

async function tell(
  session: Session,
  run: { readonly id: string },
  { watch, text }: { readonly watch?: boolean; readonly text: string },
): Promise<number> {
  if (watch) return endOf(session, await watchRun(session, run.id));
  session.output.show(run, () => `${text}`, `hive logs ${run.id} --follow`);
  return 0;
}
