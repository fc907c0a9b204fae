import type { ApprovalView, HiveError } from '@hivekeeper/contract';
import { type Html, html } from '../page.ts';

/** As much of an input as a page shows. */
export const shownCharacters = 65_536;

/** What is to be decided, and the two buttons. */
export function questionPage(approval: ApprovalView): Html {
  const { workflowName, nodeId, agent, action, runId, message, inputSha256, expiresAtMs } = approval;
  const work = action === undefined ? agent : `${agent}.${action}`;
  return html`<h1>May ${work} act?</h1>
${message === undefined ? [] : html`<p>${message}</p>`}
<dl><dt>Workflow and node</dt><dd>${workflowName} / ${nodeId}</dd>
<dt>Run</dt><dd><code>${runId}</code></dd>
<dt>Open until</dt><dd>${new Date(expiresAtMs).toISOString()}</dd>
<dt>SHA-256 of the whole input</dt><dd><code>${inputSha256}</code></dd></dl>
<h2>What it will be given</h2>
<p>Secrets are redacted here; they are handed over as they are.</p>
<pre>${cut(JSON.stringify(approval.input, undefined, 2))}</pre>
<form method="post">
<label>Your name (kept with the decision) <input name="name" maxlength="100" autocomplete="name"></label>
<label>Note <textarea name="notes" maxlength="4000" rows="3"></textarea></label>
<button name="decision" value="APPROVED">Approve</button><button name="decision" value="REJECTED">Reject</button>
</form>
<p>Opening this page decides nothing. The link works once.</p>`;
}

const cut = (text: string): string =>
  text.length <= shownCharacters
    ? text
    : `${text.slice(0, shownCharacters)}\n… ${text.length - shownCharacters} more characters: hive approvals show tells them`;

/** What became of it. */
export const decidedPage = ({ status, workflowName, nodeId, runId }: ApprovalView): Html =>
  html`<h1>${status === 'APPROVED' ? 'Approved' : 'Rejected'}</h1>
<p>${workflowName} / ${nodeId} ${status === 'APPROVED' ? 'goes on' : 'will not act'}. The run is <code>${runId}</code>.</p>`;

const titles: Readonly<Record<string, string>> = {
  APPROVAL_ALREADY_DECIDED: 'Nothing is left to decide',
  APPROVAL_INPUT_CHANGED: 'The input has changed',
  APPROVER_NOT_ALLOWED: 'You may not decide this',
  LINK_EXPIRED: 'This link is too old',
  LINK_INVALID: 'This link is not valid',
};

/** Why nothing was decided. */
export const refusalPage = ({ code, message, entry }: HiveError): Html =>
  html`<h1>${titles[code] ?? 'This did not work'}</h1>
<p>Nothing was decided here. ${sentence(message)}</p>
<p>${entry.remedy}</p>
<p><code>${code}</code></p>`;

const sentence = (text: string): string => `${text.charAt(0).toUpperCase()}${text.slice(1).replace(/\.$/, '')}.`;
