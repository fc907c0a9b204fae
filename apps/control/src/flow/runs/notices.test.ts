import type { RunId, RunNotice } from '@hivekeeper/contract';
import { expect, it } from 'vitest';
import { isAfter, NoticeBoard, numberNotices, type NumberedNotice } from './notices.ts';

const runId = 'run_1' as RunId;
const notice: RunNotice = { type: 'run.started', atMs: 1 };

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

it('tells each watcher of the run until it stops watching', () => {
  const board = new NoticeBoard();
  const [first, second]: [NumberedNotice[], NumberedNotice[]] = [[], []];
  const stop = board.watch(runId, (notices) => void first.push(...notices));
  board.watch(runId, (notices) => void second.push(...notices));
  board.post(runId, 1, [notice]);
  board.post('run_2' as RunId, 1, [notice]);
  stop();
  board.post(runId, 2, [notice]);
  expect(first.map(({ id }) => id)).toEqual(['1.0']);
  expect(second.map(({ id }) => id)).toEqual(['1.0', '2.0']);
});

it('keeps a new watcher when one that left before stops once more', () => {
  const board = new NoticeBoard();
  const stop = board.watch(runId, () => {});
  stop();
  const heard: NumberedNotice[] = [];
  board.watch(runId, (notices) => void heard.push(...notices));
  stop();
  board.post(runId, 1, [notice]);
  expect(heard).toHaveLength(1);
});
