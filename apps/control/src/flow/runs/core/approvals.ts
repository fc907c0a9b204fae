/** What comes of an approval: decided by a person, or by nobody in time. */
import type { Failure, JsonObject, Outcome, RunEvent } from '@hivekeeper/contract';
import { at, type Draft } from './draft.ts';
import { closeApproval } from './ledger.ts';
import { approvalRuleOf, dropSlots, failNode, finishNode, runNode } from './nodes.ts';
import type { Approval } from './state.ts';
import { decisionOutput, suspendedAt } from './waits.ts';

/** A person decided. */
export function decideApproval(draft: Draft, approval: number, event: Extract<RunEvent, { readonly type: 'approval.decided' }>): void {
  const { run } = draft;
  const { approved, by, notes } = event;
  const asked = at(run.approvals, approval);
  const decision = approved ? 'APPROVED' : 'REJECTED';
  closeApproval(draft, approval, decision);
  run.approvals[approval] = { ...at(run.approvals, approval), decided: { approved, by } };
  const rejection: Failure = { code: 'APPROVAL_REJECTED', message: `rejected by ${by}${notes === undefined ? '' : `: ${notes}`}` };
  if (asked.slotAt !== undefined)
    return answer(draft, asked, { decision, output: decisionOutput(decision, by, notes), failure: rejection });
  const state = at(run.nodes, asked.node);
  if (approved && state.phase === 'gated') runNode(draft, asked.node, state);
  else failNode(draft, asked.node, rejection);
}

interface Answer {
  readonly decision: 'APPROVED' | 'REJECTED' | 'EXPIRED';
  readonly output: JsonObject;
  readonly failure: Failure;
}

/** An agent that asked hears what was decided; one that somebody called begins, or does not. */
function answer(draft: Draft, { node, slotAt = -1 }: Approval, { decision, output, failure }: Answer): void {
  const isAsker = suspendedAt(draft, slotAt)?.wait.step !== '';
  const outcome: Outcome = isAsker || decision === 'APPROVED' ? { ok: true, output } : { ok: false, error: failure };
  draft.moves.push({ move: 'resume', node, slotAt, outcome });
}

/** Nobody decided in time: that means what the workflow says. */
export function expireApproval(draft: Draft, approval: number): void {
  const { run } = draft;
  const asked = at(run.approvals, approval);
  closeApproval(draft, approval, 'EXPIRED');
  const expiry: Failure = { code: 'APPROVAL_EXPIRED', message: 'nobody decided before the approval expired' };
  if (asked.slotAt !== undefined) return answer(draft, asked, { decision: 'EXPIRED', output: decisionOutput('EXPIRED'), failure: expiry });
  const { onExpiry } = approvalRuleOf(draft, asked.node);
  const state = at(run.nodes, asked.node);
  if (onExpiry === 'approve' && state.phase === 'gated') runNode(draft, asked.node, state);
  else if (onExpiry === 'skip') {
    dropSlots(draft, asked.node);
    finishNode(draft, asked.node, { status: 'SKIPPED' });
  } else failNode(draft, asked.node, expiry);
}
