import type { TenantId, TicketId, WorkerId } from '@hivekeeper/contract';
import TinyQueue from 'tinyqueue';
import { type Account, FairShare } from './fair-share.ts';
import { Gates, type ThrottledTicket } from './gates.ts';

/**
 * Which worker takes which ticket, decided in memory.
 *
 * Ready tickets wait in one heap per requirement and tenant, ordered by {@link rankMsOf}: a number that never changes while
 * the ticket waits, because every ticket ages at the same rate. Workers with credits stand in one ring per requirement, so
 * work spreads evenly. A decision takes, of the tenant that has had least ({@link FairShare}), the most urgent ticket that
 * somebody can serve and whose keys have room ({@link Gates}), and costs O(requirements × tenants that wait + log tickets).
 * Nothing here is durable: a lease holds only once it is committed.
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
export interface ReadyTicket extends ThrottledTicket {
  /** Capabilities the worker must have, sorted and joined by a space. */
  readonly requirement: string;
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

/** What one tenant has waiting in a ring. */
interface Line<Ticket extends ReadyTicket> {
  readonly ring: Ring<Ticket>;
  readonly tenantId: TenantId;
  readonly account: Account;
  readonly waiting: TinyQueue<Ticket>;
}

interface Ring<Ticket extends ReadyTicket> {
  /** The capabilities of the requirement. */
  readonly needed: readonly string[];
  /** One per tenant that has something waiting; others stay until they are found empty. */
  readonly lines: Line<Ticket>[];
  readonly candidates: Candidate[];
  cursor: number;
}

const ringsKept = 100;

/** The scheduler of one control plane. */
export class Scheduler<Ticket extends ReadyTicket> {
  readonly #ready = new Map<TicketId, Ticket>();
  readonly #rings = new Map<string, Ring<Ticket>>();
  readonly #workers = new Map<WorkerId, Candidate>();
  readonly #gates: Gates<Ticket>;
  readonly #share: FairShare;
  #mostRings = ringsKept;
  #enqueuedCount = 0;

