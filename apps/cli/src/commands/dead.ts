/** Tickets that failed for good. */
import type { DeadTicketView } from '@hivekeeper/contract';
import type { Session } from '../session.ts';
import { tableText } from '../views/table.ts';
import { agoText, cutText } from '../views/words.ts';
import { watchRun } from '../watch.ts';
import { endOf } from './runs.ts';

/** Options of `hive dead list`. */
export interface ListOptions {
  readonly state: 'open' | 'resolved' | 'all';
  readonly workflow?: string;
  readonly limit: string;
}

/** `hive dead list` */
export async function listDead({ client, output, terminal }: Session, { state, workflow, limit }: ListOptions): Promise<void> {
  const tickets = await client.deadTickets({ state, limit: Number(limit), ...(workflow !== undefined && { workflow }) });
  const nowMs = terminal.clock.nowMs();
  const rows = () =>
    tickets.map((dead) => [
      dead.ticketId,
      `${dead.workflowName}/${placeOf(dead)}`,
      String(dead.attempt),
      agoText(dead.diedAtMs, nowMs),
      dead.resolution ?? '',
      cutText(`${dead.error.code}: ${dead.error.message}`, 60),
    ]);
  const table = () => tableText(['TICKET', 'NODE', 'ATTEMPTS', 'DIED', 'RESOLUTION', 'ERROR'], rows(), output.colors);
  if (tickets.length === 0) output.show(tickets, () => 'No dead tickets.');
  else output.show(tickets, table, 'hive dead show <ticket>, hive dead redrive <ticket>');
}

/** `hive dead show <ticket>` */
export async function showDead({ client, output }: Session, id: string): Promise<void> {
  const dead = await client.deadTicket(id);
  const text = () => {
    const { error, action, agent } = dead;
    const facts = [
      `${dead.ticketId}  ${dead.resolution ?? 'open'}`,
      `run       ${dead.runId}`,
      `node      ${dead.workflowName}/${placeOf(dead)}, attempt ${dead.attempt}`,
      `agent     ${action === undefined ? agent : `${agent}.${action}`}`,
      `died      ${new Date(dead.diedAtMs).toISOString()}`,
      ...resolutionOf(dead),
    ];
    const excerpt = (error.excerpt ?? '').trimEnd();
    const evidence = [
      `${output.colors.red(error.code)}: ${error.message}`,
      ...(excerpt === '' ? [] : excerpt.split('\n').map((line) => output.colors.dim(`  ${line}`))),
    ];
    const input = JSON.stringify(dead.input, undefined, 2);
    return [facts.join('\n'), evidence.join('\n'), `input, secrets redacted\n${input}`].join('\n\n');
  };
  output.show(dead, text, nextAfter(dead));
}

const placeOf = ({ nodeId, slot }: DeadTicketView): string => (slot === 0 ? nodeId : `${nodeId}[${slot}]`);

function resolutionOf({ resolution, resolvedBy, resolvedAtMs = 0, redrivenRunId, reason }: DeadTicketView): string[] {
  if (resolution === undefined) return [];
  const what = redrivenRunId === undefined ? `: ${reason}` : ` as ${redrivenRunId}`;
  return [`resolved  ${resolution} by ${resolvedBy} at ${new Date(resolvedAtMs).toISOString()}${what}`];
}

function nextAfter({ ticketId, redrivenRunId, resolution }: DeadTicketView): string {
  if (redrivenRunId !== undefined) return `hive run show ${redrivenRunId}`;
  return resolution === undefined ? `hive dead redrive ${ticketId}, hive dead discard ${ticketId} --reason <why>` : 'hive dead list';
}

/** `hive dead redrive <ticket>` */
export async function redriveDead(session: Session, id: string, { watch }: { readonly watch?: boolean }): Promise<number> {
  const dead = await session.client.redriveTicket(id);
  const runId = dead.redrivenRunId ?? '';
  if (watch) return endOf(session, await watchRun(session, runId));
  session.output.show(dead, () => `${runId} goes on from what failed ${dead.runId}.`, `hive logs ${runId} --follow`);
  return 0;
}

/** `hive dead discard <ticket>` */
export async function discardDead({ client, output }: Session, id: string, { reason }: { readonly reason: string }): Promise<void> {
  const dead = await client.discardTicket(id, reason);
  output.show(dead, () => `${id} is discarded.`, 'hive dead list');
}
