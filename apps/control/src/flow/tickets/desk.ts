import { type AgentSpec, type HeldTicket, HiveError, type JsonObject, type JsonValue, type LeasedTicket, type TenantId, type TicketId, type WorkerId, type WorkerView } from '@hivekeeper/contract';
import type { Clock, Log } from '@hivekeeper/kernel';
import { type Assignment, Scheduler } from './scheduler.ts';
import type { IssuedTicket, Lease, TicketStore, WorkerLink } from './ticket-store.ts';

/** Where a worker's agents are described. */
export type FindAgent = (tenantId: TenantId, name: string) => AgentSpec | undefined;

/** What the desk needs. */
export interface DeskOptions {
  readonly store: TicketStore;
  readonly clock: Clock;
  readonly log: Log;
  readonly findAgent: FindAgent;
  /** First half of every fencing token. */
  readonly epoch: number;
  /** How long a lease lasts by the database's clock. */
  readonly leaseMs: number;
  /** A worker unheard of for this long counts as silent. */
  readonly silentAfterMs: number;
}

/** Told when a lease is over, or when tickets could be handed out. Set by whoever drives the runs. */
export interface DeskListener {
  ticketLost(lease: Lease): void;
  capacityChanged(): void;
}

interface Seat {
  readonly link: WorkerLink;
  readonly held: Map<TicketId, IssuedTicket & HeldTicket & { readonly leasedAtMs: number }>;
  /** Assigned to it, but not committed or not delivered yet: it cannot have counted them when it names its credits. */
  assignedCount: number;
  lastSeenAtMs: number;
  isDraining: boolean;
}

// So many ready tickets are kept in memory; the rest wait in the database until these are gone.
const readyWindow = 10_000;

/**
 * The desk where workers get their tickets: knows who is connected, who holds what, and what waits. The database stays
 * the judge: a ticket is leased, renewed or settled only with the token that its row carries.
 */
export class TicketDesk {
  readonly #options: DeskOptions;
  readonly #scheduler = new Scheduler<IssuedTicket>();
  readonly #seats = new Map<WorkerId, Seat>();
  readonly #holders = new Map<TicketId, WorkerId>();
  #listener: DeskListener | undefined;
  #mayHaveMore = true;

  constructor(options: DeskOptions) {
    this.#options = options;
  }

  get leaseMs(): number {
    return this.#options.leaseMs;
  }

  /** Exactly one listener; see {@link DeskListener}. */
  listen(listener: DeskListener): void {
    this.#listener = listener;
  }

  /** Seats a worker. Idempotent per worker id: the newest link gets what comes. */
  attach(link: WorkerLink): void {
    const before = this.#seats.get(link.workerId);
    this.#seats.set(link.workerId, { link, held: before?.held ?? new Map(), assignedCount: 0, lastSeenAtMs: this.#options.clock.nowMs(), isDraining: false });
    this.#scheduler.addWorker(link.workerId, link.capabilities);
  }

  /** Takes a worker's seat away; what it holds stays leased until the lease runs out. */
  detach(workerId: WorkerId): void {
    const seat = this.#seats.get(workerId);
    for (const ticketId of seat?.held.keys() ?? []) this.#holders.delete(ticketId);
    this.#seats.delete(workerId);
    this.#scheduler.removeWorker(workerId);
  }

  /** Says how many more tickets a worker can take now. */
  setCredits(workerId: WorkerId, credits: number): void {
    const seat = this.#seat(workerId);
    seat.lastSeenAtMs = this.#options.clock.nowMs();
    this.#scheduler.setCredits(workerId, Math.max(0, credits - seat.assignedCount));
    if (credits > 0) this.#listener?.capacityChanged();
  }

  /** Whether any connected worker could take a ticket with this requirement. */
  canServe(requirement: string): boolean {
    return this.#scheduler.canServe(requirement);
  }

