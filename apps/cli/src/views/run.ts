import type { ApprovalView, NodeView, NodeWait, RunSummary, RunView } from '@hivekeeper/contract';
import type { Colors, Output } from '../output.ts';
import { countsText } from './effects.ts';
import { tableText } from './table.ts';
import { agoText, cutText, durationText, statusText, timeText } from './words.ts';

/** Runs, one a line. */
export const runsTable = (runs: readonly RunSummary[], nowMs: number, colors: Colors): string =>
  tableText(
    ['RUN', 'WORKFLOW', 'STATUS', 'STARTED', 'DURATION', 'ERROR'],
    runs.map((run) => [
      run.id,
      `${run.workflowName}@${run.workflowVersion}${run.originRunId === undefined ? '' : ` (${run.trigger})`}`,
      statusText(run.status, colors),
      agoText(run.createdAtMs, nowMs),
      run.durationMs === undefined ? '' : durationText(run.durationMs),
      run.error === undefined ? '' : cutText(`${run.error.code}: ${run.error.message}`, 60),
    ]),
    colors,
  );

/** A run, whole: its facts, its nodes, what failed. */
export function runText(run: RunView, { colors, widthColumns }: Output): string {
  const facts = [
    `${run.id}  ${statusText(run.status, colors)}`,
    `workflow  ${run.workflowName}@${run.workflowVersion}`,
    `created   ${new Date(run.createdAtMs).toISOString()} by ${run.trigger}`,
    ...(run.durationMs === undefined ? [] : [`duration  ${durationText(run.durationMs)}`]),
    ...(run.effects === undefined ? [] : [`effects   ${countsText(run.effects)}: hive effects ${run.id}`]),
    ...(run.originRunId === undefined ? [] : [originOf(run.trigger, run.originRunId)]),
    `context   ${cutText(JSON.stringify(run.context), widthColumns - 10)}`,
  ];
  const nodes = tableText(
    ['NODE', 'AGENT', 'STATUS', 'DURATION', 'ATTEMPTS', 'OUTPUT'],
    run.nodes.map((node) => nodeCells(node, colors)),
    colors,
  );
  const failures = run.nodes.filter(({ error }) => error !== undefined).map((node) => failureOf(node, colors));
  const waits = run.nodes.flatMap((node) => node.waits.map((wait) => `  ${slotText(node.id, wait.slot)}  ${waitText(wait)}`));
  const waiting = waits.length === 0 ? [] : [['Waiting', ...waits].join('\n')];
  return [facts.join('\n'), nodes, ...waiting, ...failures].join('\n\n');
}

const nodeCells = (node: NodeView, colors: Colors): string[] => [
  node.id,
  node.action === undefined ? (node.agent ?? '') : `${node.agent}.${node.action}`,
  statusText(node.status, colors),
  durationOf(node),
  String(node.attempts.length),
  node.output === undefined ? '' : cutText(JSON.stringify(node.output), 60),
];

function durationOf({ isCarried, startedAtMs, finishedAtMs }: NodeView): string {
  if (isCarried === true) return 'carried';
  return startedAtMs === undefined || finishedAtMs === undefined ? '' : durationText(finishedAtMs - startedAtMs);
}

/** What the run has to do with the one it came from. */
function originOf(trigger: string, originRunId: string): string {
  const relation = { retry: 'retry of ', fork: 'fork of  ', compensation: 'undoes   ' }[trigger] ?? 'from     ';
  return `${relation} ${originRunId}`;
}

const slotText = (nodeId: string, slot: number): string => (slot === 0 ? nodeId : `${nodeId}[${slot}]`);

function waitText(wait: NodeWait): string {
  switch (wait.kind) {
    case 'timer':
      return `sleeps until ${new Date(wait.untilMs).toISOString()}`;
    case 'retry':
      return `is tried again at ${new Date(wait.untilMs).toISOString()}`;
    case 'signal': {
      const [kind, name] = wait.name.startsWith('event:') ? ['event', wait.name.slice('event:'.length)] : ['signal', wait.name];
      return `waits for the ${kind} ${name}${wait.key === undefined ? '' : ` with key ${wait.key}`} until ${new Date(wait.untilMs).toISOString()}`;
    }
    case 'approval':
      return `waits for approval: hive approve ${wait.approvalId}`;
    case 'agent':
      return `waits for the agent ${wait.agent}`;
    case 'effect':
      return `waits for what became of ${wait.tool}: hive effects resolve ${wait.effectId}`;
  }
}

function failureOf({ id, error }: NodeView, colors: Colors): string {
  const excerpt =
    error?.excerpt === undefined
      ? []
      : error.excerpt
          .trimEnd()
          .split('\n')
          .map((line) => colors.dim(`  ${line}`));
  return [`${colors.red(error?.code ?? '')} in ${id}: ${error?.message ?? ''}`, ...excerpt].join('\n');
}

/** What to type next about a run. */
export function nextAfterRun(run: RunView): string {
  if (run.status === 'SUCCESS') return `hive run show ${run.id} --json`;
  return run.finishedAtMs === undefined ? `hive why ${run.id}` : `hive run retry ${run.id}, hive run retry ${run.id} --from-failed`;
}

/** What happened to a run so far, in order of time, as its attempts and approvals tell it. */
export function runHistory(run: RunView, approvals: readonly ApprovalView[], colors: Colors): string[] {
  const entries = run.nodes.flatMap((node) =>
    node.attempts.flatMap((attempt) => {
      const name = `${node.id}${attempt.slot === 0 ? '' : `[${attempt.slot}]`} attempt ${attempt.attempt}`;
      const excerpt =
        attempt.error?.excerpt
          ?.trimEnd()
          .split('\n')
          .map((line) => `\n    ${line}`)
          .join('') ?? '';
      const end = attempt.error === undefined ? '' : `  ${attempt.error.code}: ${attempt.error.message}${colors.dim(excerpt)}`;
      return [
        { atMs: attempt.leasedAtMs, text: `${name} taken by ${attempt.workerId ?? 'a worker'}` },
        { atMs: attempt.finishedAtMs, text: `${name} ${attempt.status}${end}` },
      ];
    }),
  );
  const all = [
    { atMs: run.startedAtMs, text: 'run started' },
    ...entries,
    ...approvals.flatMap(approvalEntries),
    { atMs: run.finishedAtMs, text: `run finished  ${statusText(run.status, colors)}` },
  ];
  return all
    .flatMap(({ atMs, text }) => (atMs === undefined ? [] : [{ atMs, text }]))
    .toSorted((left, right) => left.atMs - right.atMs)
    .map(({ atMs, text }) => `${colors.dim(timeText(atMs))}  ${text}`);
}

const approvalEntries = ({ id, nodeId, status, requestedAtMs, respondedAtMs, respondedBy, notes }: ApprovalView) => [
  { atMs: requestedAtMs, text: `${nodeId} waits for approval ${id}` },
  {
    atMs: respondedAtMs,
    text: `${nodeId} approval ${status}${respondedBy === undefined ? '' : ` by ${respondedBy}`}${notes === undefined ? '' : `: ${notes}`}`,
  },
];
