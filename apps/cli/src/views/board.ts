/** The progress of one run: a value that events change, and its two pictures: a list that is redrawn, and one line per event. */
import type { AttemptProgress, Failure, JsonValue, NodeStatus, RunNotice, RunView } from '@hivekeeper/contract';
import type { Colors } from '../output.ts';
import { cutText, durationText, statusText, timeText } from './words.ts';

/** Whatever moves a board. */
export type BoardEvent = RunNotice | AttemptProgress;

/** One node on the board. */
export interface NodeRow {
  readonly id: string;
  /** Absent for a node that only waits. */
  readonly agent?: string;
  readonly status: NodeStatus;
  readonly startedAtMs?: number;
  readonly durationMs?: number;
  readonly attempt: number;
  readonly slotCount: number;
  readonly progress?: JsonValue;
  readonly error?: Failure;
}

/** The nodes of a run in the order of its definition. */
export type Board = ReadonlyMap<string, NodeRow>;

/** The board as a run stands now; fold its events from the beginning or from here, the result is the same. */
export const boardOf = (run: RunView): Board =>
  new Map(
    run.nodes.map((node) => [
      node.id,
      {
        id: node.id,
        status: node.status,
        attempt: Math.max(1, ...node.attempts.map(({ attempt }) => attempt)),
        slotCount: 1,
        ...(node.agent !== undefined && { agent: node.agent }),
        ...(node.startedAtMs !== undefined && { startedAtMs: node.startedAtMs }),
        ...(node.startedAtMs !== undefined && node.finishedAtMs !== undefined && { durationMs: node.finishedAtMs - node.startedAtMs }),
        ...(node.error !== undefined && { error: node.error }),
      },
    ]),
  );

/** The board after an event; events of nodes it does not know change nothing. */
export function foldEvent(board: Board, event: BoardEvent): Board {
  if (!('nodeId' in event)) return board;
  const row = board.get(event.nodeId);
  return row === undefined ? board : new Map(board).set(row.id, { ...row, ...changeOf(event) });
}

type NodeEvent = Extract<BoardEvent, { readonly nodeId: string }>;

function changeOf(event: NodeEvent): Partial<NodeRow> {
  switch (event.type) {
    case 'node.started':
      return { status: 'RUNNING', startedAtMs: event.atMs, slotCount: event.slotCount };
    case 'ticket.issued':
      return { status: 'RUNNING', attempt: event.attempt };
    case 'attempt.progressed':
      return { progress: event.progress };
    case 'attempt.failed':
      return { error: event.error };
    case 'node.suspended':
      return { progress: `waits for ${event.waitsFor}` };
    case 'node.resumed':
      return { progress: null };
    case 'approval.requested':
      return { status: 'WAITING_APPROVAL' };
    case 'approval.closed':
      return event.decision === 'APPROVED' ? { status: 'RUNNING' } : {};
    case 'node.finished':
      return endOf(event);
  }
}

type NodeFinished = Extract<NodeEvent, { readonly type: 'node.finished' }>;

const endOf = ({ status, durationMs, error }: NodeFinished): Partial<NodeRow> => ({
  status,
  ...(durationMs !== undefined && { durationMs }),
  ...(error !== undefined && { error }),
});

const frames = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏'];
const frameMs = 80;

/** How a board is drawn. */
export interface BoardStyle {
  readonly nowMs: number;
  readonly colors: Colors;
  readonly widthColumns: number;
  /** Most nodes drawn; the rest is counted. */
  readonly maxRows: number;
}

/** The board as lines, one per node. */
export function boardText(board: Board, style: BoardStyle): string {
  const rows = [...board.values()];
  // What is at work or went wrong is worth a line before what waits or is done.
  const isQuiet = ({ status }: NodeRow) => status === 'PENDING' || status === 'SUCCESS' || status === 'SKIPPED';
  const shown = rows.length <= style.maxRows ? rows : rows.filter((row) => !isQuiet(row)).slice(0, style.maxRows);
  const idWidth = Math.max(...shown.map(({ id }) => id.length), 1);
  const lines = shown.map((row) => rowText(row, idWidth, style));
  const hidden = rows.length - shown.length;
  return [
    ...lines,
    ...(hidden > 0 ? [style.colors.dim(`  and ${hidden} more nodes, ${rows.filter(isQuiet).length} of them waiting or done`)] : []),
  ].join('\n');
}

function rowText(row: NodeRow, idWidth: number, { nowMs, colors, widthColumns }: BoardStyle): string {
  const spentMs = row.durationMs ?? (row.startedAtMs === undefined ? undefined : nowMs - row.startedAtMs);
  const time = row.status === 'PENDING' || row.status === 'SKIPPED' || spentMs === undefined ? '' : durationText(spentMs);
  const head = `${row.id.padEnd(idWidth)}  ${time.padStart(8)}`;
  const room = Math.max(10, widthColumns - idWidth - 16);
  return `  ${markOf(row.status, nowMs, colors)} ${row.status === 'PENDING' ? colors.dim(head) : head}  ${colors.dim(cutText(remarkOf(row), room))}`.trimEnd();
}

