import type { TicketId, WorkerId } from '@hivekeeper/contract';
import TinyQueue from 'tinyqueue';

/**
 * Which worker takes which ticket, decided in memory.
 *
 * Ready tickets wait in one heap per requirement, ordered by {@link rankMsOf}: a number that never changes while the
 * ticket waits, because every ticket ages at the same rate. Workers with credits stand in one ring per requirement, so
 * work spreads evenly. A decision takes the most urgent ticket that somebody can serve, and costs O(requirements + log
 * tickets). Nothing here is durable: a lease holds only once it is committed.
 */

/** What decides a ticket's place in the queue. */
export interface Urgency {
  readonly readyAtMs: number;
  /** Larger is sooner; one level is worth a minute of waiting. */
  readonly priority: number;
  /** When its run must have ended. */
  readonly deadlineAtMs?: number | undefined;
  readonly timeoutMs: number;
}

const priorityLevelMs = 60_000;
const slackHorizonMs = 600_000;

/**
 * The ticket's virtual time of arrival; the smallest goes first. Waiting is ageing: a ticket of priority 0 that became
 * ready a minute before one of priority 1 ties with it. Less than ten minutes between now and the latest possible start
 * counts as having waited that much longer.
 */
export function rankMsOf({ readyAtMs, priority, deadlineAtMs, timeoutMs }: Urgency): number {
  const slackMs = deadlineAtMs === undefined ? slackHorizonMs : deadlineAtMs - timeoutMs - readyAtMs;
  return readyAtMs - priority * priorityLevelMs - Math.min(slackHorizonMs, Math.max(0, slackHorizonMs - slackMs));
}

/** How much {@link rankMsOf} changes with the priority. */
export const rankShiftMs = (fromPriority: number, toPriority: number): number => (fromPriority - toPriority) * priorityLevelMs;

/** A ticket that waits for a worker. */
export interface ReadyTicket {
  readonly ticketId: TicketId;
  /** Capabilities the worker must have, sorted and joined by a space. */
  readonly requirement: string;
  readonly rankMs: number;
}

/** One decision. */
export interface Assignment<Ticket extends ReadyTicket> {
  readonly ticket: Ticket;
  readonly workerId: WorkerId;
}

interface Candidate {
  readonly workerId: WorkerId;
  readonly capabilities: ReadonlySet<string>;
  credits: number;
  /** The rings this worker stands in; it leaves a ring lazily, when found there without credits. */
  readonly rings: Set<Ring<ReadyTicket>>;
}

interface Ring<Ticket extends ReadyTicket> {
  /** The capabilities of the requirement. */
  readonly needed: readonly string[];
  readonly waiting: TinyQueue<Ticket>;
  readonly candidates: Candidate[];
  cursor: number;
}

const ringsKept = 100;

/** The scheduler of one control plane. */
export class Scheduler<Ticket extends ReadyTicket> {
  readonly #ready = new Map<TicketId, Ticket>();
  readonly #rings = new Map<string, Ring<Ticket>>();
  readonly #workers = new Map<WorkerId, Candidate>();
  #mostRings = ringsKept;

  /** How many tickets wait. */
  get readyCount(): number {
    return this.#ready.size;
  }

