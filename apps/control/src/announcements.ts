import { type ApprovalId, type JsonObject, type JsonValue, type RunId } from '@hivekeeper/contract';
import type { Services } from './http/services.ts';
import type { Announcement, OutboxEntry } from './records/outbox/index.ts';

const mostInputBytes = 262_144;
const cutInputLength = 4_096;

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
  const approval = await runStore.approval(tenantId, id);
  if (approval === undefined) return undefined;
  const { runId, nodeId, agent, action, input, inputSha256, workflowName, expiresAtMs } = approval;
  const body = {
    ...{ approvalId: id, workflowRunId: runId, nodeId, agentName: agent, action: action ?? null, workflowName },
    ...{ ...inputsOf(redaction.value(input as JsonValue)), inputSha256, expiresAtMs },
  };
  return { subject: 'workflow.approval.requested', id: about, body };
}

/** Brokers take a mebibyte at most: of large inputs the beginning is told, and that it is one. */
function inputsOf(inputs: JsonValue): JsonObject {
  const inputsPreview = JSON.stringify(inputs, undefined, 2);
  if (Buffer.byteLength(inputsPreview) <= mostInputBytes) return { inputs, inputsPreview, inputsAreCut: false };
  return { inputs: null, inputsPreview: inputsPreview.slice(0, cutInputLength), inputsAreCut: true };
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
