import type { RunView } from '@hivekeeper/contract';
import { exitCodeOf } from '../failure.ts';
import { contextOf } from '../inputs.ts';
import type { Session } from '../session.ts';
import { nextAfterRun, runText, runsTable } from '../views/run.ts';
import { statusText } from '../views/words.ts';
import { watchRun } from '../watch.ts';

/** Options of `hive run <workflow>`. */
export interface StartOptions {
  readonly input: readonly string[];
  readonly watch?: boolean;
  readonly idempotencyKey?: string;
}

/** `hive run <workflow>` */
export async function startRun(session: Session, workflow: string, options: StartOptions): Promise<number> {
  const context = await contextOf(options.input, session.terminal.workingDirectory);
  const { idempotencyKey } = options;
  const run = await session.client.startRun(workflow, { context }, idempotencyKey === undefined ? {} : { idempotencyKey });
  if (options.watch) {
    session.output.say(run.id);
    return endOf(session, await watchRun(session, run.id));
  }
  session.output.show(run, () => `${run.id}`, `hive run show ${run.id}, hive logs ${run.id} --follow, hive why ${run.id}`);
  return 0;
}

/** Says how a watched run ended; the exit status is its error's. */
export function endOf({ output }: Session, run: RunView): number {
  const reason = run.error === undefined ? '' : `  ${run.error.code}: ${run.error.message}`;
  output.record({ type: 'run', run });
  output.say(`\n${statusText(run.status, output.colors)}  ${run.id}${reason}`);
  output.hint(`hive run show ${run.id}`);
  return run.status === 'SUCCESS' ? 0 : exitCodeOf(run.error?.code ?? '');
}

/** Options of `hive runs`. */
export interface ListOptions {
  readonly status?: RunView['status'];
  readonly workflow?: string;
  readonly limit?: string;
}

/** `hive runs` */
export async function listRuns({ client, output, terminal }: Session, { status, workflow, limit }: ListOptions): Promise<void> {
  const runs = await client.listRuns({
    ...(status !== undefined && { status }),
    ...(workflow !== undefined && { workflow }),
    limit: Number(limit ?? 20),
  });
  if (runs.length === 0) output.show(runs, () => 'No runs.', 'hive run <workflow>');
  else output.show(runs, () => runsTable(runs, terminal.clock.nowMs(), output.colors));
}

/** `hive run show <id>` */
export async function showRun({ client, output }: Session, id: string): Promise<void> {
  const run = await client.run(id);
  output.show(run, () => runText(run, output), nextAfterRun(run));
}
