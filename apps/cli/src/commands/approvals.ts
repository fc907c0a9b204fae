import type { ApprovalView } from '@hivekeeper/contract';
import { durationOf } from '../inputs.ts';
import type { Session } from '../session.ts';
import { tableText } from '../views/table.ts';
import { cutText, durationText } from '../views/words.ts';

/** `hive approvals` */
export async function listApprovals(
  { client, output, terminal }: Session,
  { status }: { readonly status: ApprovalView['status'] | 'ALL' },
): Promise<void> {
  const approvals = await client.approvals(status === 'ALL' ? {} : { status });
  const nowMs = terminal.clock.nowMs();
  const rows = () =>
    approvals.map((approval) => [
      approval.id,
      `${approval.workflowName}/${approval.nodeId}`,
      approval.action === undefined ? approval.agent : `${approval.agent}.${approval.action}`,
      approval.status,
      approval.status === 'PENDING' ? `in ${durationText(approval.expiresAtMs - nowMs)}` : '',
      cutText(approval.message ?? JSON.stringify(approval.input), 60),
    ]);
  const table = () => tableText(['APPROVAL', 'NODE', 'WOULD RUN', 'STATUS', 'EXPIRES', 'WHAT'], rows(), output.colors);
  if (approvals.length === 0) output.show(approvals, () => 'Nothing waits for approval.');
  else output.show(approvals, table, 'hive approvals show <id>, hive approve <id>, hive reject <id> --note <why>');
}

/** `hive approvals show <id>` */
export async function showApproval({ client, output, terminal }: Session, id: string): Promise<void> {
  const approval = await client.approval(id);
  const isPending = approval.status === 'PENDING';
  const next = isPending ? `hive approve ${id} --input-sha256 ${approval.inputSha256}` : `hive run show ${approval.runId}`;
  const text = () => {
    const { agent, action, message, respondedBy, notes } = approval;
    const facts = [
      `${approval.id}  ${approval.status}`,
      `run       ${approval.runId}`,
      `node      ${approval.workflowName}/${approval.nodeId}`,
      `would run ${action === undefined ? agent : `${agent}.${action}`}`,
      ...(message === undefined ? [] : [`message   ${message}`]),
      ...(isPending ? [`expires   in ${durationText(approval.expiresAtMs - terminal.clock.nowMs())}`] : []),
      ...(approval.excludeRequester ? ['not by    whoever started the run'] : []),
      ...(respondedBy === undefined ? [] : [`decided   by ${respondedBy}${notes === undefined ? '' : `: ${notes}`}`]),
      `sha256    ${approval.inputSha256}`,
    ];
    const input = `input, secrets redacted\n${JSON.stringify(approval.input, undefined, 2)}`;
    return [facts.join('\n'), input].join('\n\n');
  };
  output.show(approval, text, next);
}

/** `hive approvals link <id>` */
export async function linkApproval(
  { client, output }: Session,
  id: string,
  { expiresAfter }: { readonly expiresAfter?: string },
): Promise<void> {
  const link = await client.linkApproval(id, expiresAfter === undefined ? {} : { expiresAfterMs: durationOf(expiresAfter) });
  output.show(
    link,
    () => `${link.url}\n\nWhoever has it decides, once, until ${new Date(link.expiresAtMs).toISOString()}. It cannot be shown again.`,
  );
}

/** Options of `hive approve` and `hive reject`. */
export interface DecideOptions {
  readonly note?: string;
  readonly inputSha256?: string;
}

/** `hive approve <id>` and `hive reject <id>` */
export async function decide(
  { client, output }: Session,
  id: string,
  { decision, note, inputSha256 }: DecideOptions & { readonly decision: 'APPROVED' | 'REJECTED' },
): Promise<void> {
  const approval = await client.decideApproval(id, {
    decision,
    ...(note !== undefined && { notes: note }),
    ...(inputSha256 !== undefined && { inputSha256 }),
  });
  output.show(approval, () => `${approval.id} is ${approval.status}.`, `hive run show ${approval.runId}`);
}
