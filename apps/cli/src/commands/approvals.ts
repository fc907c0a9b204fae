import type { ApprovalView } from '@hivekeeper/contract';
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
  const next = '\n\nNext: hive approve <id>, hive reject <id> --note <why>';
  output.show(approvals, () =>
    approvals.length === 0
      ? 'Nothing waits for approval.'
      : tableText(['APPROVAL', 'NODE', 'WOULD RUN', 'STATUS', 'EXPIRES', 'WHAT'], rows(), output.colors) + next,
  );
}

/** `hive approve <id>` and `hive reject <id>` */
export async function decide(
  { client, output }: Session,
  id: string,
  { decision, note }: { readonly decision: 'APPROVED' | 'REJECTED'; readonly note?: string | undefined },
): Promise<void> {
  const approval = await client.decideApproval(id, { decision, ...(note !== undefined && { notes: note }) });
  output.show(approval, () => `${approval.id} is ${approval.status}.\n\nNext: hive run show ${approval.runId}`);
}
