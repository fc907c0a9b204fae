import type { FiringView, ScheduleDetail, ScheduleView } from '@hivekeeper/contract';
import type { Colors } from '../output.ts';
import { tableText } from './table.ts';
import { cutText, durationText } from './words.ts';

/** Schedules, one a line. */
export const schedulesTable = (schedules: readonly ScheduleView[], nowMs: number, colors: Colors): string =>
  tableText(
    ['SCHEDULE', 'WORKFLOW', 'CRON', 'TIME ZONE', 'NEXT', 'LAST RUN'],
    schedules.map((schedule) => [
      schedule.name,
      schedule.workflowName,
      schedule.cron,
      schedule.timeZone,
      nextText(schedule, nowMs),
      schedule.lastRunId ?? '',
    ]),
    colors,
  );

/** A schedule, whole: when it is served, and what became of its last instants. */
export function scheduleText(schedule: ScheduleDetail, nowMs: number, colors: Colors): string {
  const { name, workflowName, isDeclared, cron, timeZone, catchUp, overlap, jitterMs, context, firings } = schedule;
  const facts = [
    `${name}  starts ${workflowName}${isDeclared ? ', declared by its trigger' : ''}`,
    `cron      ${cron}  (${timeZone})`,
    `catch-up  ${catchUp}`,
    `overlap   ${overlap}`,
    ...(jitterMs === 0 ? [] : [`jitter    up to ${durationText(jitterMs)}`]),
    ...(Object.keys(context).length === 0 ? [] : [`context   ${cutText(JSON.stringify(context), 100)}`]),
    `next      ${nextText(schedule, nowMs)}`,
  ];
  const history =
    firings.length === 0
      ? 'It was not served yet.'
      : tableText(
          ['INSTANT', 'OUTCOME', 'RUN, OR WHY NOT'],
          firings.map((firing) => firingCells(firing, colors)),
          colors,
        );
  return `${facts.join('\n')}\n\n${history}`;
}

function nextText({ pause, nextAtMs }: ScheduleView, nowMs: number): string {
  if (pause !== undefined) return `paused by ${pause.by}${pause.reason === undefined ? '' : ` (${pause.reason})`}`;
  if (nextAtMs === undefined) return '';
  return nextAtMs <= nowMs ? 'now' : `${instantText(nextAtMs)}, in ${durationText(nextAtMs - nowMs)}`;
}

const firingCells = ({ nominalAtMs, outcome, isCaughtUp, runId, reason }: FiringView, colors: Colors): string[] => [
  instantText(nominalAtMs),
  `${outcomeText(outcome, colors)}${isCaughtUp ? ' late' : ''}`,
  runId ?? reason ?? '',
];

function outcomeText(outcome: FiringView['outcome'], colors: Colors): string {
  if (outcome === 'STARTED') return colors.green(outcome);
  return outcome === 'FAILED' ? colors.red(outcome) : colors.dim(outcome);
}

/** What to type next about a schedule. */
export const nextAfterSchedule = ({ name, pause, lastRunId }: ScheduleView): string =>
  pause !== undefined
    ? `hive schedules resume ${name}`
    : lastRunId === undefined
      ? `hive schedules preview ${name}`
      : `hive run show ${lastRunId}`;

const instantText = (atMs: number): string => new Date(atMs).toISOString().replace('.000Z', 'Z');
