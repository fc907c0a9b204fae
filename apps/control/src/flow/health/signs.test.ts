import { describe, expect, it } from 'vitest';
import type { QueueView } from '../tickets/index.ts';
import { Pulse, signsOf } from './signs.ts';

const quiet: QueueView = { requirement: 'node', waitingCount: 0, leasedCount: 0, freeWorkerCount: 0, silentWorkerCount: 0, moveCount: 0 };

function signOf(queue: Partial<QueueView>) {
  const signs = signsOf({
    lane: { progress: () => ({ isBusy: false, storedCount: 3 }) },
    desk: { queues: () => [{ ...quiet, ...queue }] },
    driver: new Pulse(),
    sweep: new Pulse(),
  });
  return signs.at(-1);
}

describe('a queue', () => {
  it.each<[string, Partial<QueueView>, { readonly isWanted: boolean; readonly part?: string }]>([
    ['nobody could take anything from is left alone', { waitingCount: 3 }, { isWanted: false }],
    [
      'a worker with a place leaves lying is the scheduler’s fault',
      { waitingCount: 3, freeWorkerCount: 1 },
      { isWanted: true, part: 'scheduler' },
    ],
    ['somebody holds tickets of is his to move', { leasedCount: 1 }, { isWanted: true, part: 'worker' }],
    ['only somebody silent could serve is his fault', { waitingCount: 1, silentWorkerCount: 1 }, { isWanted: true, part: 'worker' }],
    ['silent workers do not miss is left alone', { silentWorkerCount: 1 }, { isWanted: false }],
  ])('that %s', (_what, queue, expected) => {
    expect(signOf(queue)).toMatchObject(expected);
  });
});

describe('the lane', () => {
  it('is wanted while something is to be stored, and moves with what is', () => {
    const lane = { isBusy: true, storedCount: 7 };
    const [sign] = signsOf({ lane: { progress: () => lane }, desk: { queues: () => [] }, driver: new Pulse(), sweep: new Pulse() });
    expect(sign).toMatchObject({ part: 'lane', isWanted: true, progress: 7 });
  });
});
