import {
  type AgentSpec,
  type HeldTicket,
  type JsonObject,
  type JsonValue,
  type LeasedTicket,
  type RunId,
  runIdOfTicket,
  type TenantId,
  type TicketId,
  type WorkerId,
  type WorkerView,
} from '@hivekeeper/contract';
import type { Log, Timer } from '@hivekeeper/kernel';
import { isCapable, isFree, Queues, type QueueView } from './queues.ts';
import { type Assignment, Scheduler } from './scheduler.ts';
import { type Held, type Seat, Seats, type SeatsOptions } from './seats.ts';
import { fullKeyOf, isFreedByEnd } from './throttle.ts';
import type { IssuedTicket, Lease, LeaseAnswers, LeaseRefusal, TicketStore, WorkerLink } from './ticket-store.ts';

/** Where a worker's agents are described: the version that a run gets, where one is named. */
export type FindAgent = (tenantId: TenantId, name: string, runId?: RunId) => AgentSpec | undefined;

/** What the desk needs. */
export interface DeskOptions extends SeatsOptions {
  readonly store: TicketStore;
  readonly log: Log;
  readonly findAgent: FindAgent;
  /** First half of every fencing token. */
  readonly epoch: number;
  /** How long a lease lasts by the database's clock. */
  readonly leaseMs: number;
  /** A tenant's share of the workers beside the others'; 1 where absent. */
  readonly weightOf?: ((tenantId: TenantId) => number) | undefined;
}

/** Told when a lease is over, when tickets could be handed out, when work went on. Set by whoever drives the runs. */
export interface DeskListener {
  ticketLost(lease: Lease): void;
  capacityChanged(): void;
  /** A ticket of the run said how far it is; that is stored. */
  progressed(runId: RunId): void;
  /** A ticket with the key, given with its tenant, is leased no more. */
  roomMade(fullKey: string): void;
}

/** A lease as its desk knows it. */
interface KnownLease {
  readonly token: string;
  readonly leasedAtMs: number;
  readonly workerId: WorkerId;
  readonly requirement: string;
}

// So many ready tickets are kept in memory; the rest wait in the database until these are gone.
const readyWindow = 10_000;

/**
 * The desk where workers get their tickets: knows who is connected, who holds what, and what waits. The database stays
 * the judge: a ticket is leased, renewed or settled only with the token that its row carries.
 */
export class TicketDesk {
  readonly #options: DeskOptions;
  readonly #scheduler: Scheduler<IssuedTicket>;
  /** Keys that will have room at a known time. */
  readonly #openings = new Map<string, Timer>();
  readonly #seats: Seats;
  readonly #queues = new Queues();
  #listener: DeskListener | undefined;
  #mayHaveMore = true;
  #isClosing = false;

  constructor(options: DeskOptions) {
    this.#options = options;
    this.#seats = new Seats(options);
    this.#scheduler = new Scheduler(options.weightOf);
  }

  get leaseMs(): number {
    return this.#options.leaseMs;
  }

  /** Exactly one listener; see {@link DeskListener}. */
  listen(listener: DeskListener): void {
    this.#listener = listener;
  }

  /** Seats a worker. Idempotent per worker id: the newest link gets what comes, once the worker has named its credits on it. */
  attach(link: WorkerLink): void {
    this.#seats.take(link);
    this.#scheduler.removeWorker(link.workerId);
    this.#scheduler.addWorker(link.workerId, link.capabilities);
  }

