import { seededRandom } from '@hivekeeper/testkit';
import { describe, expect, it } from 'vitest';
import { backoffMs } from './backoff.ts';
import { matchesTopic } from './topic-filter.ts';
import { type Publication, Window } from './window.ts';

describe('a filter', () => {
  it.each([
    ['/control/agents/+/status', '/control/agents/a/status', true],
    ['/control/agents/+/status', '/control/agents/a/b/status', false],
    ['/conversations/#', '/conversations/c/a', true],
    ['/conversations/#', '/conversations', true],
    ['/a', 'a', false],
    ['a/+', 'a', false],
    ['#', '$SYS/broker', false],
    ['$SYS/#', '$SYS/broker', true],
  ])('%s and the topic %s: %s', (filter, topic, matches) => {
    expect(matchesTopic(filter, topic)).toBe(matches);
  });
});

describe('the wait before the next try', () => {
  it('doubles up to two seconds, and at least half of it is certain', () => {
    const random = seededRandom(1);
    for (let attempt = 1; attempt < 60; attempt += 1) {
      const boundMs = Math.min(2_000, 50 * 2 ** (attempt - 1));
      expect(backoffMs(attempt, random)).toBeGreaterThanOrEqual(Math.floor(boundMs / 2));
      expect(backoffMs(attempt, random)).toBeLessThanOrEqual(boundMs);
    }
  });
});

describe('a window of publications', () => {
  const publication = (topic: string): Publication => ({ message: { topic, payload: '', qos: 1 }, done: () => {}, fail: () => {} });
  const topics = (window: Window) => [...window.next()].map(({ message }) => message.topic);

  it('lets no more go at once than the broker takes', () => {
    const window = new Window();
    const [a, b, c] = [publication('a'), publication('b'), publication('c')];
    for (const one of [a, b, c]) window.add(one);
    expect(topics(window)).toEqual([]);
    window.open(2);
    expect(topics(window)).toEqual(['a', 'b']);
    expect(topics(window)).toEqual([]);
    expect(window.remove(a)).toBe(true);
    expect(topics(window)).toEqual(['c']);
  });

  it('sends again what was under way, before what waits, and hears of the lost connection no more', () => {
    const window = new Window();
    const [a, b] = [publication('a'), publication('b')];
    window.open(1);
    window.add(a);
    window.add(b);
    expect(topics(window)).toEqual(['a']);
    window.close();
    expect(window.remove(a)).toBe(false);
    window.open(5);
    expect(topics(window)).toEqual(['a', 'b']);
  });
});
