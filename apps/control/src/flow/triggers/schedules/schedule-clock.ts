import { HiveError } from '@hivekeeper/contract';
import { Alarm, type Clock, type Log } from '@hivekeeper/kernel';
import type { RunOrders } from '../../runs/index.ts';
import type { Triggers } from '../triggers.ts';
import { contextFor, dutyOf, refusalOf, turnFor, verdictOn } from './policy.ts';
import type { Firing, FiringEnd, ScheduleStore, StoredSchedule } from './schedule-store.ts';

/** What a {@link ScheduleClock} needs. */
export interface ScheduleClockOptions {
  readonly store: ScheduleStore;
  readonly triggers: Triggers;
  readonly orders: RunOrders;
  readonly clock: Clock;
  readonly log: Log;
}

// A change that nobody told of, and a start that a killed control plane left half done, are found so late at the latest.
const longestSleepMs = 60_000;
const pauseAfterFaultMs = 5_000;
const batch = 200;

/**
 * Serves every nominal instant of every schedule once, over all control planes. An instant's fate is decided in the
 * database before anything is done about it; the run's idempotency key is the schedule and the instant, so that a start
 * that a crash cut off is done again and comes to the same run; and only when the run is stored the instant counts as
 * dealt with. Any number of control planes may do all of this at the same time.
 */
export class ScheduleClock implements AsyncDisposable {
  readonly #options: ScheduleClockOptions;
  readonly #alarm: Alarm;

  constructor(options: ScheduleClockOptions) {
    this.#options = options;
    this.#alarm = new Alarm({ clock: options.clock, longestSleepMs, look: () => this.#look() });
  }

  /** A schedule changed, here or elsewhere. */
  notice(): void {
    this.#alarm.ring(0);
  }

  /** Resolves when what is under way is done. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.#alarm[Symbol.asyncDispose]();
  }

  async #look(): Promise<number> {
    const { store, log } = this.#options;
    try {
      for (const firing of await store.unfinished()) await this.#safely(firing.schedule, () => this.#begin(firing));
      const { schedules, nowMs, nextAtMs = Number.POSITIVE_INFINITY } = await store.due(batch);
      const served = await Promise.all(schedules.map((schedule) => this.#safely(schedule, () => this.#serve(schedule, nowMs))));
      if (served.includes(false)) return pauseAfterFaultMs;
      if (schedules.length === batch) return 0;
      return Math.min(nextAtMs, ...served.map(Number)) - nowMs;
    } catch (error) {
      log.warn({ err: error }, 'due schedules could not be read; trying again');
      return pauseAfterFaultMs;
    }
  }

  /** What goes wrong with one schedule stops no other; it stays due. */
  async #safely<T>(schedule: StoredSchedule, work: () => Promise<T>): Promise<T | false> {
    try {
      return await work();
    } catch (error) {
      this.#options.log.warn({ err: error, schedule: schedule.name }, 'a schedule could not be served; trying again');
      return false;
    }
  }

  /** Gives the time at which the schedule is due again. */
  async #serve(schedule: StoredSchedule, nowMs: number): Promise<number> {
    const { store } = this.#options;
    const { served, missed, nextDueAtMs } = dutyOf(schedule, nowMs);
    if (missed !== undefined)
      await store.decide(schedule, missed.lastAtMs, () => ({ outcome: 'MISSED', isCaughtUp: false, reason: missed.reason }));
    for (const { atMs, isCaughtUp } of served) {
      const firing = await store.decide(schedule, atMs, (former, openCount) => verdictOn(schedule.rule, isCaughtUp, { former, openCount }));
      if (firing?.outcome === 'STARTING') await this.#begin(firing);
    }
    const lastAtMs = served.at(-1)?.atMs ?? missed?.lastAtMs ?? schedule.dealtUntilMs;
    await store.arm({ ...schedule, dealtUntilMs: lastAtMs }, nextDueAtMs);
    return nextDueAtMs;
  }

  async #begin(firing: Firing): Promise<void> {
    const { orders, store } = this.#options;
    const { schedule, openRunId } = firing;
    if (schedule.rule.overlap === 'replace' && openRunId !== undefined) {
      const order = { tenantId: schedule.tenantId, runId: openRunId, by: `schedule:${schedule.name}`, reason: 'replaced by the next run' };
      await orders.cancel(order).catch(ifItEnded);
    }
    await store.finish(firing, await this.#start(firing).catch((error: unknown) => ({ outcome: 'FAILED', reason: refusalOf(error) })));
  }

  async #start({ schedule, nominalAtMs }: Firing): Promise<FiringEnd> {
    const { triggers } = this.#options;
    const { tenantId, workflowId, id, name } = schedule;
    const idempotency = { route: 'schedule', key: `${id}@${nominalAtMs}` };
    const trigger = {
      tenantId,
      workflow: { id: workflowId },
      context: contextFor(schedule, nominalAtMs),
      turn: turnFor(schedule),
      idempotency,
    };
    const runId = await triggers.fire({ ...trigger, kind: 'schedule', by: `schedule:${name}` }).then(
      (triggered) => triggered.runId,
      async (error: unknown) => {
        // What a run is given may have been changed since a crash cut its start off: it is the same run.
        const earlier = HiveError.is(error) && error.code === 'IDEMPOTENCY_KEY_REUSED' ? await triggers.startedBy(trigger) : undefined;
        if (earlier === undefined) throw error;
        return earlier;
      },
    );
    return { outcome: 'STARTED', runId };
  }
}

function ifItEnded(error: unknown): void {
  if (!HiveError.is(error) || !['RUN_FINISHED', 'NOT_FOUND'].includes(error.code)) throw error;
}