  /** Takes a worker's seat away; what it holds stays leased until the lease runs out. */
  detach(workerId: WorkerId): void {
    for (const ticket of this.#seats.leave(workerId)) this.#scheduler.ended(ticket);
    this.#scheduler.removeWorker(workerId);
  }

  /** The worker was at the other end until now, however long it had waited there. */
  seen(workerId: WorkerId): void {
    if (this.#seats.get(workerId) !== undefined) this.#seats.heard(workerId);
  }

  /** Says how many more tickets a worker can take now. */
  setCredits(workerId: WorkerId, credits: number): void {
    const seat = this.#seats.heard(workerId);
    this.#scheduler.setCredits(workerId, this.#seats.dutyOf(workerId) === 'active' ? Math.max(0, credits - seat.assigned.size) : 0);
    if (credits > 0) this.#listener?.capacityChanged();
  }

  /** Everybody at the desk. */
  workers(): WorkerView[] {
    return this.#seats.views();
  }

  /** What waits and what is leased here, and who could move it. */
  queues(): QueueView[] {
    const leased = this.#seats.all().flatMap(({ held }) => [...held.values()]);
    return this.#queues.views(this.#scheduler.ready(), leased, this.#seats.seated());
  }

  /** True where a worker that is connected here could begin a ticket with the requirement now. */
  hasFreeWorker(requirement: string): boolean {
    return this.#seats.seated().some((worker) => isFree(worker) && isCapable(worker, requirement));
  }

  /** A ticket with the requirement was settled by who held it. */
  moved(requirement: string): void {
    this.#queues.moved(requirement);
  }

  /** A worker's duty is another one now: it gets nothing new, or asks again at once. Does nothing where it is not here. */
  dutyChanged(workerId: WorkerId): void {
    this.#scheduler.setCredits(workerId, 0);
    this.#seats.get(workerId)?.link.deliver([]);
  }

  /** Whether a worker that was told to drain has finished what it had. */
  mayLeave(workerId: WorkerId): boolean {
    return this.#seats.mayLeave(workerId);
  }

  /**
   * Hands out what can be handed out; `fresh` tickets are not in the database yet. Those of them that nobody gets wait
   * until {@link deliver}: another batch could not lease what is not stored. Those with throttles wait too, since the
   * database asks their throttles when a stored one is leased.
   */
  assign(fresh: readonly IssuedTicket[], most: number): readonly Assignment<IssuedTicket>[] {
    if (this.#isClosing) return [];
    for (const ticket of fresh) if (ticket.throttles === undefined) this.#offer(ticket);
    const assignments = this.#scheduler.assign(most);
    for (const { ticketId } of fresh) this.#scheduler.withdraw(ticketId);
    for (const { ticket, workerId } of assignments) this.#seats.get(workerId)?.assigned.add(ticket.ticketId);
    return assignments;
  }

  /** Hands out nothing from now on: what becomes ready is for other control planes. */
  stopHandingOut(): void {
    this.#isClosing = true;
    for (const opening of this.#openings.values()) opening.cancel();
    this.#openings.clear();
  }

  /** Undoes an {@link assign} whose commit failed. */
  unassign(assignments: readonly Assignment<IssuedTicket>[], fresh: ReadonlySet<TicketId>): void {
    for (const { ticket, workerId } of assignments) {
      this.#seats.get(workerId)?.assigned.delete(ticket.ticketId);
      this.#returnCredit(workerId);
      this.#scheduler.refused(ticket);
      if (!fresh.has(ticket.ticketId)) this.#offer(ticket);
    }
  }

  /**
   * Delivers leases that are committed, each with the counter of its token; lets those wait whose keys have no room, and the
   * other `fresh` tickets of that commit. What has no answer was taken by another control plane.
   */
  deliver(
    assignments: readonly Assignment<IssuedTicket>[],
    { counters, refusals }: LeaseAnswers,
    fresh: readonly IssuedTicket[] = [],
  ): void {
    const parcels = new Map<Seat, LeasedTicket[]>();
    for (const { ticket, workerId } of assignments) {
      const counter = counters.get(ticket.ticketId);
      const leased = counter === undefined ? undefined : this.#hold(workerId, ticket, counter);
      const seat = this.#seats.get(workerId);
      this.#seats.get(workerId)?.assigned.delete(ticket.ticketId);
      if (counter === undefined) this.#refuse(ticket, refusals.get(ticket.ticketId));
      if (leased === undefined || seat === undefined) this.#returnCredit(workerId);
      else
        parcels
          .set(seat, parcels.get(seat) ?? [])
          .get(seat)
          ?.push(leased);
    }
    const taken = new Set(assignments.map(({ ticket }) => ticket.ticketId));
    for (const ticket of fresh.filter(({ ticketId }) => !taken.has(ticketId))) this.#offer(ticket);
    for (const [seat, parcel] of parcels) seat.link.deliver(parcel);
  }

  /** A lease was not granted; a ticket whose key has no room waits for it. */
  #refuse(ticket: IssuedTicket, refusal: LeaseRefusal | undefined): void {
    this.#scheduler.refused(ticket, refusal?.key);
    if (refusal === undefined) return;
    this.#offer(ticket);
    if (refusal.roomInMs !== undefined) this.#openLater(fullKeyOf(ticket.tenantId, refusal.key), refusal.roomInMs);
  }

  #openLater(fullKey: string, afterMs: number): void {
    this.#openings.get(fullKey)?.cancel();
    if (this.#isClosing) return;
    const opening = this.#options.clock.after(Math.ceil(afterMs), () => {
      this.#openings.delete(fullKey);
      this.open(fullKey);
    });
    this.#openings.set(fullKey, opening);
  }

  /** The key, given with its tenant, may have room. */
  open(fullKey: string): void {
    this.#scheduler.open(fullKey);
    this.#listener?.capacityChanged();
  }

  #ended(ticket: IssuedTicket): void {
    this.#scheduler.ended(ticket);
    for (const throttle of ticket.throttles ?? [])
      if (isFreedByEnd(throttle)) this.#listener?.roomMade(fullKeyOf(ticket.tenantId, throttle.key));
  }