  /** Every ticket that waits, in no order. */
  ready(): readonly Ticket[] {
    return [...this.#ready.values()];
  }

  /** What each worker with credits has that finds nothing here it could take: every set of capabilities once, joined by spaces. */
  idleCapabilities(): string[] {
    const idle = new Set<string>();
    const waiting = [...this.#rings.values()].filter((ring) => this.#head(ring) !== undefined);
    for (const worker of this.#workers.values())
      if (worker.credits > 0 && !waiting.some((ring) => serves(worker, ring))) idle.add([...worker.capabilities].sort().join(' '));
    return [...idle];
  }

  addWorker(workerId: WorkerId, capabilities: readonly string[]): void {
    if (this.#workers.has(workerId)) return;
    this.#workers.set(workerId, { workerId, capabilities: new Set(capabilities), credits: 0, rings: new Set() });
  }

  removeWorker(workerId: WorkerId): void {
    const worker = this.#workers.get(workerId);
    if (worker === undefined) return;
    this.#workers.delete(workerId);
    for (const { candidates } of worker.rings) candidates.splice(candidates.indexOf(worker), 1);
  }

  /** Says how many more tickets the worker can take; replaces what was said before. */
  setCredits(workerId: WorkerId, credits: number): void {
    const worker = this.#workers.get(workerId);
    if (worker === undefined) return;
    worker.credits = credits;
    if (credits > 0) for (const ring of this.#rings.values()) join(ring, worker);
  }

  /** Gives back one credit of a lease that was not committed. */
  returnCredit(workerId: WorkerId): void {
    const worker = this.#workers.get(workerId);
    if (worker !== undefined) this.setCredits(workerId, worker.credits + 1);
  }

  /** Adds a ticket to those that wait; one known already is left as it is, unless it requires something else now. */
  offer(ticket: Ticket): void {
    if (this.#ready.get(ticket.ticketId)?.requirement === ticket.requirement) return;
    this.#ready.set(ticket.ticketId, ticket);
    this.#ringOf(ticket.requirement).waiting.push(ticket);
  }

  /** Takes a ticket out; its place in the heap is skipped when it surfaces. Does nothing where it does not wait. */
  withdraw(ticketId: TicketId): void {
    this.#ready.delete(ticketId);
  }

  /** Matches waiting tickets with credits, the most urgent first, until one of them runs out, or `most` decisions are made. */
  assign(most: number): Assignment<Ticket>[] {
    const assignments: Assignment<Ticket>[] = [];
    const open = new Set([...this.#rings.values()].filter(({ candidates }) => candidates.length > 0));
    while (assignments.length < most) {
      const ring = this.#mostUrgent(open);
      if (ring === undefined) break;
      const assignment = this.#next(ring);
      if (assignment === undefined) open.delete(ring);
      else assignments.push(assignment);
    }
    return assignments;
  }

  #mostUrgent(open: Set<Ring<Ticket>>): Ring<Ticket> | undefined {
    let best: Ring<Ticket> | undefined;
    let bestRankMs = Number.POSITIVE_INFINITY;
    for (const ring of open) {
      const head = this.#head(ring);
      if (head === undefined) open.delete(ring);
      else if (best === undefined || head.rankMs < bestRankMs) [best, bestRankMs] = [ring, head.rankMs];
    }
    return best;
  }

  /** The most urgent ticket that still waits in the ring. */
  #head(ring: Ring<Ticket>): Ticket | undefined {
    let ticket = ring.waiting.peek();
    while (ticket !== undefined && this.#ready.get(ticket.ticketId) !== ticket) {
      ring.waiting.pop();
      ticket = ring.waiting.peek();
    }
    return ticket;
  }

  #next(ring: Ring<Ticket>): Assignment<Ticket> | undefined {
    const ticket = this.#head(ring);
    const worker = ticket === undefined ? undefined : nextWithCredit(ring);
    if (ticket === undefined || worker === undefined) return undefined;
    ring.waiting.pop();
    this.#ready.delete(ticket.ticketId);
    worker.credits -= 1;
    return { ticket, workerId: worker.workerId };
  }

  #ringOf(requirement: string): Ring<Ticket> {
    const known = this.#rings.get(requirement);
    if (known !== undefined) return known;
    if (this.#rings.size >= this.#mostRings) this.#dropEmptyRings();
    const ring: Ring<Ticket> = {
      needed: requirement.split(' ').filter(Boolean),
      waiting: new TinyQueue<Ticket>([], (a, b) => a.rankMs - b.rankMs),
      candidates: [],
      cursor: 0,
    };
    this.#rings.set(requirement, ring);
    for (const worker of this.#workers.values()) if (worker.credits > 0) join(ring, worker);
    return ring;
  }

  /** Labels make ever new requirements. The next look comes when there are twice as many, so that it costs a constant each. */
  #dropEmptyRings(): void {
    for (const [requirement, ring] of this.#rings) {
      if (this.#head(ring) !== undefined) continue;
      this.#rings.delete(requirement);
      for (const worker of ring.candidates) worker.rings.delete(ring);
    }
    this.#mostRings = Math.max(ringsKept, 2 * this.#rings.size);
  }
}

const serves = ({ capabilities }: Candidate, { needed }: Ring<ReadyTicket>): boolean =>
  needed.every((capability) => capabilities.has(capability));

function join(ring: Ring<ReadyTicket>, worker: Candidate): void {
  if (worker.rings.has(ring) || !serves(worker, ring)) return;
  worker.rings.add(ring);
  ring.candidates.push(worker);
}

/** Goes once around the ring from the cursor; whoever has no credit leaves it, so the walk is paid for only once. */
function nextWithCredit(ring: Ring<ReadyTicket>): Candidate | undefined {
  while (ring.candidates.length > 0) {
    ring.cursor %= ring.candidates.length;
    const worker = ring.candidates[ring.cursor];
    if (worker !== undefined && worker.credits > 0) {
      ring.cursor += 1;
      return worker;
    }
    const last = ring.candidates.pop();
    if (last !== undefined && last !== worker) ring.candidates[ring.cursor] = last;
    worker?.rings.delete(ring);
  }
  return undefined;
}
