import {
  defaultTenantId,
  HiveError,
  type RunId,
  type ScheduleId,
  type ScheduleRule,
  scheduleRuleSchema,
  type WorkflowId,
} from '@hivekeeper/contract';
import { newLog } from '@hivekeeper/kernel';
import { FakeClock } from '@hivekeeper/testkit';
import { beforeEach, describe, expect, it } from 'vitest';
import type { Order, RunOrders } from '../../runs/index.ts';
import type { Trigger, Triggers } from '../triggers.ts';
import { ScheduleClock } from './schedule-clock.ts';
import type { Firing, ScheduleStore, StoredSchedule } from './schedule-store.ts';

const hourMs = 3_600_000;
const startMs = Date.parse('2026-06-01T00:30:00Z');

let clock: FakeClock;
let schedules: Map<string, StoredSchedule & { readonly dueAtMs?: number | undefined }>;
let firings: Map<string, Firing>;
let started: Trigger[];
let cancelled: Order[];
let looks: number;
let fault: HiveError | undefined;
/** Why a schedule's run cannot begin. */
let refusals: Map<string, HiveError>;
let openRunId: RunId | undefined;

beforeEach(() => {
  clock = new FakeClock(startMs);
  [schedules, firings, started, cancelled, looks, fault, refusals, openRunId] = [
    new Map(),
    new Map(),
    [],
    [],
    0,
    undefined,
    new Map(),
    undefined,
  ];
});

const change = (id: string, changes: object) => schedules.set(id, { ...(schedules.get(id) as StoredSchedule), ...changes });
const keyOf = ({ id }: StoredSchedule, nominalAtMs: number) => `${id}@${nominalAtMs}`;

/** The database: its clock is the fake one. */
const serving: Pick<ScheduleStore, 'due' | 'arm' | 'decide' | 'finish' | 'unfinished'> = {
  due: async (most) => {
    looks += 1;
    if (fault !== undefined) throw fault;
    const nowMs = clock.nowMs();
    const all = [...schedules.values()];
    const later = all.flatMap(({ dueAtMs }) => (dueAtMs === undefined || dueAtMs <= nowMs ? [] : [dueAtMs]));
    return {
      nowMs,
      schedules: all.filter(({ dueAtMs }) => dueAtMs === undefined || dueAtMs <= nowMs).slice(0, most),
      nextAtMs: later.length === 0 ? undefined : Math.min(...later),
    };
  },
  arm: async ({ id, dealtUntilMs }, dueAtMs) => {
    if (schedules.get(id)?.dealtUntilMs === dealtUntilMs) change(id, { dueAtMs });
  },
  decide: async (schedule, nominalAtMs, judge) => {
    if ((schedules.get(schedule.id)?.dealtUntilMs ?? 0) >= nominalAtMs) return undefined;
    const known = firings.get(keyOf(schedule, nominalAtMs));
    if (known !== undefined) return known;
    const verdict = judge(openRunId === undefined ? undefined : { runId: openRunId, hasEnded: false }, 0);
    const firing = { schedule, nominalAtMs, decidedAtMs: clock.nowMs(), openRunId, ...verdict };
    firings.set(keyOf(schedule, nominalAtMs), firing);
    if (verdict.outcome !== 'STARTING') change(schedule.id, { dealtUntilMs: nominalAtMs });
    return firing;
  },
  finish: async (firing, end) => {
    firings.set(keyOf(firing.schedule, firing.nominalAtMs), { ...firing, ...end });
    change(firing.schedule.id, { dealtUntilMs: firing.nominalAtMs });
  },
  unfinished: async () =>
    [...firings.values()].filter(({ outcome, decidedAtMs }) => outcome === 'STARTING' && decidedAtMs < clock.nowMs() - 60_000),
};
const store = serving as ScheduleStore;

const triggers = {
  fire: async (trigger: Trigger) => {
    const refusal = refusals.get(trigger.by);
    if (refusal !== undefined) throw refusal;
    started.push(trigger);
    return { runId: `run_${started.length}` as RunId };
  },
  startedBy: async () => 'run_earlier' as RunId,
} as unknown as Triggers;
const orders = { cancel: async (order: Order) => void cancelled.push(order) } as unknown as RunOrders;

function add(name: string, rule: Partial<ScheduleRule> = {}): void {
  const id = `sch_${name}` as ScheduleId;
  schedules.set(id, {
    id,
    tenantId: defaultTenantId,
    name,
    workflowId: 'wfl_1' as WorkflowId,
    workflowName: 'w',
    isDeclared: false,
    rule: scheduleRuleSchema.parse({ cron: '0 * * * *', ...rule }),
    context: {},
    dealtUntilMs: clock.nowMs(),
    createdAtMs: 0,
    updatedAtMs: 0,
  });
}

const open = () => new ScheduleClock({ store, triggers, orders, clock, log: newLog({ level: 'silent', component: 'test' }) });
const servedHours = () =>
  started.map(({ context }) => new Date((context['schedule'] as { nominalAtMs: number }).nominalAtMs).getUTCHours());