function markOf(status: NodeStatus, nowMs: number, colors: Colors): string {
  if (status === 'RUNNING') return colors.cyan(frames[Math.floor(nowMs / frameMs) % frames.length] ?? '');
  if (status === 'WAITING_APPROVAL') return colors.yellow('?');
  if (status === 'SUCCESS') return colors.green('✔');
  if (status === 'FAILED' || status === 'TIMED_OUT') return colors.red('✖');
  return colors.dim(status === 'PENDING' ? '·' : '–');
}

function remarkOf(row: NodeRow): string {
  const repeated = row.attempt > 1 ? `attempt ${row.attempt}; ` : '';
  if (row.status === 'RUNNING')
    return `${repeated}${row.error === undefined ? '' : `${row.error.code}; `}${row.progress === undefined || row.progress === null ? agentText(row) : progressText(row.progress)}`;
  if (row.status === 'WAITING_APPROVAL') return 'waits for approval: hive approvals';
  if (row.status === 'SUCCESS') return `${repeated}${agentText(row)}`;
  return row.error === undefined ? agentText(row) : `${row.error.code}: ${row.error.message}`;
}

const agentText = ({ agent }: NodeRow): string => agent ?? 'only waits';

/** What an agent said of its progress: its message where it has one, else the whole. */
function progressText(progress: JsonValue): string {
  if (typeof progress === 'string') return progress;
  if (typeof progress === 'object' && progress !== null && 'message' in progress && typeof progress['message'] === 'string')
    return progress['message'];
  return JSON.stringify(progress);
}

/** An event as one line. */
export const eventLine = (event: BoardEvent, colors: Colors): string => `${colors.dim(timeText(event.atMs))}  ${sentenceOf(event, colors)}`;

function sentenceOf(event: BoardEvent, colors: Colors): string {
  return 'nodeId' in event ? nodeSentence(event, colors) : runSentence(event, colors);
}

function runSentence(event: Exclude<BoardEvent, NodeEvent>, colors: Colors): string {
  switch (event.type) {
    case 'run.queued':
      return `run waits for its turn: key ${event.key}`;
    case 'run.started':
      return 'run started';
    case 'run.paused':
    case 'run.resumed':
      return `run ${event.type.slice('run.'.length)} by ${event.by}${reasonText(event.reason)}`;
    case 'run.reprioritised':
      return `run has priority ${event.priority}, said ${event.by}${reasonText(event.reason)}`;
    case 'signal.received':
      return `signal ${event.name} came`;
    case 'run.compensated':
      return `run is undone by ${event.byRunId}`;
    case 'run.finished':
      return `run finished  ${statusText(event.status, colors)}${failureText(event.error)}`;
  }
}

function nodeSentence(event: NodeEvent, colors: Colors): string {
  switch (event.type) {
    case 'node.started':
      return `${event.nodeId} started${event.slotCount === 1 ? '' : ` (${event.slotCount} slots)`}`;
    case 'ticket.issued':
      return `${slotText(event)} issued, attempt ${event.attempt}`;
    case 'attempt.progressed':
      return `${slotText(event)}: ${cutText(progressText(event.progress), 500)}`;
    case 'attempt.failed':
      return `${slotText(event)} attempt ${event.attempt} failed${failureText(event.error)}${retryText(event.retryAtMs)}`;
    case 'node.suspended':
      return `${slotText(event)} waits for ${event.waitsFor}${event.untilMs === undefined ? '' : ` until ${timeText(event.untilMs)}`}`;
    case 'node.resumed':
      return `${slotText(event)} goes on`;
    case 'approval.requested':
      return `${event.nodeId} waits for approval: hive approve ${event.approvalId}`;
    case 'approval.closed':
      return `${event.nodeId} approval ${event.decision}`;
    case 'node.finished':
      return `${event.nodeId} ${endText(event, colors)}`;
  }
}

const endText = ({ isCarried, status, durationMs, error }: NodeFinished, colors: Colors): string =>
  `${isCarried === true ? 'is carried over' : 'finished'}  ${statusText(status, colors)}${spentText(durationMs)}${failureText(error)}`;

const reasonText = (reason: string | undefined): string => (reason === undefined ? '' : `: ${cutText(reason, 500)}`);
const retryText = (retryAtMs: number | undefined): string => (retryAtMs === undefined ? '' : `; tried again at ${timeText(retryAtMs)}`);
const spentText = (durationMs: number | undefined): string => (durationMs === undefined ? '' : ` in ${durationText(durationMs)}`);
const failureText = (error: Failure | undefined): string =>
  error === undefined ? '' : `  ${error.code}: ${cutText(error.message, 500).replace(/\.$/, '')}`;
const slotText = ({ nodeId, slot }: Pick<AttemptProgress, 'nodeId' | 'slot'>): string => (slot === 0 ? nodeId : `${nodeId}[${slot}]`);
