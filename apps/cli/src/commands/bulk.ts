/** Orders for many runs: looked at first, then done. */
import type { BulkAnswer, BulkOrder, BulkVerb, RunStatus } from '@hivekeeper/contract';
import { HiveError } from '@hivekeeper/contract/hive-error';
import { instantOf } from '../inputs.ts';
import type { Session } from '../session.ts';

/** Options of `hive runs cancel|pause|resume|retry`. */
export interface BulkOptions {
  readonly status?: RunStatus;
  readonly workflow?: string;
  readonly createdBefore?: string;
  readonly createdAfter?: string;
  readonly reason?: string;
  readonly yes?: boolean;
  readonly expect?: string;
}

const notDone = 2;

/** `hive runs <verb>` */
export async function orderRuns(session: Session, options: BulkOptions & { readonly verb: BulkVerb }): Promise<number> {
  const { client, output, terminal } = session;
  const order = orderOf(options, terminal.clock.nowMs());
  if (options.expect !== undefined) return done(session, await client.orderRuns({ ...order, expectedCount: countOf(options.expect) }));
  const preview = await client.orderRuns(order);
  if (preview.count === 0) {
    output.show(preview, () => `No run matches that could be told to ${order.verb}.`, 'hive runs');
    return 0;
  }
  if (options.yes !== true) {
    output.say(previewText(preview));
    if (terminal.ask === undefined || output.isJson) {
      output.show(preview, () => `\nNothing was done: add --yes, or --expect ${preview.count}.`);
      return notDone;
    }
    if (!(await terminal.ask(`${title(order.verb)} ${runsText(preview.count)}?`))) return notDone;
  }
  return done(session, await client.orderRuns({ ...order, expectedCount: preview.count }));
}

function orderOf(
  { verb, status, workflow, createdBefore, createdAfter, reason }: BulkOptions & { verb: BulkVerb },
  nowMs: number,
): BulkOrder {
  return {
    verb,
    filter: {
      ...(status !== undefined && { status }),
      ...(workflow !== undefined && { workflow }),
      ...(createdBefore !== undefined && { createdBeforeMs: instantOf(createdBefore, nowMs) }),
      ...(createdAfter !== undefined && { createdAfterMs: instantOf(createdAfter, nowMs) }),
    },
    ...(reason !== undefined && { reason }),
  };
}

function countOf(text: string): number {
  if (/^\d{1,5}$/.test(text)) return Number(text);
  throw new HiveError('COMMAND_INVALID', `--expect ${text} is no number of runs`);
}

function done({ output }: Session, answer: BulkAnswer): number {
  const { DONE: doneCount = 0, ...refusals } = answer.outcomes;
  const lines = Object.entries(refusals).map(([code, count]) => `  ${count} refused it: ${code}`);
  output.show(answer, () => [`${title(answer.verb)}: done for ${runsText(doneCount)}.`, ...lines].join('\n'), 'hive runs');
  return lines.length === 0 ? 0 : 1;
}

function previewText({ verb, count, runIds }: BulkAnswer): string {
  const rest = count - runIds.length;
  return [
    `${title(verb)} would be for ${runsText(count)}:`,
    ...runIds.map((id) => `  ${id}`),
    ...(rest > 0 ? [`  and ${rest} more`] : []),
  ].join('\n');
}

const title = (verb: BulkVerb): string => `${verb.charAt(0).toUpperCase()}${verb.slice(1)}`;
const runsText = (count: number): string => (count === 1 ? '1 run' : `${count} runs`);