const outcomes = () => [...firings.values()].map(({ outcome }) => outcome);

describe('the clock of schedules', () => {
  it('starts a run at each instant, once, under a key of schedule and instant', async () => {
    add('hourly');
    open();
    await clock.advance(3 * hourMs);
    expect(servedHours()).toEqual([1, 2, 3]);
    expect(started[0]).toMatchObject({
      kind: 'schedule',
      by: 'schedule:hourly',
      workflow: { id: 'wfl_1' },
      idempotency: { route: 'schedule', key: `sch_hourly@${startMs + hourMs / 2}` },
    });
    expect(outcomes()).toEqual(['STARTED', 'STARTED', 'STARTED']);
  });

  it('does not ask in between, but for once a minute in case nobody told it something', async () => {
    add('daily', { cron: '0 0 * * *' });
    open();
    await clock.advance(hourMs);
    expect(looks).toBeLessThanOrEqual(62);
  });

  it('hears at once of a schedule that somebody made', async () => {
    const opened = open();
    await clock.advance(1_000);
    add('soon', { cron: '* * * * * *' });
    opened.notice();
    await clock.advance(1_000);
    expect(started).toHaveLength(1);
  });

  it('makes up after an outage for what the policy says, once', async () => {
    add('all', { catchUp: 'all', overlap: 'allow' });
    add('last', { catchUp: 'last' });
    add('none', { catchUp: 'none' });
    await clock.advance(5 * hourMs);
    open();
    await clock.advance(0);
    const of = (name: string) => started.filter(({ by }) => by === `schedule:${name}`).length;
    expect([of('all'), of('last'), of('none')]).toEqual([5, 1, 0]);
    await clock.advance(hourMs / 2);
    expect([of('all'), of('last'), of('none')]).toEqual([6, 2, 1]);
  });

  it('finishes a start that a crash cut off, though the schedule was changed since, and by the same run', async () => {
    add('cut');
    const schedule = schedules.get('sch_cut') as StoredSchedule;
    const nominalAtMs = startMs - hourMs / 2;
    firings.set(keyOf(schedule, nominalAtMs), {
      schedule,
      nominalAtMs,
      decidedAtMs: startMs - 120_000,
      outcome: 'STARTING',
      isCaughtUp: false,
    });
    refusals.set('schedule:cut', new HiveError('IDEMPOTENCY_KEY_REUSED'));
    open();
    await clock.advance(0);
    expect(firings.get(keyOf(schedule, nominalAtMs))).toMatchObject({ outcome: 'STARTED', runId: 'run_earlier' });
  });

  it('cancels the run before only where its policy says replace', async () => {
    openRunId = 'run_before' as RunId;
    add('replacing', { overlap: 'replace' });
    add('allowing', { overlap: 'allow' });
    open();
    await clock.advance(hourMs / 2);
    expect(cancelled).toEqual([
      { tenantId: defaultTenantId, runId: 'run_before', by: 'schedule:replacing', reason: 'replaced by the next run' },
    ]);
    expect(started).toHaveLength(2);
  });

  it('records why no run could begin, and goes on with the next instant', async () => {
    refusals.set('schedule:refused', new HiveError('WORKFLOW_NOT_ACTIVE', 'w is DRAFT'));
    add('refused');
    open();
    await clock.advance(1.5 * hourMs);
    expect([...firings.values()].map(({ outcome, reason }) => `${outcome} ${reason}`)).toEqual([
      'FAILED WORKFLOW_NOT_ACTIVE: w is DRAFT',
      'FAILED WORKFLOW_NOT_ACTIVE: w is DRAFT',
    ]);
  });

  it('tries again what may pass, while the others are served', async () => {
    refusals.set('schedule:stuck', new HiveError('DATABASE_UNAVAILABLE'));
    add('stuck');
    add('well');
    open();
    await clock.advance(hourMs / 2 + 1_000);
    expect(servedHours()).toEqual([1]);
    refusals.clear();
    await clock.advance(5_000);
    expect(servedHours()).toEqual([1, 1]);
    expect(looks).toBeLessThan(40);
  });

  it('goes on after the database could not be read', async () => {
    fault = new HiveError('DATABASE_UNAVAILABLE');
    add('patient');
    open();
    await clock.advance(2 * hourMs);
    fault = undefined;
    await clock.advance(5_000);
    expect(started).toHaveLength(1);
  });

  it('serves more than it reads at a time without a pause', async () => {
    for (let number = 0; number < 450; number += 1) add(`crowd-${number}`);
    open();
    await clock.advance(hourMs / 2);
    expect(started).toHaveLength(450);
  });

  it('ends with no timer set', async () => {
    add('ended');
    const opened = open();
    await clock.advance(10);
    await opened[Symbol.asyncDispose]();
    opened.notice();
    expect(clock.pendingTimers).toBe(0);
  });
});
