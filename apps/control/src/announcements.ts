import { type ApprovalId, type JsonObject, type JsonValue, type RunId, runIdOfApproval } from '@hivekeeper/contract';
import type { Services } from './http/services.ts';
import type { Announcement, OutboxEntry } from './records/outbox/index.ts';

/** What others are told about an entry of the outbox; undefined where it is not there any more. */
export async function announcementOf(
  { runStore, redaction }: Pick<Services, 'runStore' | 'redaction'>,
  { tenantId, kind, about }: OutboxEntry,
): Promise<Announcement | undefined> {
  if (kind === 'run.completed') {
    const run = await runStore.summary(tenantId, about as RunId);
    return run && { subject: 'workflow.run.completed', id: about, body: completedBody(run) };
  }
  const id = about as ApprovalId;
  const approval = (await runStore.approvals(tenantId, { runId: runIdOfApproval(id) })).find((each) => each.id === id);
  if (approval === undefined) return undefined;
  const { runId, nodeId, agent, action, input, inputSha256, workflowName, expiresAtMs } = approval;
  const inputs = redaction.value(input as JsonValue);
  const body = {
    ...{ approvalId: id, workflowRunId: runId, nodeId, agentName: agent, action: action ?? null, workflowName },
    ...{ inputs, inputsPreview: JSON.stringify(inputs, undefined, 2), inputSha256, expiresAtMs },
  };
  return { subject: 'workflow.approval.requested', id: about, body };
}

function completedBody(run: NonNullable<Awaited<ReturnType<Services['runStore']['summary']>>>): JsonObject {
  const { id, workflowName, workflowVersion, status, trigger, createdAtMs, finishedAtMs, durationMs, error } = run;
  return {
    ...{ workflowRunId: id, workflowName, workflowVersion, status, trigger, createdAtMs },
    finishedAtMs: finishedAtMs ?? null,
    durationMs: durationMs ?? null,
    error: error === undefined ? null : { code: error.code, message: error.message },
  };
}
