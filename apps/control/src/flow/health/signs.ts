import type { RunLane } from '../runs/index.ts';
import type { QueueView, TicketDesk } from '../tickets/index.ts';
import type { Sign } from './health.ts';

/** Counts what a part does again and again. */
export class Pulse {
  #count = 0;

  get count(): number {
    return this.#count;
  }

  /** To be called each time it is done. */
  readonly beat = (): void => {
    this.#count += 1;
  };
}

/** What signs are read from. */
export interface SignSources {
  readonly lane: Pick<RunLane, 'progress'>;
  readonly desk: Pick<TicketDesk, 'queues'>;
  /** Looks for due runs. */
  readonly driver: Pulse;
  /** Looks for lost leases and unseen tickets. */
  readonly sweep: Pulse;
}

/** The signs of every part but the canaries, in the order in which one stalls the others. */
export function signsOf({ lane, desk, driver, sweep }: SignSources): Sign[] {
  const { isBusy, storedCount } = lane.progress();
  return [
    {
      part: 'lane',
      of: 'lane',
      isWanted: isBusy,
      progress: storedCount,
      detail: 'what happened to runs waits to be stored and nothing was',
    },
    { part: 'driver', of: 'driver', isWanted: true, progress: driver.count, detail: 'nobody has looked for due runs' },
    { part: 'desk', of: 'desk', isWanted: true, progress: sweep.count, detail: 'nobody has looked for lost leases and unseen tickets' },
    ...desk.queues().map(signOfQueue),
  ];
}

/** A queue is wanted where something of it is leased, or could be: by a worker with a place, or by one that should be here. */
function signOfQueue(queue: QueueView): Sign {
  const { requirement, moveCount, waitingCount, leasedCount, freeWorkerCount, silentWorkerCount } = queue;
  const isIgnored = waitingCount > 0 && freeWorkerCount > 0;
  return {
    part: isIgnored ? 'scheduler' : 'worker',
    of: `queue ${requirement}`,
    isWanted: leasedCount > 0 || isIgnored || (waitingCount > 0 && silentWorkerCount > 0),
    progress: moveCount,
    detail: isIgnored
      ? `${waitingCount} tickets that require ${requirement} wait and none moved, though ${freeWorkerCount} workers have a place`
      : `tickets that require ${requirement} do not move: ${leasedCount} leased, ${waitingCount} waiting, ${silentWorkerCount} silent workers`,
  };
}
