/** Commands that only look: why, logs, status. */
import type { Status } from '@hivekeeper/contract';
import type { Colors, Output } from '../output.ts';
import type { Session } from '../session.ts';
import { runHistory } from '../views/run.ts';
import { tableText } from '../views/table.ts';
import { agoText, durationText } from '../views/words.ts';
import { watchRun } from '../watch.ts';

/** `hive why <id>` */
export async function why({ client, output }: Session, id: string): Promise<void> {
  const answer = await client.why(id);
  const since = output.colors.dim(`(${answer.status} for ${durationText(answer.sinceMs)})`);
  output.show(answer, () => `${answer.explanation} ${since}`, answer.nextCommand);
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
  const next = answer.health.ready ? undefined : 'hive doctor';
  output.show(
    answer,
    () => statusPage(answer, { url, nowMs: terminal.clock.nowMs(), output }),
    answer.workers.length === 0 ? 'hive worker --url <url>' : next,
  );
}

function statusPage(
  status: Status,
  { url, nowMs, output }: { readonly url: string; readonly nowMs: number; readonly output: Output },
): string {
  const runs = Object.entries(status.runs).map(([name, count]) => `${count} ${name}`);
  const { ready, leased, delayed } = status.tickets;
  const canaries = status.health.canaries.map((canary) => canaryText(canary, nowMs));
  const facts = [
    `control plane  ${url}, version ${status.version}, up for ${durationText(nowMs - status.startedAtMs)}, authentication ${status.authentication}`,
    `runs           ${runs.length === 0 ? 'none yet' : runs.join(', ')}`,
    `tickets        ${ready} ready, ${leased} leased, ${delayed} delayed`,
    `work           ${workText(status.health, output.colors)}`,
    ...(canaries.length === 0 ? [] : [`canaries       ${canaries.join(', ')}`]),
  ];
  const workers = status.workers.map((worker) => [
    worker.name,
    worker.state,
    `${worker.heldCount}/${worker.maxParallel}`,
    agoText(worker.lastSeenAtMs, nowMs),
    worker.capabilities.join(' '),
  ]);
  const table =
    workers.length === 0 ? 'No worker is connected.' : tableText(['WORKER', 'STATE', 'BUSY', 'SEEN', 'RUNS'], workers, output.colors);
  const lacks = status.workers.flatMap(({ name, lacks: reasons = {} }) =>
    Object.entries(reasons).map(([capability, reason]) => output.colors.dim(`${name} runs no ${capability}: ${reason}`)),
  );
  return [...facts, '', table, ...lacks].join('\n');
}

const workText = ({ ready, part, detail }: Status['health'], { green, red }: Colors): string =>
  ready ? green('moves') : `${red(`${part} stands still`)}: ${detail}`;

/** How long the last one took, and when that was. */
function canaryText({ queue, latencyMs, endedAtMs, error }: Status['health']['canaries'][number], nowMs: number): string {
  if (latencyMs === undefined || endedAtMs === undefined) return `${queue} on its way`;
  const took = error === undefined ? durationText(latencyMs) : `failed with ${error.code}`;
  return `${queue} ${took} (${agoText(endedAtMs, nowMs)})`;
}
