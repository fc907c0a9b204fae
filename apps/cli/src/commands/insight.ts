/** Commands that only look: why, logs, status. */
import type { Status } from '@hivekeeper/contract';
import type { Output } from '../output.ts';
import type { Session } from '../session.ts';
import { runHistory } from '../views/run.ts';
import { tableText } from '../views/table.ts';
import { agoText, durationText } from '../views/words.ts';
import { watchRun } from '../watch.ts';

/** `hive why <id>` */
export async function why({ client, output }: Session, id: string): Promise<void> {
  const answer = await client.why(id);
  const since = output.colors.dim(`(${answer.status} for ${durationText(answer.sinceMs)})`);
  output.show(answer, () =>
    [
      `${answer.explanation} ${since}`,
      ...(answer.nextCommand === undefined ? [] : ['', `${output.colors.dim('Next:')} ${answer.nextCommand}`]),
    ].join('\n'),
  );
}

/** `hive logs <runId>` */
export async function logs(session: Session, runId: string, { follow }: { readonly follow?: boolean }): Promise<void> {
  // A person who follows logs wants lines that stay, not a list that is redrawn.
  if (follow) return void (await watchRun({ ...session, output: { ...session.output, isLive: false } }, runId));
  const [run, approvals] = await Promise.all([session.client.run(runId), session.client.approvals({ runId })]);
  const attempts = run.nodes.flatMap((node) => node.attempts);
  session.output.show({ runId: run.id, status: run.status, attempts, approvals }, () =>
    runHistory(run, approvals, session.output.colors).join('\n'),
  );
}

/** `hive status` */
export async function status({ client, output, terminal, url }: Session): Promise<void> {
  const answer = await client.status();
  output.show(answer, () => statusPage(answer, { url, nowMs: terminal.clock.nowMs(), output }));
}

function statusPage(
  status: Status,
  { url, nowMs, output }: { readonly url: string; readonly nowMs: number; readonly output: Output },
): string {
  const runs = Object.entries(status.runs).map(([name, count]) => `${count} ${name}`);
  const { ready, leased, delayed } = status.tickets;
  const facts = [
    `control plane  ${url}, version ${status.version}, up for ${durationText(nowMs - status.startedAtMs)}, authentication ${status.authentication}`,
    `runs           ${runs.length === 0 ? 'none yet' : runs.join(', ')}`,
    `tickets        ${ready} ready, ${leased} leased, ${delayed} delayed`,
  ];
  const workers = status.workers.map((worker) => [
    worker.name,
    worker.state,
    `${worker.heldCount}/${worker.maxParallel}`,
    agoText(worker.lastSeenAtMs, nowMs),
    worker.capabilities.join(' '),
  ]);
  const table =
    workers.length === 0
      ? 'No worker is connected.\n\nNext: hive worker --url <url>'
      : tableText(['WORKER', 'STATE', 'BUSY', 'SEEN', 'RUNS'], workers, output.colors);
  return `${facts.join('\n')}\n\n${table}`;
}
