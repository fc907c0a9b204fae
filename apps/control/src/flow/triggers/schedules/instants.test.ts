import { describe, expect, it } from 'vitest';
import { instantsBetween, issuesOf, localText, nextInstant } from './instants.ts';

const berlin = 'Europe/Berlin';
const at = (text: string) => Date.parse(text);

/** The next instants as the zone's clock shows them. */
function next([cron, timeZone]: readonly [string, string], after: string, count: number): string[] {
  let atMs = at(after);
  return Array.from({ length: count }, () => localText((atMs = nextInstant({ cron, timeZone }, atMs)), timeZone));
}

describe('a nominal instant', () => {
  it('is a moment at which the clock of the zone shows what the expression says', () => {
    expect(next(['0 7 * * MON-FRI', berlin], '2026-11-26T12:00:00Z', 3)).toEqual([
      '2026-11-27T07:00:00+01:00',
      '2026-11-30T07:00:00+01:00',
      '2026-12-01T07:00:00+01:00',
    ]);
  });

  it.each([
    ['30 2 * * *', ['2026-03-28T02:30:00+01:00', '2026-03-29T03:00:00+02:00', '2026-03-30T02:30:00+02:00']],
    ['0 3 * * *', ['2026-03-28T03:00:00+01:00', '2026-03-29T03:00:00+02:00', '2026-03-30T03:00:00+02:00']],
    [
      '*/20 2 * * *',
      [
        '2026-03-28T02:00:00+01:00',
        '2026-03-28T02:20:00+01:00',
        '2026-03-28T02:40:00+01:00',
        '2026-03-29T03:00:00+02:00',
        '2026-03-30T02:00:00+02:00',
      ],
    ],
  ])('of "%s" that the clock jumps over in spring is the first one after the jump, once', (cron, expected) => {
    expect(next([cron, berlin], '2026-03-27T12:00:00Z', expected.length)).toEqual(expected);
  });

  it('that falls onto another one by the jump is the same: half hours give one firing at three', () => {
    expect(next(['*/30 * * * *', berlin], '2026-03-29T00:10:00Z', 4)).toEqual([
      '2026-03-29T01:30:00+01:00',
      '2026-03-29T03:00:00+02:00',
      '2026-03-29T03:30:00+02:00',
      '2026-03-29T04:00:00+02:00',
    ]);
  });

  it.each([
    ['30 2 * * *', ['2026-10-25T02:30:00+02:00', '2026-10-26T02:30:00+01:00']],
    ['*/30 2 * * *', ['2026-10-25T02:00:00+02:00', '2026-10-25T02:30:00+02:00', '2026-10-26T02:00:00+01:00']],
    ['0 */1 * * *', ['2026-10-24T15:00:00+02:00', '2026-10-24T16:00:00+02:00']],
  ])('of "%s" that the clock shows twice in autumn is the first of the two', (cron, expected) => {
    expect(next([cron, berlin], '2026-10-24T12:00:00Z', expected.length)).toEqual(expected);
  });

  it('is served once also when it is asked for within the hour that comes again', () => {
    expect(next(['0,30 * * * *', berlin], '2026-10-25T01:10:00Z', 1)).toEqual(['2026-10-25T03:00:00+01:00']);
  });

  it.each([
    ['15 2 * * *', 'Australia/Lord_Howe', '2026-10-03T12:00:00Z', '2026-10-04T02:30:00+11:00'],
    ['45 1 * * *', 'Australia/Lord_Howe', '2026-04-04T13:00:00Z', '2026-04-05T01:45:00+11:00'],
    ['30 0 * * *', 'America/Santiago', '2026-09-05T12:00:00Z', '2026-09-06T01:00:00-03:00'],
    ['0 12 30 12 *', 'Pacific/Apia', '2011-12-28T12:00:00Z', '2011-12-31T00:00:00+14:00'],
    ['0 0 29 2 *', 'UTC', '2026-01-01T00:00:00Z', '2028-02-29T00:00:00+00:00'],
    ['0 0 L * *', 'UTC', '2026-02-01T00:00:00Z', '2026-02-28T00:00:00+00:00'],
    ['0 0 13 * FRI', 'UTC', '2026-01-30T12:00:00Z', '2026-02-06T00:00:00+00:00'],
    ['15 0 0 * * *', 'UTC', '2026-01-30T12:00:00Z', '2026-01-31T00:00:15+00:00'],
    ['@monthly', 'UTC', '2026-01-30T12:00:00Z', '2026-02-01T00:00:00+00:00'],
  ])('of "%s" in %s after %s is %s', (...[cron, timeZone, after, expected]) => {
    expect(next([cron, timeZone], after, 1)).toEqual([expected]);
  });
});

