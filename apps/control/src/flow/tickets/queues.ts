import type { IssuedTicket, WorkerLink } from './ticket-store.ts';

/** A worker at the desk, as far as queues go. */
export interface SeatedWorker {
  readonly link: Pick<WorkerLink, 'capabilities' | 'maxParallel'>;
  readonly state: 'connected' | 'silent' | 'cordoned' | 'draining';
  /** What it holds, and what it is being given. */
  readonly takenCount: number;
}

/** The tickets with one requirement, and who could take them. */
export interface QueueView {
  readonly requirement: string;
  readonly waitingCount: number;
  readonly leasedCount: number;
  /** Connected workers that could take one and have a place for it, whatever credits the scheduler believes them to have. */
  readonly freeWorkerCount: number;
  /** Workers that could take one, and have not been heard of lately. */
  readonly silentWorkerCount: number;
  /** How often a ticket was settled, or renewed by who holds it. */
  readonly moveCount: number;
}

/** True where the worker has all that the requirement names. */
export const isCapable = ({ link }: Pick<SeatedWorker, 'link'>, requirement: string): boolean =>
  requirement.split(' ').every((capability) => link.capabilities.includes(capability));

/** True where the worker could begin one more ticket. */
export const isFree = ({ state, link, takenCount }: SeatedWorker): boolean => state === 'connected' && takenCount < link.maxParallel;

/** Whether tickets move, by what they require. */
export class Queues {
  #moves = new Map<string, number>();

  /** A ticket was settled, or renewed. */
  moved(requirement: string): void {
    this.#moves.set(requirement, (this.#moves.get(requirement) ?? 0) + 1);
  }

  /**
   * Every queue with tickets that wait or are leased. A ticket with throttles does not count as waiting: it may wait for them, and only
   * the database knows.
   */
  views(waiting: readonly IssuedTicket[], leased: readonly IssuedTicket[], workers: readonly SeatedWorker[]): QueueView[] {
    const waitingCounts = countByRequirement(waiting.filter(({ throttles }) => throttles === undefined));
    const leasedCounts = countByRequirement(leased);
    const requirements = new Set([...waitingCounts.keys(), ...leasedCounts.keys()]);
    this.#moves = new Map([...this.#moves].filter(([requirement]) => requirements.has(requirement)));
    return [...requirements].map((requirement) => {
      const capable = workers.filter((worker) => isCapable(worker, requirement));
      return {
        requirement,
        waitingCount: waitingCounts.get(requirement) ?? 0,
        leasedCount: leasedCounts.get(requirement) ?? 0,
        freeWorkerCount: capable.filter(isFree).length,
        silentWorkerCount: capable.filter(({ state }) => state === 'silent').length,
        moveCount: this.#moves.get(requirement) ?? 0,
      };
    });
  }
}

function countByRequirement(tickets: readonly IssuedTicket[]): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (const { requirement } of tickets) counts.set(requirement, (counts.get(requirement) ?? 0) + 1);
  return counts;
}