  /** Everybody at the desk. */
  workers(): WorkerView[] {
    const nowMs = this.#options.clock.nowMs();
    return [...this.#seats.values()].map(({ link, held, lastSeenAtMs, isDraining }) => ({
      id: link.workerId,
      name: link.name,
      capabilities: [...link.capabilities],
      maxParallel: link.maxParallel,
      heldCount: held.size,
      state: isDraining ? 'draining' : nowMs - lastSeenAtMs > this.#options.silentAfterMs ? 'silent' : 'connected',
      lastSeenAtMs,
    }));
  }

  /** Queues tickets that nobody holds and hands out what can be handed out: `fresh` ones are not in the database yet. */
  assign(fresh: readonly IssuedTicket[], most: number): readonly Assignment<IssuedTicket>[] {
    for (const ticket of fresh) this.#scheduler.offer(ticket);
    const assignments = this.#scheduler.assign(most);
    for (const { workerId } of assignments) this.#countAssigned(workerId, 1);
    return assignments;
  }

  /** Undoes an {@link assign} whose commit failed. */
  unassign(assignments: readonly Assignment<IssuedTicket>[], fresh: ReadonlySet<TicketId>): void {
    for (const ticketId of fresh) this.#scheduler.withdraw(ticketId);
    for (const { ticket, workerId } of assignments) {
      this.#countAssigned(workerId, -1);
      this.#scheduler.returnCredit(workerId);
      if (!fresh.has(ticket.ticketId)) this.#scheduler.offer(ticket);
    }
  }

  /** Delivers leases that are committed: each with the counter of its token. One without was taken by another control plane. */
  deliver(assignments: readonly Assignment<IssuedTicket>[], counters: ReadonlyMap<TicketId, string>): void {
    const parcels = new Map<Seat, LeasedTicket[]>();
    for (const { ticket, workerId } of assignments) {
      const counter = counters.get(ticket.ticketId);
      const seat = this.#seats.get(workerId);
      this.#countAssigned(workerId, -1);
      if (counter === undefined) this.#scheduler.returnCredit(workerId);
      if (counter === undefined || seat === undefined) continue;
      const held = { ...ticket, token: `${this.#options.epoch}.${counter}`, leasedAtMs: this.#options.clock.nowMs() };
      seat.held.set(ticket.ticketId, held);
      this.#holders.set(ticket.ticketId, workerId);
      const leased = this.#leasedTicket(held);
      const parcel = parcels.get(seat);
      if (parcel === undefined) parcels.set(seat, [leased]);
      else parcel.push(leased);
    }
    for (const [seat, parcel] of parcels) seat.link.deliver(parcel);
  }

  /** The lease of a ticket as this control plane knows it. */
  leaseOf(ticketId: TicketId): { readonly token: string; readonly leasedAtMs: number; readonly workerId: WorkerId } | undefined {
    const workerId = this.#holders.get(ticketId);
    const held = workerId === undefined ? undefined : this.#seats.get(workerId)?.held.get(ticketId);
    return held === undefined || workerId === undefined ? undefined : { token: held.token, leasedAtMs: held.leasedAtMs, workerId };
  }

  /** Forgets tickets that are settled or gone, and tells their holders to drop the revoked ones. */
  close(ticketIds: readonly TicketId[], isRevoked: boolean): void {
    for (const ticketId of ticketIds) {
      this.#scheduler.withdraw(ticketId);
      const workerId = this.#holders.get(ticketId);
      if (workerId === undefined) continue;
      this.#holders.delete(ticketId);
      const seat = this.#seats.get(workerId);
      seat?.held.delete(ticketId);
      if (isRevoked) seat?.link.revoke([ticketId]);
    }
  }

  /**
   * Renews what a worker says it holds. Returns the tickets it must drop. Idempotent.
   * @throws HiveError NOT_FOUND when the worker has to register first.
   */
  async heartbeat(workerId: WorkerId, tickets: readonly (HeldTicket & { readonly progress?: JsonValue | undefined })[]): Promise<TicketId[]> {
    const seat = this.#seat(workerId);
    seat.lastSeenAtMs = this.#options.clock.nowMs();
    const current = tickets.filter((ticket) => this.#isThisEpoch(ticket.token));
    const renewed = current.length === 0 ? new Set<TicketId>() : await this.#options.store.renew(current.map(counterOnly), this.#options.leaseMs);
    const dropped = tickets.filter((ticket) => !renewed.has(ticket.ticketId)).map((ticket) => ticket.ticketId);
    this.close(dropped, false);
    return dropped;
  }

  /** Takes unstarted tickets back from a worker that drains. Idempotent. */
  async release(workerId: WorkerId, tickets: readonly HeldTicket[]): Promise<void> {
    const seat = this.#seat(workerId);
    seat.isDraining = true;
    this.#scheduler.setCredits(workerId, 0);
    const released = await this.#options.store.release(tickets.filter((ticket) => this.#isThisEpoch(ticket.token)).map(counterOnly));
    this.close(tickets.map((ticket) => ticket.ticketId), false);
    for (const ticket of released) this.#scheduler.offer(ticket);
    this.#listener?.capacityChanged();
  }

  /** What the database says a worker holds and the worker does not: lost between lease and delivery, to be sent again. */
  async missing(workerId: WorkerId, held: ReadonlySet<TicketId>): Promise<LeasedTicket[]> {
    const seat = this.#seat(workerId);
    const leases = await this.#options.store.heldBy(workerId);
    return leases
      .filter((lease) => !held.has(lease.ticketId))
      .map((lease) => {
        const ticket = { ...lease, token: `${this.#options.epoch}.${lease.token}`, leasedAtMs: this.#options.clock.nowMs() };
        seat.held.set(lease.ticketId, ticket);
        this.#holders.set(lease.ticketId, workerId);
        return this.#leasedTicket(ticket);
      });
  }

  /** Reports every lease past its time, and forgets workers that are gone for good. Called on a timer. */
  async sweep(): Promise<void> {
    for (const lease of await this.#options.store.expired()) this.#listener?.ticketLost({ ...lease, token: `${this.#options.epoch}.${lease.token}` });
    const nowMs = this.#options.clock.nowMs();
    for (const [workerId, seat] of this.#seats) if (nowMs - seat.lastSeenAtMs > 10 * this.#options.silentAfterMs && seat.held.size === 0) this.detach(workerId);
  }

  /** Says that the database may hold ready tickets this control plane has not seen. */
  noticeMore(): void {
    this.#mayHaveMore = true;
    this.#listener?.capacityChanged();
  }

  /** Fills the window of ready tickets from the database when it has run dry and somebody could take them. */
  async refill(): Promise<void> {
    if (!this.#mayHaveMore || this.#scheduler.readyCount > 0 || !this.#scheduler.hasCredits) return;
    this.#mayHaveMore = false;
    const tickets = await this.#options.store.ready(readyWindow);
    if (tickets.length === readyWindow) this.#mayHaveMore = true;
    for (const ticket of tickets) this.#scheduler.offer(ticket);
    if (tickets.length > 0) this.#listener?.capacityChanged();
  }

  /** Second half of a token, where the first is this installation's. */
  counterOf(token: string): string | undefined {
    return this.#isThisEpoch(token) ? token.slice(token.indexOf('.') + 1) : undefined;
  }

  #countAssigned(workerId: WorkerId, change: 1 | -1): void {
    const seat = this.#seats.get(workerId);
    if (seat !== undefined) seat.assignedCount = Math.max(0, seat.assignedCount + change);
  }

  #isThisEpoch(token: string): boolean {
    return token.startsWith(`${this.#options.epoch}.`);
  }

  #seat(workerId: WorkerId): Seat {
    const seat = this.#seats.get(workerId);
    if (seat === undefined) throw new HiveError('NOT_FOUND', `worker ${workerId} is not registered here`);
    return seat;
  }

  #leasedTicket(ticket: IssuedTicket & HeldTicket): LeasedTicket {
    const agent = this.#options.findAgent(ticket.tenantId, ticket.agent);
    if (agent === undefined) throw new HiveError('INTERNAL', `ticket ${ticket.ticketId} was leased without its agent ${ticket.agent}`);
    const { ticketId, token, runId, nodeId, slot, attempt, action, timeoutMs } = ticket;
    return {
      ticketId, token, runId, nodeId, slot, attempt, agent, timeoutMs,
      input: ticket.input as JsonObject,
      leaseMs: this.#options.leaseMs,
      ...(action !== undefined && { action }),
    };
  }
}

const counterOnly = <Ticket extends HeldTicket>(ticket: Ticket): Ticket => ({ ...ticket, token: ticket.token.slice(ticket.token.indexOf('.') + 1) });
