import type { RunNotice } from '@hivekeeper/contract';
import { expect, it } from 'vitest';
import { isAfter, numberNotices, onlyOnceAfter, type RunNews } from './notices.ts';

const notice: RunNotice = { type: 'run.started', atMs: 1 };
const progress = { notice: { type: 'attempt.progressed', atMs: 1, progress: 1 } } as RunNews;

it('numbers the notices of a commit by its version and their place', () => {
  expect(numberNotices(4, [notice, notice]).map(({ id }) => id)).toEqual(['4.0', '4.1']);
});

it.each([
  { id: '2.0', last: '1.9', after: true },
  { id: '10.0', last: '9.0', after: true },
  { id: '1.10', last: '1.9', after: true },
  { id: '1.9', last: '1.9', after: false },
  { id: '1.9', last: '2.0', after: false },
])('$id comes after $last: $after', ({ id, last, after }) => {
  expect(isAfter(id, last)).toBe(after);
});

it('lets each notice after the last one seen through once, and progress always', () => {
  const news: RunNews[] = [...['1.0', '1.1', '2.0', '1.1', '2.0', '2.1'].map((id) => ({ id, notice })), progress, progress];
  const through = (lastId?: string) => news.filter(onlyOnceAfter(lastId)).map(({ id }) => id);
  expect(through()).toEqual(['1.0', '1.1', '2.0', '2.1', undefined, undefined]);
  expect(through('1.1')).toEqual(['2.0', '2.1', undefined, undefined]);
});