  /** Hands out no ready ticket of a paused run; what is leased goes on. */
  hold(runId: RunId): void {
    for (const { ticketId } of this.#readyOf(runId)) this.#scheduler.withdraw(ticketId);
  }

  /** Gives the ready tickets of a run another place in the queue. */
  rank(runId: RunId, shiftMs: number): void {
    for (const ticket of this.#readyOf(runId)) {
      this.#scheduler.withdraw(ticket.ticketId);
      this.#scheduler.offer({ ...ticket, rankMs: ticket.rankMs + shiftMs });
    }
  }

  #offer(ticket: IssuedTicket): void {
    if (!ticket.isHeld) this.#scheduler.offer(ticket);
  }

  #readyOf(runId: RunId): readonly IssuedTicket[] {
    return this.#scheduler.ready().filter((ticket) => ticket.runId === runId);
  }

  /** The lease of a ticket as this control plane knows it. */
  leaseOf(ticketId: TicketId): KnownLease | undefined {
    const holder = this.#seats.holderOf(ticketId);
    if (holder === undefined) return undefined;
    const { token, leasedAtMs, requirement } = holder.held;
    return { token, leasedAtMs, requirement, workerId: holder.seat.link.workerId };
  }

  /** Forgets tickets that are settled or gone, and tells their holders to drop the revoked ones. */
  close(ticketIds: readonly TicketId[], isRevoked: boolean): void {
    for (const ticketId of ticketIds) {
      this.#scheduler.withdraw(ticketId);
      const holder = this.#seats.holderOf(ticketId);
      if (holder === undefined) continue;
      this.#ended(holder.held);
      this.#seats.drop(holder.seat, ticketId);
      if (isRevoked) holder.seat.link.revoke([ticketId]);
    }
  }

  /**
   * Renews what a worker says it holds. Returns the tickets it must drop. Idempotent.
   * @throws HiveError NOT_FOUND when the worker has to register first.
   */
  async heartbeat(
    workerId: WorkerId,
    tickets: readonly (HeldTicket & { readonly progress?: JsonValue | undefined })[],
  ): Promise<TicketId[]> {
    this.#seats.heard(workerId);
    const current = tickets.filter((ticket) => this.#isThisEpoch(ticket.token));
    const renewed =
      current.length === 0
        ? new Set<TicketId>()
        : await this.#options.store.renew(workerId, current.map(counterOnly), this.#options.leaseMs);
    for (const ticketId of renewed) {
      const held = this.#seats.get(workerId)?.held.get(ticketId);
      if (held !== undefined) this.#queues.moved(held.requirement);
    }
    const dropped = tickets.filter((ticket) => !renewed.has(ticket.ticketId));
    for (const ticket of dropped) this.#letGo(workerId, ticket);
    const talking = current.filter(({ ticketId, progress }) => progress !== undefined && renewed.has(ticketId));
    for (const runId of new Set(talking.map(({ ticketId }) => runIdOfTicket(ticketId)))) this.#listener?.progressed(runId);
    return dropped.map(({ ticketId }) => ticketId);
  }

  /** Takes unstarted tickets back from a worker that drains. Idempotent. */
  async release(workerId: WorkerId, tickets: readonly HeldTicket[]): Promise<void> {
    this.#seats.of(workerId).isDraining = true;
    this.#scheduler.setCredits(workerId, 0);
    const released = await this.#options.store.release(
      workerId,
      tickets.filter((ticket) => this.#isThisEpoch(ticket.token)).map(counterOnly),
    );
    for (const ticket of tickets) this.#letGo(workerId, ticket);
    for (const ticket of released) this.#offer(ticket);
    this.#listener?.capacityChanged();
  }

  /**
   * Gives up what the database says a worker holds and the worker does not: lost on the way, or dropped when it could not renew in time.
   * It may have been begun, so it is never sent again under the same token: it is lost, and a new ticket is issued at once.
   */
  async reclaim(workerId: WorkerId, isAccountedFor: (ticketId: TicketId) => boolean): Promise<void> {
    const seat = this.#seats.of(workerId);
    const assignedBefore = new Set(seat.assigned);
    for (const { ticketId, runId, token } of await this.#options.store.heldBy(workerId)) {
      if (isAccountedFor(ticketId) || assignedBefore.has(ticketId) || seat.assigned.has(ticketId)) continue;
      this.#listener?.ticketLost({ ticketId, runId, workerId, token: `${this.#options.epoch}.${token}` });
    }
  }

  /**
   * Reports every lease past its time, forgets workers that are gone for good, and looks for ready tickets nobody told
   * of. Called on a timer.
   */
  async sweep(): Promise<void> {
    const { store, silentAfterMs, leaseMs } = this.#options;
    for (const seat of this.#seats.all()) {
      const { workerId } = seat.link;
      const silentMs = this.#seats.silentMs(seat);
      // Whatever it held has run out long ago, here or with another control plane.
      if (silentMs > Math.max(10 * silentAfterMs, 2 * leaseMs)) this.detach(workerId);
      // Gone between two polls: what it could have taken goes to others.
      else if (silentMs > silentAfterMs) this.#scheduler.setCredits(workerId, 0);
      else if (this.mayLeave(workerId)) seat.link.deliver([]);
    }
    for (const lease of await store.expired()) this.#listener?.ticketLost({ ...lease, token: `${this.#options.epoch}.${lease.token}` });
    this.#scheduler.probe();
    this.#listener?.capacityChanged();
    // A notification may be lost, and so may the control plane that read a ticket: no ready ticket waits longer than a
    // sweep for being seen.
    this.#mayHaveMore = true;
    await this.refill();
  }

  /** Says that the database may hold ready tickets this control plane has not seen. */
  noticeMore(): void {
    this.#mayHaveMore = true;
    this.#listener?.capacityChanged();
  }

  /** Says that agents changed, and with them perhaps the throttles of tickets that wait: those are read anew. */
  throttlesChanged(): void {
    this.#scheduler.forgetThrottled();
    this.noticeMore();
  }

  /** Reads ready tickets from the database where a worker has found nothing here that it could take. */
  async refill(): Promise<void> {
    if (!this.#mayHaveMore || this.#isClosing) return;
    const capabilities = this.#scheduler.idleCapabilities();
    if (capabilities.length === 0) return;
    this.#mayHaveMore = false;
    try {
      const tickets = await this.#options.store.ready(readyWindow, capabilities, this.#scheduler.parkedKeys());
      if (tickets.length === readyWindow) this.#mayHaveMore = true;
      for (const ticket of tickets) this.#scheduler.offer(ticket);
      if (tickets.length > 0) this.#listener?.capacityChanged();
    } catch (error) {
      this.#mayHaveMore = true;
      throw error;
    }
  }

  /** Second half of a token, where the first is this installation's. */
  counterOf(token: string): string | undefined {
    return this.#isThisEpoch(token) ? token.slice(token.indexOf('.') + 1) : undefined;
  }

  #returnCredit(workerId: WorkerId): void {
    if (this.#seats.get(workerId)?.isDraining === false && this.#seats.dutyOf(workerId) === 'active')
      this.#scheduler.returnCredit(workerId);
  }

  /** Notes who holds a ticket; undefined where the worker is gone, or the agent: then the lease runs out by itself. */
  #hold(workerId: WorkerId, ticket: IssuedTicket, counter: string): LeasedTicket | undefined {
    this.#scheduler.granted(ticket);
    const seat = this.#seats.get(workerId);
    const agent = this.#options.findAgent(ticket.tenantId, ticket.agent, ticket.runId);
    if (agent === undefined)
      this.#options.log.error({ ticketId: ticket.ticketId, agent: ticket.agent }, 'a ticket was leased whose agent is gone');
    if (seat === undefined || agent === undefined) {
      this.#scheduler.ended(ticket);
      return undefined;
    }
    const held = { ...ticket, token: `${this.#options.epoch}.${counter}`, leasedAtMs: this.#options.clock.nowMs() };
    this.#seats.hold(seat, held);
    return leasedTicket(held, agent, this.#options.leaseMs);
  }

  /** Forgets that the worker holds a ticket, by that very token: it may have been leased again since. */
  #letGo(workerId: WorkerId, { ticketId, token }: HeldTicket): void {
    const seat = this.#seats.get(workerId);
    const held = seat?.held.get(ticketId);
    if (seat === undefined || held?.token !== token) return;
    this.#ended(held);
    this.#seats.drop(seat, ticketId);
  }

  #isThisEpoch(token: string): boolean {
    return token.startsWith(`${this.#options.epoch}.`);
  }
}

function leasedTicket(held: Held, agent: AgentSpec, leaseMs: number): LeasedTicket {
  const { ticketId, token, runId, nodeId, slot, attempt, action, timeoutMs, input, memo } = held;
  return {
    ticketId,
    token,
    runId,
    nodeId,
    slot,
    attempt,
    agent,
    timeoutMs,
    leaseMs,
    input: input as JsonObject,
    memo: [...memo],
    ...(action !== undefined && { action }),
  };
}

const counterOnly = <Ticket extends HeldTicket>(ticket: Ticket): Ticket => ({
  ...ticket,
  token: ticket.token.slice(ticket.token.indexOf('.') + 1),
});
