import type { CreateSchedule } from '@hivekeeper/contract';
import { contextOf } from '../inputs.ts';
import type { Session } from '../session.ts';
import { nextAfterSchedule, scheduleText, schedulesTable } from '../views/schedule.ts';

/** `hive schedules list` */
export async function listSchedules({ client, output, terminal }: Session, { workflow }: { readonly workflow?: string }): Promise<void> {
  const schedules = await client.schedules(workflow === undefined ? {} : { workflow });
  const example = 'hive schedules create <name> --workflow <workflow> --cron "0 7 * * *"';
  if (schedules.length === 0) output.show(schedules, () => 'No schedules.', example);
  else output.show(schedules, () => schedulesTable(schedules, terminal.clock.nowMs(), output.colors));
}

/** `hive schedules show <name>` */
export async function showSchedule({ client, output, terminal }: Session, name: string): Promise<void> {
  const schedule = await client.schedule(name);
  output.show(schedule, () => scheduleText(schedule, terminal.clock.nowMs(), output.colors), nextAfterSchedule(schedule));
}

/** Options of `hive schedules create`. */
export interface CreateOptions {
  readonly workflow: string;
  readonly cron: string;
  readonly timeZone?: string;
  readonly catchUp?: CreateSchedule['catchUp'];
  readonly overlap?: CreateSchedule['overlap'];
  readonly jitterMs?: string;
  readonly input: readonly string[];
}

/** `hive schedules create <name>` */
export async function createSchedule(session: Session, name: string, { input, jitterMs, ...options }: CreateOptions): Promise<void> {
  const { workflow, cron, timeZone, catchUp, overlap } = options;
  const context = await contextOf(input, session.terminal.workingDirectory);
  const rule = { cron, timeZone, catchUp, overlap, jitterMs: jitterMs === undefined ? undefined : Number(jitterMs) };
  const schedule = await session.client.createSchedule({ name, workflow, context, ...(defined(rule) as typeof rule & { cron: string }) });
  const { instants } = await session.client.previewSchedule(name, { count: 3 });
  session.output.show(
    schedule,
    () => [`${name} starts ${schedule.workflowName} at`, ...instants.map(({ local }) => `  ${local}`)].join('\n'),
    `hive schedules show ${name}`,
  );
}

/** `hive schedules pause <name>` */
export async function pauseSchedule({ client, output }: Session, name: string, { reason }: { readonly reason?: string }): Promise<void> {
  const schedule = await client.pauseSchedule(name, reason);
  output.show(schedule, () => `${name} is paused.`, `hive schedules resume ${name}`);
}

/** `hive schedules resume <name>` */
export async function resumeSchedule({ client, output }: Session, name: string): Promise<void> {
  const schedule = await client.resumeSchedule(name);
  output.show(schedule, () => `${name} goes on from now.`, `hive schedules preview ${name}`);
}

/** `hive schedules delete <name>` */
export async function deleteSchedule({ client, output }: Session, name: string): Promise<void> {
  await client.removeSchedule(name);
  output.show({ deleted: name }, () => `${name} is deleted; its runs stay.`);
}

/** `hive schedules preview <name>` */
export async function previewSchedule({ client, output }: Session, name: string, { count }: { readonly count: string }): Promise<void> {
  const preview = await client.previewSchedule(name, { count: Number(count) });
  output.show(preview, () => preview.instants.map(({ local }) => local).join('\n'));
}

const defined = (values: object): object => Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined));
