import { describe, expect, it } from 'vitest';
import { isFree, Queues, type SeatedWorker } from './queues.ts';
import type { IssuedTicket } from './ticket-store.ts';

const ticket = (requirement: string, more: Partial<IssuedTicket> = {}): IssuedTicket => ({ requirement, ...more }) as IssuedTicket;
const worker = (capabilities: readonly string[], more: Partial<Omit<SeatedWorker, 'link'>> = {}): SeatedWorker => ({
  link: { capabilities, maxParallel: 2 },
  state: 'connected',
  takenCount: 0,
  ...more,
});

describe('queues', () => {
  it('are of tickets that wait or are leased, by all that they require', () => {
    const views = new Queues().views([ticket('node'), ticket('gpu node')], [ticket('node')], []);
    expect(views.map(({ requirement, waitingCount, leasedCount }) => [requirement, waitingCount, leasedCount])).toEqual([
      ['node', 1, 1],
      ['gpu node', 1, 0],
    ]);
  });

  it('count as free who is connected and has a place, and as silent who should be here; only where they have all that is required', () => {
    const workers = [
      worker(['node']),
      worker(['gpu', 'node']),
      worker(['gpu', 'node'], { takenCount: 2 }),
      worker(['gpu', 'node'], { state: 'silent' }),
      worker(['gpu', 'node'], { state: 'draining' }),
    ];
    expect(new Queues().views([ticket('gpu node')], [], workers)).toMatchObject([{ freeWorkerCount: 1, silentWorkerCount: 1 }]);
    expect(workers.map(isFree)).toEqual([true, true, false, false, false]);
  });

  it('do not count a ticket with throttles as waiting: it may wait for them', () => {
    const throttles = [{ kind: 'agent', key: 'agent:a', limit: 1 }] as const;
    expect(new Queues().views([ticket('node', { throttles })], [], [worker(['node'])])).toEqual([]);
  });

  it('move with every ticket that is settled or renewed, and begin anew once they were empty', () => {
    const queues = new Queues();
    const moveCount = () => queues.views([ticket('node')], [], [])[0]?.moveCount;
    queues.moved('node');
    queues.moved('python');
    expect(moveCount()).toBe(1);
    queues.moved('node');
    expect(moveCount()).toBe(2);
    queues.views([], [], []);
    expect(moveCount()).toBe(0);
  });
});