describe('the instants of a time that has passed', () => {
  it('are the same that would have come one by one', () => {
    for (const [cron, after, until] of [
      ['*/20 * * * *', '2026-03-28T22:00:00Z', '2026-03-29T04:00:00Z'],
      ['*/20 * * * *', '2026-10-24T22:00:00Z', '2026-10-25T04:00:00Z'],
      ['*/20 * * * *', '2026-10-24T23:50:00Z', '2026-10-25T01:10:00Z'],
      ['30 2 * * *', '2026-01-01T00:00:00Z', '2026-12-31T00:00:00Z'],
    ] as const) {
      const expected: number[] = [];
      for (
        let atMs = nextInstant({ cron, timeZone: berlin }, at(after));
        atMs <= at(until);
        atMs = nextInstant({ cron, timeZone: berlin }, atMs)
      )
        expected.push(atMs);
      expect(instantsBetween({ cron, timeZone: berlin }, [at(after), at(until)], 1_000)).toEqual(expected);
    }
  });

  it('do not count the beginning, and do count the end', () => {
    const span = [at('2026-01-01T00:00:00Z'), at('2026-01-01T02:00:00Z')] as const;
    expect(instantsBetween({ cron: '0 * * * *', timeZone: 'UTC' }, span, 10).map((atMs) => localText(atMs, 'UTC').slice(11, 16))).toEqual([
      '01:00',
      '02:00',
    ]);
  });

  it('are the last ones where there are more than wanted, however long ago it began', () => {
    const found = instantsBetween({ cron: '* * * * * *', timeZone: berlin }, [0, at('2026-06-01T00:00:00.500Z')], 3);
    expect(found).toEqual([at('2026-05-31T23:59:58Z'), at('2026-05-31T23:59:59Z'), at('2026-06-01T00:00:00Z')]);
  });
});

describe('a rule', () => {
  it.each([
    [{ cron: '60 * * * *', timeZone: 'UTC' }, '/cron'],
    [{ cron: '* * * * *', timeZone: 'UTC', jitterMs: 60_000 }, '/jitterMs'],
    [{ cron: '0 9,10 * * MON', timeZone: 'UTC', jitterMs: 3_600_000 }, '/jitterMs'],
    [{ cron: '0 0 30 2 *', timeZone: 'UTC' }, '/cron'],
    [{ cron: '0 0 31 4,6,9,11 *', timeZone: 'UTC' }, '/cron'],
    [{ cron: 'a b c d e', timeZone: 'UTC' }, '/cron'],
    [{ cron: '0 7 * * *', timeZone: 'Europe/Atlantis' }, '/timeZone'],
  ])('%o is refused for what is wrong with it', (rule, path) => {
    expect(issuesOf({ jitterMs: 0, ...rule }).map((issue) => issue.path)).toEqual([path]);
  });

  it.each(['*/7 * * * *', '0 0 L * *', '0 7 * * 1#2', '@daily', '0 0 29 2 *', '30 0 7 * * MON'])('"%s" is sound', (cron) => {
    expect(issuesOf({ cron, timeZone: 'America/New_York', jitterMs: 900 })).toEqual([]);
  });
});
