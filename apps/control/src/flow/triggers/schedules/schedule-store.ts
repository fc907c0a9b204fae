import type { FiringView, JsonObject, RunId, ScheduleId, ScheduleRule, TenantId, WorkflowId } from '@hivekeeper/contract';

/** A schedule as stored. */
export interface StoredSchedule {
  readonly id: ScheduleId;
  readonly tenantId: TenantId;
  readonly name: string;
  readonly workflowId: WorkflowId;
  readonly workflowName: string;
  /** Declared by the workflow's trigger. */
  readonly isDeclared: boolean;
  readonly rule: ScheduleRule;
  readonly context: JsonObject;
  readonly pause?: { readonly by: string; readonly atMs: number; readonly reason?: string | undefined } | undefined;
  /** Nominal instants up to this one are dealt with. */
  readonly dealtUntilMs: number;
  readonly lastRunId?: RunId | undefined;
  readonly createdAtMs: number;
  readonly updatedAtMs: number;
}

/** What is known of the schedule's run before this one. */
export interface Former {
  readonly runId: RunId;
  readonly hasEnded: boolean;
}

/** What was decided about a nominal instant. */
export interface Firing extends FiringView {
  readonly schedule: StoredSchedule;
  /** The run before, where it had not ended when this was decided. */
  readonly openRunId?: RunId | undefined;
}

/** What is to become of a nominal instant. */
export type Verdict = Pick<FiringView, 'isCaughtUp' | 'reason'> & { readonly outcome: 'STARTING' | 'SKIPPED' | 'MISSED' };

/** How a start ended. */
export type FiringEnd = { readonly outcome: 'STARTED'; readonly runId: RunId } | { readonly outcome: 'FAILED'; readonly reason: string };

/** Who changes a schedule. */
export interface ScheduleChange {
  readonly tenantId: TenantId;
  readonly id: ScheduleId;
  readonly by: string;
}

/** The port to the database. Every change commits with its audit entry and tells the other control planes. Times are the database's own. */
export interface ScheduleStore {
  list(tenantId: TenantId, filter: { readonly workflowId?: WorkflowId | undefined }): Promise<readonly StoredSchedule[]>;
  find(tenantId: TenantId, name: string): Promise<StoredSchedule | undefined>;
  /** Its instants count from now on. @throws HiveError ALREADY_EXISTS */
  add(
    schedule: Pick<StoredSchedule, 'id' | 'tenantId' | 'name' | 'workflowId' | 'rule' | 'context'> & { readonly by: string },
  ): Promise<void>;
  /** Its instants count from now on. */
  change(change: ScheduleChange & Pick<StoredSchedule, 'rule' | 'context'>): Promise<void>;
  pause(change: ScheduleChange & { readonly reason?: string | undefined }): Promise<void>;
  /** What passed in between is not made up for. */
  resume(change: ScheduleChange): Promise<void>;
  remove(change: ScheduleChange): Promise<void>;
  /** The newest first. */
  firings(tenantId: TenantId, id: ScheduleId, most: number): Promise<readonly FiringView[]>;

  /** For the engine, of every tenant: what is due or was never looked at, the time by the database's clock, and the next due time. */
  due(
    most: number,
  ): Promise<{ readonly schedules: readonly StoredSchedule[]; readonly nowMs: number; readonly nextAtMs?: number | undefined }>;
  /** Lets {@link due} give the schedule at `dueAtMs` again, unless somebody dealt with it meanwhile. */
  arm(schedule: StoredSchedule, dueAtMs: number): Promise<void>;
  /**
   * Decides about a nominal instant, once: gives what was decided, here or elsewhere; undefined where the instant is dealt
   * with already, or the schedule was changed, paused or removed. `judge` is shown the run before and how many of the
   * schedule's runs have not ended. What needs no run is dealt with at once.
   */
  decide(
    schedule: StoredSchedule,
    nominalAtMs: number,
    judge: (former: Former | undefined, openCount: number) => Verdict,
  ): Promise<Firing | undefined>;
  /** Records how a start ended; with it the instant is dealt with. */
  finish(firing: Firing, end: FiringEnd): Promise<void>;
  /** Starts that were decided a while ago and whose end nobody recorded. */
  unfinished(): Promise<readonly Firing[]>;
}
