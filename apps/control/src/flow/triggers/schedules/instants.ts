import {
  declaredSchedulesOf,
  HiveError,
  type Issue,
  type JsonObject,
  type ScheduleRule,
  type WorkflowDefinition,
} from '@hivekeeper/contract';
import { Cron } from 'croner';
import { Temporal } from 'temporal-polyfill';

const comparedInstants = 100;

type Times = Pick<ScheduleRule, 'cron' | 'timeZone'>;

/**
 * The first nominal instant after `afterMs`. Times are found on a clock without a zone, and only then looked for in the
 * zone, so that one rule holds for every expression: each time the clock shows is one instant, the first at which it is
 * shown; times that the clock jumps over share the instant after the jump.
 */
export function nextInstant({ cron, timeZone }: Times, afterMs: number): number {
  const pattern = patternOf(cron);
  let wall = wallOf(afterMs, timeZone);
  for (;;) {
    wall = mustExist(pattern.nextRun(wall), cron);
    const atMs = firstShown(wall, timeZone);
    // In the hour that the clock shows twice, what it shows next was served the first time.
    if (atMs > afterMs) return atMs;
  }
}

/** The last `most` nominal instants after `afterMs` and not after `untilMs`, the oldest first. Costs as much as it gives, however long ago `afterMs` is. */
export function instantsBetween(times: Times, [afterMs, untilMs]: readonly [number, number], most: number): number[] {
  const pattern = patternOf(times.cron);
  const found = new Set<number>();
  // What comes before this, and the last time shown counts too.
  let wall: Date | undefined = new Date(Math.floor(latestShown(untilMs, times.timeZone) / 1_000) * 1_000 + 1_000);
  while (found.size < most) {
    wall = pattern.previousRuns(1, wall)[0];
    if (wall === undefined) break;
    const atMs = firstShown(wall, times.timeZone);
    if (atMs <= afterMs) break;
    found.add(atMs);
  }
  return [...found].reverse();
}

/** What is wrong with a rule; empty where it can be served. */
export function issuesOf({ cron, timeZone, jitterMs }: Pick<ScheduleRule, 'cron' | 'timeZone' | 'jitterMs'>): Issue[] {
  const issues = [
    ...fault('/cron', () => void mustExist(patternOf(cron).nextRun(new Date(0)), cron)),
    ...fault('/timeZone', () => void offsetAt(0, timeZone), `there is no time zone "${timeZone}"`),
  ];
  const gapMs = issues.length === 0 && jitterMs > 0 ? shortestGap({ cron, timeZone }) : Number.POSITIVE_INFINITY;
  if (jitterMs >= gapMs) issues.push({ path: '/jitterMs', message: `must be less than the ${gapMs} ms between two instants` });
  return issues;
}

/** Between the next instants, that is: an order that jitter turned around would have no meaning. */
function shortestGap(times: Times): number {
  let [atMs, gapMs] = [nextInstant(times, 0), Number.POSITIVE_INFINITY];
  for (let count = 0; count < comparedInstants; count += 1) {
    const nextMs = nextInstant(times, atMs);
    [atMs, gapMs] = [nextMs, Math.min(gapMs, nextMs - atMs)];
  }
  return gapMs;
}

/** The same for the schedules that a workflow's trigger declares, each with its place in the workflow. */
export function declaredIssuesOf({ trigger }: Pick<WorkflowDefinition, 'trigger'>): Issue[] {
  const rules = declaredSchedulesOf(trigger);
  const isList = rules.length > 0 && Array.isArray((trigger as JsonObject)['schedule']);
  return rules.flatMap((rule, index) =>
    issuesOf(rule).map(({ path, message }) => ({ path: `/trigger/schedule${isList ? `/${index}` : ''}${path}`, message })),
  );
}

/** A moment as the clock of the zone shows it, with the zone's distance to UTC: `2026-03-29T03:00:00+02:00`. */
export const localText = (atMs: number, timeZone: string): string =>
  zoned(atMs, timeZone).toString({ timeZoneName: 'never', fractionalSecondDigits: 0 });

function fault(path: string, attempt: () => void, message?: string): Issue[] {
  try {
    attempt();
    return [];
  } catch (error) {
    return [{ path, message: message ?? (error as Error).message }];
  }
}

// What stands for a zone here is a clock that never jumps.
const patternOf = (cron: string): Cron => new Cron(cron, { timezone: 'UTC', mode: cron.split(' ').length === 6 ? '6-part' : '5-part' });

function mustExist(wall: Date | null, cron: string): Date {
  if (wall === null) throw new HiveError('SCHEDULE_INVALID', `no day is ever "${cron}"`);
  return wall;
}

const zoned = (atMs: number, timeZone: string): Temporal.ZonedDateTime =>
  Temporal.Instant.fromEpochMilliseconds(Math.floor(atMs)).toZonedDateTimeISO(timeZone);
const offsetAt = (atMs: number, timeZone: string): number => zoned(atMs, timeZone).offsetNanoseconds / 1_000_000;

/** What the clock of the zone shows, as if it were UTC. */
const wallOf = (atMs: number, timeZone: string): Date => new Date(atMs + offsetAt(atMs, timeZone));

/** The latest time that the clock has shown: in the hour that comes again, the end of that hour. */
function latestShown(untilMs: number, timeZone: string): number {
  const change = zoned(untilMs, timeZone).getTimeZoneTransition('previous')?.epochMilliseconds;
  return Math.max(wallOf(untilMs, timeZone).getTime(), change === undefined ? 0 : wallOf(change - 1, timeZone).getTime());
}

/** When the clock of the zone first shows that time, or has jumped over it. */
function firstShown(wall: Date, timeZone: string): number {
  const time = zoned(wall.getTime(), 'UTC').toPlainDateTime();
  const found = time.toZonedDateTime(timeZone, { disambiguation: 'earlier' });
  // Where the clock never shows it, "earlier" is as long before the jump as the time lies after its beginning.
  const shown = found.toPlainDateTime().equals(time) ? found : found.getTimeZoneTransition('next');
  return (shown ?? found).epochMilliseconds;
}