  /** `weightOf` gives a tenant's share beside the others'. */
  constructor(weightOf: (tenantId: TenantId) => number = () => 1) {
    this.#share = new FairShare(weightOf);
    this.#gates = new Gates(
      (ticket) => this.#ready.get(ticket.ticketId) === ticket,
      (ticket) => this.#enqueue(ticket),
    );
  }

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
    const waiting = [...this.#rings.values()].filter((ring) => this.#hasWaiting(ring));
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
    this.#enqueue(ticket);
  }

  /** Takes a ticket out; its place in the heap is skipped when it surfaces. Does nothing where it does not wait. */
  withdraw(ticketId: TicketId): void {
    const ticket = this.#ready.get(ticketId);
    this.#ready.delete(ticketId);
    if (ticket?.throttles !== undefined) this.#gates.wake(ticket);
  }

  /** An assigned ticket is leased. */
  granted(ticket: Ticket): void {
    this.#gates.granted(ticket);
  }

  /** An assigned ticket was not leased: because `fullKey` has no room, or for another reason. It does not wait any more. */
  refused(ticket: Ticket, fullKey?: string): void {
    this.#gates.refused(ticket, fullKey);
  }

  /** A leased ticket is leased no more: what has its keys may have room. */
  ended(ticket: Ticket): void {
    this.#gates.ended(ticket);
  }

  /** The key may have room. */
  open(fullKey: string): void {
    this.#gates.open(fullKey);
  }

  /** Tries one ticket of every key that any wait for. */
  probe(): void {
    this.#gates.probe();
  }

  /** Forgets every ticket with throttles that waits here. */
  forgetThrottled(): void {
    for (const [ticketId, { throttles }] of this.#ready) if (throttles !== undefined) this.#ready.delete(ticketId);
  }

  /** The keys that tickets wait for here, each with its tenant. */
  parkedKeys(): string[] {
    return this.#gates.parkedKeys();
  }

  /** Matches waiting tickets with credits, the most urgent first, until one of them runs out, or `most` decisions are made. */
  assign(most: number): Assignment<Ticket>[] {
    const assignments: Assignment<Ticket>[] = [];
    const open = new Set([...this.#rings.values()].filter(({ candidates }) => candidates.length > 0));
    while (assignments.length < most) {
      const enqueuedBefore = this.#enqueuedCount;
      const next = this.#mostUrgent(open);
      // Parking a ticket may let another one go on, in a ring that was looked at before.
      if (next === undefined && this.#enqueuedCount !== enqueuedBefore) continue;
      if (next === undefined) break;
      const assignment = this.#give(next);
      if (assignment === undefined) open.delete(next.ring);
      else assignments.push(assignment);
    }
    return assignments;
  }

  #mostUrgent(open: Set<Ring<Ticket>>): Line<Ticket> | undefined {
    let best: Line<Ticket> | undefined;
    let bestStart = Number.POSITIVE_INFINITY;
    let bestRankMs = Number.POSITIVE_INFINITY;
    for (const ring of open) {
      for (let index = ring.lines.length - 1; index >= 0; index -= 1) {
        const line = ring.lines[index] as Line<Ticket>;
        const ticket = this.#head(line);
        if (ticket === undefined) {
          if (line.waiting.length === 0) ring.lines.splice(index, 1);
          continue;
        }
        const start = this.#share.startOf(line.account);
        if (start > bestStart || (start === bestStart && ticket.rankMs >= bestRankMs)) continue;
        best = line;
        bestStart = start;
        bestRankMs = ticket.rankMs;
      }
    }
    return best;
  }

  #hasWaiting({ lines }: Ring<Ticket>): boolean {
    return lines.some((line) => this.#head(line) !== undefined);
  }

  /** The most urgent ticket of the line that still waits and may be leased; those whose keys have no room are parked. */
  #head({ waiting }: Line<Ticket>): Ticket | undefined {
    let ticket = waiting.peek();
    while (ticket !== undefined) {
      if (this.#ready.get(ticket.ticketId) === ticket && (ticket.throttles === undefined || this.#gates.hasRoom(ticket))) return ticket;
      waiting.pop();
      if (this.#ready.get(ticket.ticketId) === ticket) this.#gates.park(ticket);
      ticket = waiting.peek();
    }
    return undefined;
  }

  #give(line: Line<Ticket>): Assignment<Ticket> | undefined {
    const ticket = this.#head(line);
    const worker = ticket === undefined ? undefined : nextWithCredit(line.ring);
    if (ticket === undefined || worker === undefined) return undefined;
    line.waiting.pop();
    this.#ready.delete(ticket.ticketId);
    this.#share.charge(line.account);
    if (ticket.throttles !== undefined) this.#gates.take(ticket);
    worker.credits -= 1;
    return { ticket, workerId: worker.workerId };
  }

  #enqueue(ticket: Ticket): void {
    this.#enqueuedCount += 1;
    this.#lineOf(this.#ringOf(ticket.requirement), ticket.tenantId).waiting.push(ticket);
  }

  #lineOf(ring: Ring<Ticket>, tenantId: TenantId): Line<Ticket> {
    for (const line of ring.lines) if (line.tenantId === tenantId) return line;
    const account = this.#share.accountOf(tenantId);
    const line = { ring, tenantId, account, waiting: new TinyQueue<Ticket>([], (a, b) => a.rankMs - b.rankMs) };
    ring.lines.push(line);
    return line;
  }

  #ringOf(requirement: string): Ring<Ticket> {
    const known = this.#rings.get(requirement);
    if (known !== undefined) return known;
    if (this.#rings.size >= this.#mostRings) this.#dropEmptyRings();
    const ring: Ring<Ticket> = {
      needed: requirement.split(' ').filter(Boolean),
      lines: [],
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
      if (this.#hasWaiting(ring)) continue;
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
