import {
  HiveError,
  type JsonObject,
  type ScheduleDetail,
  type ScheduleId,
  type SchedulePreview,
  type ScheduleRule,
  type ScheduleView,
  type TenantId,
} from '@hivekeeper/contract';
import type { Clock } from '@hivekeeper/kernel';
import type { WorkflowRegistry } from '../../../records/registry/index.ts';
import { digestOf } from '../digest.ts';
import { issuesOf, localText, nextInstant } from './instants.ts';
import type { ScheduleStore, StoredSchedule } from './schedule-store.ts';

/** Which schedule, and who says so. */
export interface ScheduleOrder {
  readonly tenantId: TenantId;
  readonly name: string;
  readonly by: string;
}

/** What {@link Schedules} needs. */
export interface SchedulesOptions {
  readonly store: ScheduleStore;
  readonly workflows: WorkflowRegistry;
  readonly newId: () => ScheduleId;
  readonly clock: Clock;
}

const shownFirings = 20;

/** What people do with schedules. Every change is audited, and no news where it is so already. */
export class Schedules {
  readonly #options: SchedulesOptions;

  constructor(options: SchedulesOptions) {
    this.#options = options;
  }

  /** @throws HiveError NOT_FOUND where the workflow is named and not there. */
  async list(tenantId: TenantId, { workflow }: { readonly workflow?: string | undefined } = {}): Promise<readonly ScheduleView[]> {
    const { store, workflows } = this.#options;
    const workflowId = workflow === undefined ? undefined : (await workflows.latest(tenantId, { name: workflow })).id;
    return (await store.list(tenantId, { workflowId })).map((schedule) => this.#viewOf(schedule));
  }

  /** @throws HiveError NOT_FOUND */
  async detail(tenantId: TenantId, name: string): Promise<ScheduleDetail> {
    const schedule = await this.#find(tenantId, name);
    return { ...this.#viewOf(schedule), firings: [...(await this.#options.store.firings(tenantId, schedule.id, shownFirings))] };
  }

  /** The next nominal instants, also of one that is paused. @throws HiveError NOT_FOUND */
  async preview(tenantId: TenantId, name: string, count: number): Promise<SchedulePreview> {
    const { rule } = await this.#find(tenantId, name);
    const instants = [];
    for (let atMs = this.#options.clock.nowMs(); instants.length < count;) {
      atMs = nextInstant(rule, atMs);
      instants.push({ atMs, local: localText(atMs, rule.timeZone) });
    }
    return { timeZone: rule.timeZone, instants };
  }

  /**
   * Makes a schedule; the same again is the one there is.
   * @throws HiveError NOT_FOUND for its workflow, SCHEDULE_INVALID, ALREADY_EXISTS
   */
  async create({
    tenantId,
    name,
    by,
    workflow,
    ...what
  }: ScheduleOrder & { readonly workflow: string; readonly rule: ScheduleRule; readonly context: JsonObject }): Promise<{
    readonly schedule: ScheduleView;
    readonly isNew: boolean;
  }> {
    const { store, workflows, newId } = this.#options;
    mustBeSound(what.rule);
    const { id: workflowId } = await workflows.latest(tenantId, { name: workflow });
    const known = await store.find(tenantId, name);
    const isSame = known !== undefined && known.workflowId === workflowId && !known.isDeclared && isEqual(known, what);
    if (!isSame) await store.add({ id: newId(), tenantId, name, workflowId, by, ...what });
    return { schedule: this.#viewOf(await this.#find(tenantId, name)), isNew: !isSame };
  }

  /** Changes when it is served and what its runs are given. @throws HiveError NOT_FOUND, SCHEDULE_INVALID, SCHEDULE_DECLARED */
  async change({
    tenantId,
    name,
    by,
    ...what
  }: ScheduleOrder & { readonly rule: ScheduleRule; readonly context: JsonObject }): Promise<ScheduleView> {
    mustBeSound(what.rule);
    const schedule = mustBeOurs(await this.#find(tenantId, name));
    if (!isEqual(schedule, what)) await this.#options.store.change({ tenantId, id: schedule.id, by, ...what });
    return this.#viewOf(await this.#find(tenantId, name));
  }

  /** Serves nothing until it is resumed. @throws HiveError NOT_FOUND */
  async pause({ tenantId, name, by, reason }: ScheduleOrder & { readonly reason?: string | undefined }): Promise<ScheduleView> {
    const { id, pause } = await this.#find(tenantId, name);
    if (pause === undefined) await this.#options.store.pause({ tenantId, id, by, reason });
    return this.#viewOf(await this.#find(tenantId, name));
  }

  /** Goes on from now: what passed in between is not made up for. @throws HiveError NOT_FOUND */
  async resume({ tenantId, name, by }: ScheduleOrder): Promise<ScheduleView> {
    const { id, pause } = await this.#find(tenantId, name);
    if (pause !== undefined) await this.#options.store.resume({ tenantId, id, by });
    return this.#viewOf(await this.#find(tenantId, name));
  }

  /** Its runs stay. @throws HiveError NOT_FOUND, SCHEDULE_DECLARED */
  async remove({ tenantId, name, by }: ScheduleOrder): Promise<void> {
    const { id } = mustBeOurs(await this.#find(tenantId, name));
    await this.#options.store.remove({ tenantId, id, by });
  }

  async #find(tenantId: TenantId, name: string): Promise<StoredSchedule> {
    const schedule = await this.#options.store.find(tenantId, name);
    if (schedule === undefined) throw new HiveError('NOT_FOUND', `there is no schedule ${name}`);
    return schedule;
  }

  #viewOf({ rule, dealtUntilMs, tenantId: _, pause, lastRunId, ...schedule }: StoredSchedule): ScheduleView {
    const { reason, ...paused } = pause ?? { by: '', atMs: 0 };
    return {
      ...schedule,
      ...rule,
      ...(pause === undefined
        ? { nextAtMs: nextInstant(rule, dealtUntilMs) }
        : { pause: { ...paused, ...(reason !== undefined && { reason }) } }),
      ...(lastRunId !== undefined && { lastRunId }),
    };
  }
}

function mustBeSound(rule: ScheduleRule): void {
  const issues = issuesOf(rule);
  if (issues.length > 0) throw new HiveError('SCHEDULE_INVALID', issues[0]?.message, { issues });
}

function mustBeOurs(schedule: StoredSchedule): StoredSchedule {
  if (schedule.isDeclared) throw new HiveError('SCHEDULE_DECLARED', `workflow ${schedule.workflowName} declares ${schedule.name}`);
  return schedule;
}

type Content = Pick<StoredSchedule, 'rule' | 'context'>;

const isEqual = (known: Content, wanted: Content): boolean =>
  digestOf([known.rule, known.context]) === digestOf([wanted.rule, wanted.context]);
